"""What differs between two versions of an index: git writes them, a dictionary is the oracle."""

import os
import random

from tests.repo import Repo
from workers.git.index import Index, read_index
from workers.git.index_compare import BLOCK, changed_paths, differ_in_content
from workers.git.objectid import ObjectFormat


def entries(index: Index) -> dict[bytes, object]:
    return {entry.path: entry for entry in index}


def test_every_path_that_differs_is_told_and_no_other(repo: Repo) -> None:
    path = os.fsencode(repo.path / ".git/index")
    rng = random.Random(0)  # noqa: S311 -- no secret
    oids = [repo.git("hash-object", "-w", "--stdin", stdin=b"%d" % n).strip() for n in range(3)]

    def stage(names: list[int], oid: bytes) -> None:
        lines = b"".join(b"100644 %s 0\tfile%05d\n" % (oid, name) for name in names)
        repo.git("update-index", "--index-info", stdin=lines)

    def drop(names: list[int]) -> None:
        lines = b"".join(b"0 %s\tfile%05d\n" % (b"0" * 40, name) for name in names)
        repo.git("update-index", "--index-info", stdin=lines)

    old = read_index(path, ObjectFormat.SHA1)
    for size in (0, 3, BLOCK - 1, 3 * BLOCK + 7):
        stage(rng.sample(range(2000), size), oids[0])
        for _round in range(4):
            stage(rng.sample(range(2000), rng.choice((0, 1, 5))), rng.choice(oids))
            drop(rng.sample(range(2000), rng.choice((0, 1, 300))))
            new = read_index(path, ObjectFormat.SHA1)
            before, after = entries(old), entries(new)
            differing = {
                each for each in before.keys() | after.keys() if before.get(each) != after.get(each)
            }
            assert set(changed_paths(old, new)) == differing
            assert set(changed_paths(new, old)) == differing
            old = new


def test_what_git_only_remembers_of_files_is_no_other_content(repo: Repo) -> None:
    path = os.fsencode(repo.path / ".git/index")
    for name in ("one", "two"):
        repo.write(name, b"x")
    repo.git("add", ".")
    old = read_index(path, ObjectFormat.SHA1)

    for name in ("one", "two"):
        os.utime(repo.path / name, (1, 1))
    repo.git("update-index", "--refresh")

    new = read_index(path, ObjectFormat.SHA1)
    assert set(changed_paths(old, new)) == {b"one", b"two"}
    assert not differ_in_content(old, new)
    for change in (("--chmod=+x", "two"), ("--skip-worktree", "two"), ("--force-remove", "one")):
        repo.git("update-index", *change)
        before, new = new, read_index(path, ObjectFormat.SHA1)
        assert differ_in_content(before, new), change
        assert differ_in_content(new, before), change
