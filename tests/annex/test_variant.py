"""Names of variants, with git-annex as the judge."""

import os
from pathlib import Path

from tests.processes import run
from tests.repo import Repo
from workers.variant import variant_names

NAMES = (
    b"a.txt",
    b"foo.tar.gz",
    b"noext",
    b".dot",
    b".dot.txt",
    b"d.x/file",
    b"d.x/.hidden",
    b"d.x/sub/.hidden.tar.gz",
    b"trail.",
    b"a..b",
    b"..x",
    b"...",
    b".a.",
    b"sp ace.e xt",
    b"x.variant-abcd.txt",
    b"d.variant-1/plain.txt",
    b".variant-",
    b"a.verylongextension123",
    "ü.é".encode(),
)


def file_name(key: bytes) -> bytes:
    for plain, escaped in ((b"&", b"&a"), (b"%", b"&s"), (b":", b"&c"), (b"/", b"%")):
        key = key.replace(plain, escaped)
    return key


def test_variants_are_named_as_git_annex_names_them(tmp_path: Path) -> None:
    first = Repo.create(tmp_path / "first")
    first.git("commit", "-q", "--allow-empty", "-m", "start")
    second = first.clone(tmp_path / "second")
    expected = set()
    for repo in (first, second):
        for name in NAMES:
            repo.write(name, repo.path.name.encode() + b" " + name)
        repo.annex("add", "-q", "--force-large", ".")
        repo.git("commit", "-q", "-m", "mine")
        links = run(["git", "ls-files", "-z"], cwd=repo.path).split(b"\0")[:-1]
        for name in links:
            target = os.readlink(os.path.join(os.fsencode(repo.path), name))
            key = target.rpartition(b"/")[2]
            expected.add(next(variant_names(name, unescaped(key), key)))
    second.git("fetch", "-q", "origin")
    second.config("merge.conflictStyle", "merge")
    try:
        second.git("merge", "-q", "origin/main")
    except AssertionError:
        second.annex("resolvemerge", "-q")

    assert set(second.git("ls-files", "-z").split(b"\0")[:-1]) == expected
    assert len(expected) == 2 * len(NAMES)


def unescaped(name: bytes) -> bytes:
    for plain, escaped in ((b"/", b"%"), (b":", b"&c"), (b"%", b"&s"), (b"&", b"&a")):
        name = name.replace(escaped, plain)
    assert file_name(name)
    return name
