"""What of its surroundings annexd does not rely on."""

import os
from pathlib import Path

import pytest

from annexd.surroundings import tidy


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (":/usr/bin::.:bin:/bin:", "/usr/bin:/bin"),
        ("/usr/bin:/bin", "/usr/bin:/bin"),
        (".", os.defpath),
        ("", os.defpath),
    ],
)
def test_only_whole_paths_are_looked_in_for_programs(
    monkeypatch: pytest.MonkeyPatch, before: str, after: str
) -> None:
    monkeypatch.setenv("PATH", before)
    tidy()
    assert os.environ["PATH"] == after


def test_a_temporary_directory_is_used_if_it_can_be(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    tidy()
    assert os.environ["TMPDIR"] == str(tmp_path)

    for useless in (tmp_path / "nowhere", Path("relative")):
        monkeypatch.setenv("TMPDIR", str(useless))
        tidy()
        assert "TMPDIR" not in os.environ
