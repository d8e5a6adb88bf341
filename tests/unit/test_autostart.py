"""git-annex's list of repositories to start daemons in."""

from pathlib import Path

import pytest

from annexd.autostart import AutostartError, everywhere, read_list
from spool.place import Place
from workers.git.run import GitError


@pytest.fixture
def listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Two repositories that are on the list."""
    paths = [tmp_path / "first", tmp_path / "second"]
    for path in paths:
        for name in ("objects", "refs", "annex"):
            (path / ".git" / name).mkdir(parents=True)
        (path / ".git/HEAD").write_text("ref: refs/heads/main\n")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "git-annex").mkdir()
    (tmp_path / "git-annex/autostart").write_text("".join(f"{path}\n" for path in paths))
    return paths


@pytest.mark.parametrize(
    "failure", [GitError(("git", "version"), 128, b"fatal: no"), OSError(30, "no", "hold")]
)
def test_where_it_fails_the_next_has_its_turn(listed: list[Path], failure: Exception) -> None:
    """One that git refused, or that was mounted read-only, kept all after it from being paused."""
    done = []

    def do(place: Place) -> None:
        done.append(place.worktree)
        if place.worktree == listed[0]:
            raise failure

    with pytest.raises(AutostartError, match="no"):
        everywhere(do)

    assert done == listed


def test_what_cannot_even_be_looked_at_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dead mount, another user's drive, a name that is too long: none may stop all others."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    here = tmp_path / "git-annex"
    here.mkdir()
    (here / "autostart").write_text(f"/{'long' * 100}\n{here}\n")

    assert read_list() == [here]
