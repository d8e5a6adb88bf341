"""Merging: the same commit whoever merges, nothing lost, nobody's settings in it."""

import contextlib
import hashlib
import inspect
import os
import random
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.repo import Repo
from tests.staging import commits_of
from workers.git.commit import Signature
from workers.git.index_entry import EXECUTABLE, FILE, LINK
from workers.git.merge import Merger, Unrelated
from workers.git.objectid import ObjectFormat
from workers.git.refname import parse_ref_name
from workers.git.run import GitError
from workers.git.stream import ObjectId
from workers.git.tree import Version
from workers.resolve import Annexed, Fate
from workers.unite import Pointers, Uniter
from workers.watcher.botched import Botched

PRIVATE = parse_ref_name(b"refs/annexd/test")
WHO = Signature(b"A", b"a@example.com", 1_700_000_000)

File = tuple[int, bytes]
"""Mode and content: b"key:NAME" for an annexed file."""


def parse(mode: int, content: bytes) -> Annexed | None:
    if b"/annex/objects/" not in content:
        return None
    name = content.rstrip(b"\n").rpartition(b"/")[2] if mode != LINK else content
    name = name.rpartition(b"/")[2]
    return Annexed(name, name)


POINTERS = Pointers(parse, 32768)


class History:
    """A repository in which commits are made without a work tree."""

    def __init__(self, path: Path, object_format: ObjectFormat = ObjectFormat.SHA1) -> None:
        self.repo = Repo.plain(path, object_format.value)
        self.commits = commits_of(self.repo, PRIVATE)
        self.uniter = Uniter(self.commits, POINTERS, self.repo.path / ".git")

    def version(self, path: bytes, file: File) -> Version:
        mode, content = file
        if content.startswith(b"key:"):
            key = b"SHA256E-s9--" + hashlib.sha256(content).hexdigest().encode()
            content = b"/annex/objects/%s\n" % key
            if mode == LINK:
                up = b"../" * path.count(b"/")
                content = b"%s.git/annex/objects/aa/bb/%s/%s" % (up, key, key)
        return Version(mode, self.commits.blob(content))

    def commit(
        self, files: Mapping[bytes, File], *parents: ObjectId, message: bytes = b"m\n"
    ) -> ObjectId:
        edits = {path: self.version(path, file) for path, file in files.items()}
        tree = self.commits.tree(None, edits)
        return self.commits.commit(tree, parents, author=WHO, committer=WHO, message=message)

    def unite(self, one: ObjectId, other: ObjectId) -> ObjectId:
        united = self.uniter.unite(one, other)
        assert not isinstance(united, Unrelated)
        return united.commit

    def files(self, commit: ObjectId) -> dict[bytes, tuple[str, bytes]]:
        """Path -> mode, and content or key."""
        out = self.repo.git("ls-tree", "-r", "-z", commit)
        found = {}
        for line in out.split(b"\0")[:-1]:
            meta, _, path = line.partition(b"\t")
            mode, _kind, oid = meta.decode().split()
            content = self.commits.content(ObjectId(oid), 1 << 20)
            annexed = parse(int(mode, 8), content)
            found[path] = mode, content if annexed is None else annexed.key
        return found


@pytest.fixture
def histories(tmp_path: Path) -> Iterator[Callable[..., History]]:
    """Makes histories, and ends their processes."""
    with contextlib.ExitStack() as cleanup:

        def make(name: str = "repo", object_format: ObjectFormat = ObjectFormat.SHA1) -> History:
            made = History(tmp_path / name, object_format)
            cleanup.enter_context(made.commits)
            return made

        yield make


@pytest.fixture
def history(histories: Callable[..., History]) -> History:
    return histories()


def key(content: bytes) -> bytes:
    return b"SHA256E-s9--" + hashlib.sha256(content).hexdigest().encode()


def variant(stem: str, identity: bytes, extension: str = "") -> bytes:
    digest = hashlib.md5(identity, usedforsecurity=False).hexdigest()[:4]
    return f"{stem}.variant-{digest}{extension}".encode()


T0, T1, T2 = (FILE, b"base\n"), (FILE, b"one\n"), (FILE, b"two\n")
K0, K1, K2 = (FILE, b"key:0"), (FILE, b"key:1"), (FILE, b"key:2")
L1 = (LINK, b"key:1")
KEY1, KEY2 = key(b"key:1"), key(b"key:2")
P, X, S = "100644", "100755", "120000"


