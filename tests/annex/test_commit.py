"""Objects, trees and commits written natively, with git as the judge."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.processes import run
from tests.repo import Repo
from tests.staging import commits_of
from workers.git.commit import Commits, Signature, committer_time
from workers.git.conventions import Conventions
from workers.git.objectid import ObjectFormat
from workers.git.objects import LOOSE_MAX
from workers.git.refname import parse_ref_name
from workers.git.refs import Refs
from workers.git.settings import Settings
from workers.git.stream import MissingObjectError, ObjectId
from workers.git.tree import Version

PRIVATE = parse_ref_name(b"refs/annexd/test")
WHO = Signature(b"A U Thor", b"author@example.com", 1_700_000_000, b"+0130")
FILE = 0o100644


class Writing:
    """A repository and who writes into it."""

    def __init__(self, repo: Repo, object_format: ObjectFormat) -> None:
        self.repo = repo
        self.object_format = object_format
        self.commits = commits_of(repo, PRIVATE)

    def commit(self, tree: ObjectId, *parents: ObjectId) -> ObjectId:
        return self.commits.commit(tree, parents, author=WHO, committer=WHO, message=b"message\n")


@pytest.fixture(params=list(ObjectFormat), ids=lambda each: str(each.value))
def writing(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Writing]:
    made = Writing(Repo.plain(tmp_path / "repo", request.param.value), request.param)
    with made.commits:
        yield made


@pytest.mark.parametrize("count", [1, 80, LOOSE_MAX + 1, 3000])
def test_what_was_written_git_reads_and_finds_sound(writing: Writing, count: int) -> None:
    contents = {b"d%d/f%d" % (n % 7, n): b"%d" % n + b"x" * (n * 7 % 1500) for n in range(count)}
    commits = writing.commits
    edits = {path: Version(FILE, commits.blob(data)) for path, data in contents.items()}

    head = writing.commit(commits.tree(None, edits))

    repo = writing.repo
    assert Refs(repo.plumbing).get(PRIVATE) == head
    said = repo.git("fsck", "--full", "--strict", "--no-dangling")
    assert said == b""
    repo.git("update-ref", "refs/heads/main", head)
    repo.git("reset", "-q", "--hard")
    assert {path: repo.read(path) for path in contents} == contents
    assert repo.status() == b""
    packs = list((repo.path / ".git/objects/pack").iterdir())
    assert len(packs) == (2 if count > LOOSE_MAX else 0)
    for path in packs:
        assert path.stat().st_mode & 0o777 == 0o444
        if path.suffix == ".idx":
            repo.git("verify-pack", path)
    assert list((repo.path / ".git/objects/annexd-test").iterdir()) == []
    repo.git("gc", "-q", "--prune=now")
    assert repo.head() == head


def test_a_commit_is_what_git_commit_tree_would_make(writing: Writing) -> None:
    commits, repo = writing.commits, writing.repo
    tree = commits.tree(None, {b"a": Version(FILE, commits.blob(b"a"))})
    one = writing.commit(tree)
    two = commits.commit(
        tree, (one,), author=WHO, committer=Signature(b" <C\n,", b"c@x>", 5), message=b"\xff\n\nb"
    )
    env = {
        "GIT_AUTHOR_NAME": "A U Thor",
        "GIT_AUTHOR_EMAIL": "author@example.com",
        "GIT_AUTHOR_DATE": "1700000000 +0130",
        "GIT_COMMITTER_NAME": " <C\n,",
        "GIT_COMMITTER_EMAIL": "c@x>",
        "GIT_COMMITTER_DATE": "@5 +0000",
    }
    argv = ["git", "commit-tree", tree, "-p", one]
    made = run(argv, cwd=repo.path, env=env, stdin=b"\xff\n\nb").decode().strip()

    assert two == made
    assert committer_time(repo.git("cat-file", "commit", two)) == 5
    assert committer_time(repo.git("cat-file", "commit", one)) == 1_700_000_000


def test_settings_and_hooks_of_the_user_change_nothing(writing: Writing) -> None:
    repo, commits = writing.repo, writing.commits
    tree = commits.tree(None, {b"a": Version(FILE, commits.blob(b"a\r\n"))})
    plain = writing.commit(tree)
    for name, value in (
        ("commit.gpgsign", "true"),
        ("gpg.program", "false"),
        ("i18n.commitEncoding", "latin1"),
        ("core.autocrlf", "input"),
        ("core.ignoreCase", "true"),
        ("user.useConfigOnly", "true"),
        ("core.compression", "0"),
    ):
        repo.config(name, value)
    for hook in ("pre-commit", "commit-msg", "post-commit"):
        repo.write(f".git/hooks/{hook}", b"#!/bin/sh\nexit 1\n").chmod(0o755)
    commits.close()
    edits = {name: Version(FILE, commits.blob(b"a\r\n")) for name in (b"a",)}

    assert writing.commit(commits.tree(None, edits)) == plain
    both = commits.tree(None, {n: Version(FILE, commits.blob(n)) for n in (b"case", b"CASE")})
    head = writing.commit(both, plain)
    assert repo.git("ls-tree", "--name-only", head).split() == [b"CASE", b"case"]


def test_the_same_arguments_give_the_same_commit_in_any_repository(tmp_path: Path) -> None:
    heads = set()
    for name in ("one", "two"):
        writing = Writing(Repo.plain(tmp_path / name), ObjectFormat.SHA1)
        with writing.commits as commits:
            left = writing.commit(commits.tree(None, {b"l": Version(FILE, commits.blob(b"l"))}))
            right = writing.commit(commits.tree(None, {b"r": Version(FILE, commits.blob(b"r"))}))
            tree = commits.tree(commits.tree_of(left), {b"r": Version(FILE, commits.blob(b"r"))})
            heads.add(writing.commit(tree, *sorted((left, right))))
        assert len(writing.repo.git("rev-list", *heads).split()) == 3
    assert len(heads) == 1


COMPONENTS = st.sampled_from((b"a", b"b", b"a-", b"a.", b"c\n", b"\xff", b"0", b'"q'))
PATHS = st.lists(COMPONENTS, min_size=1, max_size=4).map(b"/".join)
MODES = st.sampled_from((FILE, 0o100755, 0o120000))


def without_parents(paths: set[bytes]) -> list[bytes]:
    return [p for p in sorted(paths) if not any(q.startswith(p + b"/") for q in paths)]


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(before=st.sets(PATHS, max_size=10), changed=st.sets(PATHS, max_size=6), data=st.data())
def test_any_edit_gives_the_tree_that_git_would_make(
    writing: Writing, before: set[bytes], changed: set[bytes], data: st.DataObject
) -> None:
    commits, repo = writing.commits, writing.repo
    base = commits.tree(
        None, {path: Version(FILE, commits.blob(path)) for path in without_parents(before)}
    )
    settable = set(without_parents(changed))
    edits: dict[bytes, Version | None] = {}
    for path in sorted(changed):
        keep = path in settable and data.draw(st.booleans(), label=repr(path))
        edits[path] = Version(data.draw(MODES), commits.blob(b"new")) if keep else None

    after = commits.tree(base, edits)

    writing.commit(after)
    zero = "0" * len(base)
    lines = [b"0 %s\t%s\0" % (zero.encode(), p) for p, version in edits.items() if version is None]
    lines += [b"%o %s\t%s\0" % (v.mode, v.oid.encode(), p) for p, v in edits.items() if v]
    repo.git("read-tree", base)
    repo.git("update-index", "-z", "--index-info", stdin=b"".join(lines))
    assert after == repo.git("write-tree").decode().strip()
    repo.git("fsck", "--strict", "--no-dangling", after)


def test_edits_that_change_nothing_give_the_same_tree(writing: Writing) -> None:
    commits = writing.commits
    version = Version(FILE, commits.blob(b"1"))
    base = commits.tree(None, {b"d/a": version})
    assert commits.tree(base, {}) == base
    assert commits.tree(base, {b"d/a": version}) == base
    assert commits.tree(base, {b"x/y": None, b"d": None, b"d/a/z": None}) == base
    assert commits.tree(None, {}) == writing.object_format.empty_tree()
    assert commits.tree(base, {b"d/a": None}) == writing.object_format.empty_tree()


def test_what_no_tree_can_hold_is_refused(writing: Writing) -> None:
    commits = writing.commits
    version = Version(FILE, commits.blob(b"1"))
    for edits in (
        {b"a": version, b"a/b": version},
        {b".git/config": version},
        {b"a/../b": version},
        {b"/a": version},
        {b"a//b": version},
    ):
        with pytest.raises(ValueError, match=r"refuses|both"):
            commits.tree(None, edits)
    with pytest.raises(MissingObjectError):
        commits.tree(ObjectId("1" * len(version.oid)), {b"a": version})
    with pytest.raises(MissingObjectError):
        commits.tree_of("absent")


def test_a_path_may_be_very_deep(writing: Writing) -> None:
    deep = b"/".join([b"d"] * 3000)
    commits = writing.commits
    base = commits.tree(None, {deep + b"/f": Version(FILE, commits.blob(b"1"))})
    assert commits.tree(base, {deep + b"/f": None}) == writing.object_format.empty_tree()


def test_the_private_ref_keeps_gc_away_until_it_is_released(writing: Writing) -> None:
    repo, commits = writing.repo, writing.commits
    head = writing.commit(commits.tree(None, {b"a": Version(FILE, commits.blob(b"a"))}))
    repo.git("gc", "-q", "--prune=now")
    assert repo.git("cat-file", "-t", head) == b"commit\n"
    commits.release()
    commits.release()
    repo.git("gc", "-q", "--prune=now")
    with pytest.raises(AssertionError):
        repo.git("cat-file", "-t", head)
    # The same object again: what was added before does not count as written.
    assert writing.commit(commits.tree(None, {b"a": Version(FILE, commits.blob(b"a"))})) == head
    repo.git("fsck", "--strict")


@pytest.mark.parametrize("kind", ["empty", "zeros", "lost commit"])
def test_a_private_ref_torn_by_a_power_cut_is_removed(writing: Writing, kind: str) -> None:
    size = 2 * writing.object_format.raw_size
    texts = {"empty": b"", "zeros": bytes(size + 1), "lost commit": b"1" * size + b"\n"}
    path = writing.repo.path / ".git/refs/annexd/test"
    path.parent.mkdir()
    path.write_bytes(texts[kind])
    writing.commits.start()
    assert not path.exists()
    writing.repo.git("gc", "-q")


def test_a_large_file_is_stored_without_being_held(writing: Writing, tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(b"0123456789abcdef" * 200_000)
    size = path.stat().st_size
    for _again in (1, 2):
        with path.open("rb") as source:
            oid = writing.commits.blob_of_file(source, size)
        writing.commit(writing.commits.tree(None, {b"large": Version(FILE, oid)}))
        assert oid == writing.repo.git("hash-object", path).decode().strip()
        assert writing.repo.git("cat-file", "blob", oid) == path.read_bytes()
    for wrong in (size - 1, size + 1, 0):
        with path.open("rb") as source, pytest.raises(ValueError, match="size"):
            writing.commits.blob_of_file(source, wrong)
    writing.repo.git("fsck", "--no-dangling")


def test_no_object_has_its_name_before_it_is_durable(tmp_path: Path) -> None:
    """A power cut leaves names without contents, and an object that has a name is believed."""
    repo = Repo.plain(tmp_path / "repo")
    seen: list[int] = []

    def loose() -> int:
        return len(list((repo.path / ".git/objects").glob("[0-9a-f][0-9a-f]/*")))

    conventions = Conventions.of(Settings.read(repo.plumbing))
    with Commits(repo.plumbing, conventions, PRIVATE, lambda: seen.append(loose())) as commits:
        tree = commits.tree(None, {b"d/a": Version(FILE, commits.blob(b"a"))})
        commits.commit(tree, (), author=WHO, committer=WHO, message=b"")
    assert seen == [0]
    assert loose() == 4


def test_what_a_power_cut_took_is_written_again(writing: Writing) -> None:
    """An empty file with the name of an object, as git without fsync leaves it."""
    commits, objects = writing.commits, writing.repo.path / ".git/objects"
    edits = {b"a": Version(FILE, commits.blob(b"a"))}
    head = writing.commit(commits.tree(None, edits))
    for path in objects.glob("[0-9a-f][0-9a-f]/*"):
        path.chmod(0o644)
        path.write_bytes(b"")
    commits.close()
    edits = {b"a": Version(FILE, commits.blob(b"a"))}
    assert writing.commit(commits.tree(None, edits)) == head
    writing.repo.git("fsck", "--strict", "--no-dangling")


def test_a_killed_process_leaves_nothing_that_stays(writing: Writing) -> None:
    workshop = writing.repo.path / ".git/objects/annexd-test"
    workshop.mkdir()
    (workshop / "1").write_bytes(b"half an object")
    writing.repo.git("fsck", "--strict")
    writing.repo.git("gc", "-q", "--prune=now")
    writing.commits.start()
    assert not workshop.exists()
    writing.commit(writing.commits.tree(None, {}))


def test_objects_of_a_shared_repository_are_shared(tmp_path: Path) -> None:
    repo = Repo.plain(tmp_path / "repo")
    repo.config("core.sharedRepository", "0660")
    theirs = repo.git("hash-object", "-w", "--stdin", stdin=b"theirs").decode().strip()
    with commits_of(repo, PRIVATE) as commits:
        ours = commits.blob(b"ours")
        tree = commits.tree(None, {b"ours": Version(FILE, ours)})
        commits.commit(tree, (), author=WHO, committer=WHO, message=b"")
    modes = []
    for oid in (theirs, ours):
        path = repo.path / ".git/objects" / oid[:2]
        modes.append([oct(os.stat(each).st_mode) for each in (path, path / oid[2:])])
    assert modes[0] == modes[1]


def test_how_long_it_takes(
    writing: Writing, record_property: Callable[[str, object], None]
) -> None:
    commits, clock = writing.commits, time.perf_counter
    head = writing.commit(commits.tree(None, {b"start": Version(FILE, commits.blob(b"s"))}))
    figures = {}
    for count in (1, 10_000):
        start = clock()
        edits = {
            b"dir/file %06d" % n: Version(FILE, commits.blob(b"/annex/objects/%0100d\n" % n))
            for n in range(count)
        }
        head = writing.commit(commits.tree(commits.tree_of(head), edits), head)
        figures[count] = clock() - start
        record_property(f"commit_{count}_ms", round(1e3 * figures[count], 2))
    assert len(writing.repo.git("ls-tree", "-r", "--name-only", head).splitlines()) == 10_001
    assert figures[10_000] < 5
