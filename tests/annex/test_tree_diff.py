"""``git diff-tree`` is the oracle of the native difference."""

import random
from itertools import pairwise
from pathlib import Path

import pytest

from tests.repo import Repo
from workers.git import tree_diff
from workers.git.objectid import ObjectFormat
from workers.git.stream import CatFile, ObjectId
from workers.git.tree import Change, diff_trees

NAMES = (b"a", b"a.b", b"b", b"a-", b"\xff\n", b"c/d", b"c/e/f", b"c/e/g", b"c.d", b"d/x", b"d/y/z")


def random_tree(repo: Repo, rng: random.Random) -> ObjectId:
    """A tree of some of the names, any of which may be a directory, a file or a link."""
    chosen: dict[bytes, bytes] = {}
    for name in rng.sample(NAMES, rng.randint(0, len(NAMES))):
        path = name + rng.choice([b"", b"", b"/below", b"/below/deep"])
        if not any(path.startswith(each + b"/") or each.startswith(path + b"/") for each in chosen):
            chosen[path] = rng.choice([b"100644", b"100755", b"120000"])
    blobs = [repo.git("hash-object", "-w", "--stdin", stdin=word).strip() for word in (b"1", b"2")]
    listed = b"".join(
        b"%b %b\t%b\0" % (mode, rng.choice(blobs), path) for path, mode in chosen.items()
    )
    repo.git("read-tree", "--empty")
    repo.git("update-index", "-z", "--index-info", stdin=listed)
    return ObjectId(repo.git("write-tree").strip().decode())


@pytest.mark.parametrize("object_format", list(ObjectFormat))
@pytest.mark.parametrize("many", [tree_diff.MANY, 1])
def test_the_difference_is_gits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, object_format: ObjectFormat, many: int
) -> None:
    monkeypatch.setattr(tree_diff, "MANY", many)  # 1: git is asked when there are directories
    repo = Repo.plain(tmp_path / "repo", object_format.value)
    rng = random.Random(7)  # noqa: S311 -- the same trees in every run
    trees = [random_tree(repo, rng) for _ in range(12)]

    with CatFile(repo.plumbing) as cat:

        def ours(old: ObjectId, new: ObjectId) -> list[Change]:
            read = lambda oids: cat.get_all(oid.encode() for oid in oids)  # noqa: E731
            return sorted(
                tree_diff.differences(repo.plumbing, read, object_format, old, new),
                key=lambda change: change.path,
            )

        for old, new in pairwise(trees):
            listed = sorted(diff_trees(repo.plumbing, old, new), key=lambda change: change.path)
            assert ours(old, new) == listed
        with pytest.raises(LookupError):
            ours(trees[0], ObjectId("1" * 2 * object_format.raw_size))


def test_of_trees_made_by_hand_or_long_ago_the_difference_is_gits_too(tmp_path: Path) -> None:
    repo = Repo.plain(tmp_path / "repo")
    blob = bytes.fromhex(repo.git("hash-object", "-w", "--stdin", stdin=b"1").decode().strip())
    other = bytes.fromhex(repo.git("hash-object", "-w", "--stdin", stdin=b"2").decode().strip())

    def tree(*entries: tuple[bytes, bytes]) -> ObjectId:
        data = b"".join(b"%b\0%b" % entry for entry in entries)
        options = ("--literally", "-t", "tree", "-w", "--stdin")
        return ObjectId(repo.git("hash-object", *options, stdin=data).decode().strip())

    plain = tree((b"100644 a", blob))
    trees = [
        plain,
        tree((b"100664 a", blob)),  # as git wrote it before 2005
        tree((b"100644 a", blob), (b"100755 a", other)),
        tree((b"100775 a", blob), (b"160000 b", other), (b"120777 c", blob)),
    ]
    with CatFile(repo.plumbing) as cat:
        read = lambda oids: cat.get_all(oid.encode() for oid in oids)  # noqa: E731
        for new in trees:
            told = tree_diff.differences(repo.plumbing, read, ObjectFormat.SHA1, plain, new)
            assert set(told) == set(diff_trees(repo.plumbing, plain, new))