def test_the_matrix_of_conflicts_comes_out_as_promised(history: History) -> None:
    base = {
        b"both.dat": K0,
        b"text.txt": T0,
        b"deleted.dat": K0,
        b"deleted.txt": T0,
        b"mixed": T0,
        b"became": (FILE, b"a file\n"),
        b"locked.dat": (LINK, b"key:0"),
        b"same.dat": K0,
        b"untouched": T0,
    }
    ours = base | {
        b"both.dat": K1,
        b"text.txt": T1,
        b"deleted.dat": K1,
        b"deleted.txt": T1,
        b"mixed": K1,
        b"locked.dat": L1,
        b"same.dat": L1,
        b"became": K1,
        b"new/file": (EXECUTABLE, b"key:1"),
        b"case": K1,
    }
    theirs = base | {
        b"both.dat": K2,
        b"text.txt": T2,
        b"mixed": T2,
        b"locked.dat": (LINK, b"key:2"),
        b"same.dat": (EXECUTABLE, b"key:1"),
        b"new/file": K2,
        b"became/directory": T2,
        b"CASE": K2,
    }
    del theirs[b"deleted.dat"], theirs[b"deleted.txt"], theirs[b"became"]
    start = history.commit(base)
    one, other = history.commit(ours, start), history.commit(theirs, start)

    united = history.uniter.unite(one, other)

    assert not isinstance(united, Unrelated)
    assert history.unite(other, one) == united.commit
    first, second = sorted((T1[1], T2[1]), key=history.commits.blob)
    assert history.files(united.commit) == {
        variant("both", KEY1, ".dat"): (P, KEY1),
        variant("both", KEY2, ".dat"): (P, KEY2),
        b"text.txt": (P, first),
        variant("text", history.commits.blob(second).encode(), ".txt"): (P, second),
        variant("deleted", KEY1, ".dat"): (P, KEY1),
        b"deleted.txt": (P, T1[1]),
        b"mixed": (P, T2[1]),
        variant("mixed", KEY1): (P, KEY1),
        variant("became", KEY1): (P, KEY1),
        b"became/directory": (P, T2[1]),
        variant("locked", KEY1, ".dat"): (S, KEY1),
        variant("locked", KEY2, ".dat"): (S, KEY2),
        b"same.dat": (X, KEY1),
        variant("new/file", KEY1): (X, KEY1),
        variant("new/file", KEY2): (P, KEY2),
        b"case": (P, KEY1),
        b"CASE": (P, KEY2),
        b"untouched": (P, T0[1]),
    }
    fates = {note.path: note.fate for note in united.notes}
    assert fates[b"same.dat"] is Fate.SAME_CONTENT
    assert fates[b"became"] is Fate.KEPT_CHANGED
    assert history.repo.git("fsck", "--strict", "--no-dangling") == b""
    assert os.listdir(history.repo.path) == [".git"]


def lines(*changes: str) -> bytes:
    text = [f"line {number}" for number in range(40)]
    for change in changes:
        number, _, new = change.partition(" ")
        text[int(number)] = new
    return "\n".join((*text, "")).encode()


RENAMES = {
    "to two names": ({b"a": b"1 x"}, {b"b": b"1 x"}, {b"c": b"1 y"}, 2),
    "and changed on both sides": ({b"a": b""}, {b"b": b"1 x"}, {b"a": b"1 y"}, 2),
    "and deleted": ({b"a": b""}, {b"b": b"1 x"}, {}, 1),
    "onto a new file": ({b"a": b""}, {b"b": b"1 x"}, {b"a": b"1 y", b"b": b"9 z"}, 3),
    "both onto one name": (
        {b"a": b"1 q", b"d": b"30 r"},
        {b"b": b"1 s", b"d": b"30 r"},
        {b"a": b"1 q", b"b": b"30 t"},
        2,
    ),
}


