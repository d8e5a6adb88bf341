"""What of its surroundings annexd does not rely on."""

import os
from pathlib import Path

import pytest

from annexd.surroundings import tidy
from tests.processes import python, run


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


def test_what_git_was_told_is_forgotten_also_where_others_look() -> None:
    code = """
import os
from annexd.ownenviron import forget_git
forget_git()
environ = open("/proc/self/environ").read()
print(*(name in os.environ for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_SSH")))
print(*(text in environ for text in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_SSH=ssh", "AFTER=GIT_")))
print(os.popen("echo $GIT_DIR$GIT_SSH$AFTER").read())
"""
    env = {"GIT_DIR": "/nowhere", "GIT_SSH": "ssh", "GIT_INDEX_FILE": "", "AFTER": "GIT_"}

    said = run(python(code), env=env).split()

    assert said == [b"False", b"False", b"True", b"False", b"False", b"True", b"True", b"sshGIT_"]
