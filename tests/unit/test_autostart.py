"""git-annex's list of repositories to start daemons in."""

from pathlib import Path

import pytest

from annexd.autostart import read_list


def test_what_cannot_even_be_looked_at_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dead mount, another user's drive, a name that is too long: none may stop all others."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    here = tmp_path / "git-annex"
    here.mkdir()
    (here / "autostart").write_text(f"/{'long' * 100}\n{here}\n")

    assert read_list() == [here]