@pytest.mark.parametrize("name", RENAMES)
def test_renames_in_conflict_keep_each_side_s_own_words(history: History, name: str) -> None:
    before, ours, theirs, distinct = RENAMES[name]

    def files(spec: Mapping[bytes, bytes]) -> dict[bytes, File]:
        return {p: (FILE, lines(*([c.decode()] if c else []))) for p, c in spec.items()}

    start = history.commit(files(before) | {b"other": T0})
    one = history.commit(files(ours) | {b"other": T0}, start)
    other = history.commit(files(theirs) | {b"other": T0}, start)

    result = history.unite(one, other)

    assert result == history.unite(other, one)
    contents = {content for _mode, content in history.files(result).values()}
    news = {content for _mode, content in (files(ours) | {b"-": T0}).values()}
    for spec in (ours, theirs):
        news |= {c for _m, c in files(spec).values()} - {c for _m, c in files(before).values()}
    assert contents >= news - {c for _m, c in files(before).values()}
    assert not any(b"<<<<<<<" in content for content in contents)
    assert len(contents - {T0[1]}) >= distinct


def test_a_file_in_conflict_may_have_a_different_past_on_each_side(history: History) -> None:
    """Of several common ancestors git makes one, with files that are in nobody's repository."""
    start = history.commit({b"f": (FILE, lines("1 start"))})
    one = history.commit({b"f": (FILE, lines("1 one"))}, start)
    other = history.commit({b"f": (FILE, lines("1 other"))}, start)
    deleted = history.commit({}, history.commit({b"f": (FILE, lines("1 one"))}, one, other))
    last = {b"f": (FILE, lines("1 last"))}
    changed = history.commit(last, history.commit({b"f": (FILE, lines("1 other"))}, one, other))

    united = history.unite(deleted, changed)

    assert united == history.unite(changed, deleted)
    assert history.files(united) == {b"f": ("100644", lines("1 last"))}


@pytest.mark.parametrize("mode", [FILE, LINK])
def test_what_one_of_several_common_ancestors_had_is_no_news(history: History, mode: int) -> None:
    """One user saves a file again and again, and assistants delete it in between."""
    key0, key1, key2 = ({b"f.x": (mode, b"key:%d" % number)} for number in range(3))
    start = history.commit(key0)
    deleted = history.commit({}, start, message=b"git-annex in d\n")
    saved = history.commit(key1, start)
    theirs = history.commit(key1, saved, deleted)
    ours = history.commit(key2, history.commit(key2, saved), deleted)

    united = history.unite(ours, theirs)

    assert united == history.unite(theirs, ours)
    assert [entry[1] for entry in history.files(united).values()] == [key(b"key:2")]


@pytest.mark.parametrize("mode", [FILE, LINK])
@pytest.mark.parametrize("saved_again", [False, True])
def test_what_one_of_several_common_ancestors_had_not_is_no_deletion(
    history: History, mode: int, *, saved_again: bool
) -> None:
    """Two assistants delete the file that a user saves, merge that, and add it again."""
    key0, key1, key2 = ({b"f.x": (mode, b"key:%d" % number)} for number in range(3))
    start = history.commit(key0)
    deleted = history.commit({}, start, message=b"git-annex in d\n")
    saved = history.commit(key1, start)
    theirs = history.commit({}, saved, deleted)
    ours = history.commit(key1, saved, deleted)
    last = key2 if saved_again else key1

    united = history.unite(history.commit(last, ours), theirs)

    assert history.files(united).keys() == {b"f.x"}
    assert [entry[1] for entry in history.files(united).values()] == [
        key(b"key:2" if saved_again else b"key:1")
    ]


@pytest.mark.parametrize("mode", [FILE, LINK])
def test_what_an_assistant_says_again_is_no_conflict(history: History, mode: int) -> None:
    """It adds a file while that is replaced, commits the old content, and then the new one."""
    key0, key1, key2, key3 = ({b"f.x": (mode, b"key:%d" % number)} for number in range(4))
    replaced = history.commit(key1, history.commit(key0))
    once = history.commit(key0, replaced, message=b"git-annex in b\n")
    again = history.commit(key1, once, message=b"git-annex in b\n")

    united = history.unite(history.commit(key2, replaced), once)
    later = history.unite(history.commit(key3, united), again)

    assert [entry[1] for entry in history.files(united).values()] == [key(b"key:2")]
    assert [entry[1] for entry in history.files(later).values()] == [key(b"key:3")]


def test_what_an_assistant_deletes_and_adds_again_is_no_conflict_with_an_edit(
    history: History,
) -> None:
    start = history.commit({b"f.x": K0, b"g": K0})
    deleted = history.commit({b"g": K0}, start, message=b"git-annex in b\n")
    added = history.commit({b"f.x": K0, b"g": K0}, deleted, message=b"git-annex in b\n")
    edited = history.commit({b"f.x": K1, b"g": K0}, start)

    united = history.unite(edited, deleted)
    later = history.unite(history.commit({b"f.x": K2, b"g": K0}, united), added)

    assert history.unite(deleted, edited) == united
    assert history.files(united) == {b"f.x": (P, KEY1), b"g": (P, key(b"key:0"))}
    assert history.files(later) == {b"f.x": (P, KEY2), b"g": (P, key(b"key:0"))}


