"""Objects are read without git where they are loose, and are what git says they are."""

import os
import zlib
from pathlib import Path

import pytest

from tests.repo import Repo
from workers.git.objectreader import ObjectReader
from workers.git.run import Git
from workers.git.stream import CatFile, Found, ObjectId

BIG = 3 << 20


@pytest.fixture(params=["sha1", "sha256"])
def plain(request: pytest.FixtureRequest, tmp_path: Path) -> Repo:
    repo = Repo.plain(tmp_path / "repo", request.param)
    repo.write(b"d/empty", b"")
    repo.write(b"d/text", b"text\0" * 20)
    repo.write(b"big", os.urandom(BIG))
    repo.git("add", "-A")
    repo.git("commit", "-q", "-m", "start")
    repo.git("tag", "-a", "-m", "a tag", "v1")
    return repo


def names(repo: Repo) -> list[bytes]:
    return repo.git(
        "rev-parse", "HEAD", "HEAD:", "HEAD:d", "HEAD:d/text", "HEAD:d/empty", "v1"
    ).split()


def by_git(repo: Repo, asked: list[bytes]) -> list[Found | None]:
    with CatFile(repo.plumbing) as cat:
        return list(cat.get_all(asked))


def loose_file(repo: Repo, oid: bytes) -> Path:
    return repo.path / ".git/objects" / os.fsdecode(oid[:2]) / os.fsdecode(oid[2:])


def test_what_is_loose_needs_no_process(plain: Repo) -> None:
    asked = names(plain)
    with ObjectReader(plain.plumbing) as reader:
        assert list(reader.get_all(asked)) == by_git(plain, asked)
        assert reader.get_small(asked[3], 10) == by_git(plain, asked)[3]._replace(data=b"")  # type: ignore[union-attr]
        assert reader.get_small(asked[3], 100) == by_git(plain, asked)[3]
        assert reader.tree_of(asked[0]) == reader.tree_of(asked[1]) == asked[1].decode()
        assert reader._cat is None
        assert reader.tree_of(asked[5]) == asked[1].decode()  # a tag: git knows of what
        assert reader.asks_git
        assert list(reader.get_all(asked)) == by_git(plain, asked)


def test_what_is_packed_or_large_is_asked_of_git_and_all_after_it(plain: Repo) -> None:
    asked = names(plain)
    expected = by_git(plain, asked)
    big = plain.git("rev-parse", "HEAD:big").strip()
    with ObjectReader(plain.plumbing) as reader:
        found = reader.get(big)
        assert found is not None
        assert len(found.data) == BIG
        assert reader.asks_git

    plain.git("repack", "-adq")
    plain.write(b"later", b"later")
    later = plain.git("hash-object", "-w", "later").strip()
    with ObjectReader(plain.plumbing) as reader:
        found_all = list(reader.get_all([later, *asked, b"0" * len(later), later]))
    assert found_all[1:-2] == expected
    assert found_all[0] == found_all[-1] == Found(found_all[0].oid, b"blob", 5, b"later")  # type: ignore[union-attr]
    assert found_all[-2] is None


def test_one_that_is_larger_than_is_kept_says_only_what_it_is(plain: Repo) -> None:
    text = names(plain)[3]
    with ObjectReader(plain.plumbing, 10) as reader:
        found = reader.get(text)
        assert not reader.asks_git
    with CatFile(plain.plumbing, 10) as cat:
        assert found == cat.get(text)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no zlib",
        zlib.compress(b"blob 5\0texts")[:-6],
        zlib.compress(b"blob 5\0textsmore"),
        zlib.compress(b"blob 99\0texts"),
        zlib.compress(b"blob 99999999999999999999\0texts"),
        zlib.compress(b"blub 5\0texts"),
        zlib.compress(b"blob -5\0texts"),
        zlib.compress(b"x" * 100_000_000),
    ],
    ids=range(9),
)
def test_of_a_broken_file_git_says_what_is_wrong(plain: Repo, content: bytes) -> None:
    text = names(plain)[3]
    path = loose_file(plain, text)
    path.chmod(0o644)
    path.write_bytes(content)
    with ObjectReader(plain.plumbing) as reader:
        assert reader._loose(text, 1 << 30) is None
    path.unlink()
    with ObjectReader(plain.plumbing) as reader:
        assert reader.get(text) is None


def test_a_replaced_object_is_read_as_git_reads_it(plain: Repo) -> None:
    text, empty = names(plain)[3:5]
    plain.git("replace", text.decode(), empty.decode())
    for _packed in range(2):
        with ObjectReader(plain.plumbing) as reader:
            found = reader.get(text)
        assert found is not None
        assert found.data == b""
        plain.git("pack-refs", "--all", "--prune")


def test_a_linked_work_tree_has_the_objects_of_the_first(plain: Repo, tmp_path: Path) -> None:
    plain.git("worktree", "add", "-q", os.fspath(tmp_path / "linked"))
    linked = Git(plain.path / ".git/worktrees/linked", tmp_path / "linked")
    text = names(plain)[3]
    with ObjectReader(linked) as reader:
        assert reader.get(text) == by_git(plain, [text])[0]
        assert not reader.asks_git


def test_what_is_there_is_told_of_many_at_once(plain: Repo) -> None:
    present = [ObjectId(name.decode()) for name in names(plain)]
    absent = ObjectId("0" * len(present[0]))
    asked = [*present, absent, *present]
    with ObjectReader(plain.plumbing) as reader:
        assert list(reader.has_all(present)) == [True] * len(present)
        assert not reader.asks_git
        assert list(reader.has_all(asked)) == [oid != absent for oid in asked]

    plain.git("repack", "-adq")
    with ObjectReader(plain.plumbing) as reader:
        many = asked * 2000  # more than a pipe holds
        assert list(reader.has_all(many)) == [oid != absent for oid in many]
        assert reader.get(present[0].encode()) is not None


def test_answers_that_nobody_has_taken_are_no_answers_to_the_next_question(plain: Repo) -> None:
    """Whoever finds the first of many missing gives up: the next to ask was told of the others."""
    asked = names(plain)
    commit, *others = by_git(plain, asked)
    with CatFile(plain.plumbing) as cat:
        abandoned = cat.get_all([b"0" * len(asked[0]), *asked])
        assert next(abandoned) is None

        assert cat.get(asked[0]) == commit
        heads = cat.has_all(asked)
        assert next(heads)
        assert list(cat.get_all(asked[1:])) == others
        with pytest.raises(RuntimeError, match="before all answers"):
            next(abandoned)
        assert cat.get_small(asked[0], 0) == Found(commit.oid, commit.kind, commit.size, b"")  # type: ignore[union-attr]
