"""Paths that git refuses, with git as the judge."""

from pathlib import Path

import pytest

from tests.repo import Repo
from workers.git.trackable import is_trackable

NAMES = (
    b".git",
    b".GIT",
    b"a/.git/b",
    b"a/.git",
    b".git ",
    b".git..",
    b".git:stream",
    b"git~1",
    b"GIT~1/x",
    b"git~2",
    b".g\xe2\x80\x8cit",
    b"\xef\xbb\xbf.git",
    b".git\xe2\x81\xaf/x",
    b"\xe2\x80\x8b.git",
    b"a\\.git\\b",
    b"a\\git~1",
    b".gitx",
    b".gitignore",
    b"..",
    b"a/../b",
    b"a/./b",
    b"a//b",
    b"/a",
    b"a/",
    b"...",
    b"..a",
    b"a..",
    b"a~",
    b"~1",
    b" ",
    b"\xff",
    b"new\nline",
    b"-",
    b"\\",
    b".gitmodules",
    b".GitModules",
    b"gitmod~1",
    b"GI7EBA~1",
    b"gi7eb~10",
    b"gitmod~5",
)


@pytest.mark.parametrize("mode", [0o100644, 0o120000])
def test_git_and_we_refuse_the_same_paths(tmp_path: Path, mode: int) -> None:
    repo = Repo.plain(tmp_path / "repo")
    for name in ("core.protectHFS", "core.protectNTFS"):
        repo.config(name, "true")
    oid = repo.git("hash-object", "-w", "--stdin", stdin=b"x").strip()
    accepted = set()
    for path in NAMES:
        repo.git("read-tree", "--empty")
        line = b"%o %s 0\t%s\0" % (mode, oid, path)
        try:
            repo.git("update-index", "-z", "--index-info", stdin=line)
        except AssertionError:
            continue
        accepted.update(repo.git("ls-files", "-z").split(b"\0")[:-1])

    assert {path for path in NAMES if is_trackable(path, mode)} == accepted