@pytest.mark.parametrize("message", [b"I mean it\n", b"git-annex in b\n\nAnnexd-deletes: 1\n"])
def test_a_deletion_that_somebody_answers_for_makes_a_variant_of_an_edit(
    history: History, message: bytes
) -> None:
    start = history.commit({b"f.x": K0})
    deleted = history.commit({}, start, message=message)
    edited = history.commit({b"f.x": K1}, start)

    assert history.files(history.unite(edited, deleted)) == {variant("f", KEY1, ".x"): (P, KEY1)}


def test_a_clean_merge_follows_a_rename(history: History) -> None:
    start = history.commit({b"a": (FILE, lines()), b"k": K0})
    one = history.commit({b"dir/b": (FILE, lines()), b"moved": K0}, start)
    other = history.commit({b"a": (FILE, lines("3 new")), b"k": K1}, start)
    assert history.files(history.unite(one, other)) == {
        b"dir/b": (P, lines("3 new")),
        b"moved": (P, KEY1),
    }


def test_one_that_is_behind_is_moved_forward_and_strangers_are_refused(history: History) -> None:
    start = history.commit({b"a": T0})
    after = history.commit({b"a": T1}, start)
    assert history.unite(start, after) == after
    assert history.unite(after, start) == after
    assert history.unite(after, after) == after
    stranger = history.commit({b"b": T2, b"a": T2})
    sides = tuple(sorted((after, stranger)))
    assert history.uniter.unite(stranger, after) == Unrelated((sides[0], sides[1]))
    merger = Merger(history.repo.plumbing, ObjectFormat.SHA1, history.repo.path / ".git")
    assert merger.merge(after, stranger, b"") == Unrelated((sides[0], sides[1]))
    allowed = history.uniter.unite_unrelated(after, stranger).commit
    assert allowed == history.uniter.unite_unrelated(stranger, after).commit
    assert set(history.files(allowed)) >= {b"a", b"b"}
    assert merger.merge_unrelated(after, stranger, b"").conflicts
    with pytest.raises(GitError):
        history.unite(after, ObjectId("1" * 40))


def test_nobody_s_settings_attributes_or_filters_have_a_say(
    histories: Callable[..., History], tmp_path: Path
) -> None:
    """Two repositories, one of which is full of traps, come to the same commit."""
    results = set()
    for name in ("plain", "trapped"):
        history = histories(name)
        repo = history.repo
        if name == "trapped":
            ran = tmp_path / "ran"
            for setting, value in (
                ("merge.conflictStyle", "diff3"),
                ("merge.renames", "false"),
                ("merge.directoryRenames", "true"),
                ("merge.renormalize", "true"),
                ("merge.trap.driver", f"touch {ran}; false"),
                ("merge.default", "trap"),
                ("filter.trap.clean", f"touch {ran}; cat"),
                ("filter.trap.smudge", f"touch {ran}; cat"),
                ("core.autocrlf", "true"),
                ("diff.algorithm", "minimal"),
                ("diff.renames", "false"),
            ):
                repo.config(setting, value)
            repo.write(".git/info/attributes", b"* filter=trap merge=trap\n*.txt merge=union\n")
            repo.write(".gitattributes", b"* merge=union\n")
        start = history.commit({b"d/a": (FILE, lines()), b"f.txt": T0, b"x.txt": T0})
        one = history.commit({b"e/a": (FILE, lines()), b"f.txt": T1, b"x.txt": T0}, start)
        other = history.commit(
            {b"d/a": (FILE, lines("3 x")), b"d/new": T2, b"f.txt": T2, b"x.txt": T0}, start
        )
        results.add(history.unite(one, other))
        assert set(history.files(history.unite(one, other))) >= {b"e/a", b"d/new", b"f.txt"}
    assert len(results) == 1
    assert not (tmp_path / "ran").exists()


def test_attributes_in_the_commits_are_obeyed(history: History) -> None:
    rules = {b".gitattributes": (FILE, b"*.log merge=union\n")}
    start = history.commit(rules | {b"a.log": T0})
    one = history.commit(rules | {b"a.log": (FILE, b"base\none\n")}, start)
    other = history.commit(rules | {b"a.log": (FILE, b"base\ntwo\n")}, start)
    _mode, content = history.files(history.unite(one, other))[b"a.log"]
    assert sorted(content.split()) == [b"base", b"one", b"two"]


def test_a_shallow_clone_merges_what_it_has(history: History, tmp_path: Path) -> None:
    head = history.commit({b"a": T0})
    for number in range(3):
        head = history.commit({b"a": T0, b"n": (FILE, b"%d" % number)}, head)
    one = history.commit({b"a": T1}, head)
    other = history.commit({b"a": T0, b"b": T2}, head)
    expected = history.unite(one, other)
    for name, oid in (("one", one), ("other", other)):
        history.repo.git("branch", name, oid)
    shallow = Repo(tmp_path / "shallow")
    url = f"file://{history.repo.path}"
    history.repo.git(
        "clone", "-q", "--depth=2", "--no-single-branch", "-b", "one", url, shallow.path
    )
    commits = commits_of(shallow, PRIVATE)
    with commits:
        united = Uniter(commits, POINTERS, tmp_path).unite(one, other)
    assert not isinstance(united, Unrelated)
    assert united.commit == expected


def test_hostile_names_and_sha256_make_no_difference(histories: Callable[..., History]) -> None:
    history = histories(object_format=ObjectFormat.SHA256)
    names = [b"new\nline", b"\xff\xfe", b'"q"', b"t\tab", b":x", b"d/\n/f", b"n" * 255]
    start = history.commit(dict.fromkeys(names, T0))
    one = history.commit(dict.fromkeys(names, K1), start)
    other = history.commit(dict.fromkeys(names, T2), start)
    result = history.files(history.unite(one, other))
    assert {path for path, found in result.items() if found == (P, T2[1])} == set(names)
    assert len(result) == 2 * len(names)
    assert set(result.values()) == {(P, T2[1]), (P, KEY1)}


PATHS = st.sampled_from((b"a", b"b", b"d", b"d/x", b"d/y", b"d.z/q.txt"))
CONTENTS = st.sampled_from([b"%d\n" % n for n in range(6)] + [b"key:%d" % n for n in range(6)])
MODES = st.sampled_from((FILE, FILE, EXECUTABLE, LINK))
EDITS = st.dictionaries(PATHS, st.none() | st.tuples(MODES, CONTENTS), max_size=4)


def edited(files: Mapping[bytes, File], edits: Mapping[bytes, File | None]) -> dict[bytes, File]:
    """As a person edits: a file takes the place of a directory, and the reverse."""
    found = dict(files)
    for path, file in edits.items():
        found.pop(path, None)
        if file is not None:
            for other in list(found):
                if other.startswith(path + b"/") or path.startswith(other + b"/"):
                    del found[other]
            found[path] = file
    return found


def identities(files: Mapping[bytes, File]) -> set[bytes]:
    return {key(c) if c.startswith(b"key:") else c for _mode, c in files.values()}


@pytest.mark.parametrize("above", [b"", b"deep/er/"])
def test_what_both_sides_have_is_not_overwritten_by_what_git_takes_for_a_rename(
    history: History, above: bytes
) -> None:
    """One has renamed ``d``; the other has a copy there, too, and has changed ``d``."""
    old, new, beside = above + b"d", above + b"v", above + b"beside"
    start = history.commit({old: (FILE, b"key:1"), beside: (FILE, b"1\n")})
    moved = history.commit({new: (FILE, b"key:1"), beside: (FILE, b"2\n")}, start)
    copied = {old: (FILE, b"text\n"), new: (FILE, b"key:1"), beside: (FILE, b"1\n")}
    made = history.unite(moved, history.commit(copied, start))

    found = {path: content for path, (_mode, content) in history.files(made).items()}
    assert found == {old: b"text\n", new: key(b"key:1"), beside: b"2\n"}


def test_the_same_where_a_directory_has_taken_the_old_name(history: History) -> None:
    start = history.commit({b"d": (FILE, b"key:1")})
    moved = history.commit({b"v": (FILE, b"key:1"), b"d/x": (FILE, b"x\n")}, start)
    copied = history.commit({b"d": (FILE, b"text\n"), b"v": (FILE, b"key:1")}, start)
    files = history.files(history.unite(moved, copied))

    assert files[b"v"][1] == key(b"key:1")
    assert files[b"d/x"][1] == b"x\n"
    assert b"text\n" in {content for _mode, content in files.values()}


def test_programs_may_have_made_more_merges_in_a_row_than_our_stack_is_deep(
    history: History,
) -> None:
    """What each should have been follows from what its parents should have been."""
    base = tip = history.commit({b"a": (FILE, b""), b"b": (FILE, b"")})
    for number in range(50):
        text = b"%d" % number
        old = {path: (FILE, content) for path, (_mode, content) in history.files(tip).items()}
        one = history.commit(old | {b"a": (FILE, text)}, tip)
        other = history.commit(old | {b"b": (FILE, text)}, tip)
        both = {b"a": (FILE, text), b"b": (FILE, text)}
        tip = history.commit(both, one, other, message=b"git-annex in a\n")
    history.commits.hold(tip)
    history.repo.git("update-ref", "refs/heads/main", tip)
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 150)
    try:
        mended = Botched(history.commits, history.uniter).mended(base, tip, b"main")
    finally:
        sys.setrecursionlimit(limit)

    assert mended == tip


def test_directories_may_be_deeper_than_our_stack(history: History) -> None:
    """A peer's: both sides have changed something at the bottom."""
    deep = b"d/" * 1500
    files = [(deep + b"f", (FILE, b"first")), (deep + b"g", (FILE, b"first"))]
    base = history.commit(dict(files))
    one = history.commit(dict([*files, (deep + b"f", (FILE, b"one"))]), base)
    other = history.commit(dict([*files, (deep + b"g", (FILE, b"other"))]), base)

    united = history.files(history.unite(one, other))

    assert {content for _mode, content in united.values()} == {b"one", b"other"}


def test_a_rename_is_followed_where_nobody_else_has_that_name(history: History) -> None:
    lines = b"".join(b"line %d\n" % number for number in range(20))
    start = history.commit({b"d": (FILE, lines)})
    moved = history.commit({b"v": (FILE, lines)}, start)
    changed = history.commit({b"d": (FILE, lines + b"more\n")}, start)
    made = history.files(history.unite(moved, changed))

    assert {path: content for path, (_mode, content) in made.items()} == {b"v": lines + b"more\n"}


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    base=EDITS,
    sides=st.lists(EDITS, min_size=2, max_size=3),
    seed=st.integers(0, 1000),
)
@example(
    base={},
    sides=[{b"d": (FILE, b"key:1")}, {b"d/x": (FILE, b"0\n")}, {b"d": (FILE, b"0\n")}],
    seed=238,
)
def test_all_come_to_the_same_commit_in_any_order_and_nothing_new_is_lost(
    history: History,
    base: Mapping[bytes, File | None],
    sides: list[Mapping[bytes, File | None]],
    seed: int,
) -> None:
    """Repositories that pull from each other at random, until all are the same."""
    start_files = edited({}, base)
    start = history.commit(start_files)
    side_files = [edited(start_files, edits) for edits in sides]
    heads = [history.commit(files, start) for files in side_files]
    chance = random.Random(seed)  # noqa: S311 -- to be repeated, not to be secret
    for _pull in range(60):
        if len(set(heads)) == 1:
            break
        puller, source = chance.sample(range(len(heads)), 2)
        heads[puller] = history.unite(heads[puller], heads[source])
    assert len(set(heads)) == 1

    after = history.files(heads[0])
    new = set[bytes]().union(*(identities(files) for files in side_files))
    new -= identities(start_files)
    assert {content for _mode, content in after.values()} >= new
    assert not any(b"<<<<" in content for _mode, content in after.values())


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(base=EDITS, sides=st.lists(EDITS, min_size=3, max_size=3))
def test_the_results_of_two_orders_are_united_into_one(
    history: History, base: Mapping[bytes, File | None], sides: list[Mapping[bytes, File | None]]
) -> None:
    start_files = edited({}, base)
    start = history.commit(start_files)
    a, b, c = (history.commit(edited(start_files, edits), start) for edits in sides)
    left = history.unite(history.unite(a, b), c)
    right = history.unite(a, history.unite(b, c))
    middle = history.unite(b, history.unite(c, a))

    both = history.unite(left, right)
    assert both == history.unite(right, left)
    whole = history.unite(both, middle)
    assert whole == history.unite(middle, both)
    assert history.unite(whole, left) == whole
