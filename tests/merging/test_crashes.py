"""Killed anywhere in a merge: every file is old or new, and the next run completes it."""

import os
import shutil
import signal
from pathlib import Path

import pytest

from tests.desks import copy_pair, desk_of, make_pair, nothing
from tests.merging.steps import push, save
from tests.processes import pause
from tests.repo import Repo
from workers.git.stream import ObjectId
from workers.watcher.apply import Dirty
from workers.watcher.begun import begin, was_begun
from workers.watcher.footing import Footing
from workers.watcher.merging import Merging
from workers.watcher.outcome import Merged, Quiet

FILES = 150


def versions(number: int) -> set[bytes | None]:
    """What file ``number`` may be: before or after, and a third of them comes, a third goes."""
    old, new = b"old %d\n" % number, b"new %d\n" % number
    return {None if number % 3 == 0 else old, None if number % 3 == 1 else new}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``b`` has the old files and, in ``synced/main``, the new ones."""
    place = make_pair(tmp_path_factory)
    a, b = Repo(place / "a"), Repo(place / "b")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        for name in ("GIT_AUTHOR", "GIT_COMMITTER"):
            patch.setenv(name + "_NAME", "t")
            patch.setenv(name + "_EMAIL", "t@example.com")
        for kind in (b"old", b"new"):
            a.git("rm", "-rqf", "--ignore-unmatch", ".")
            for number in range(FILES):
                content = kind + b" %d\n" % number
                if content in versions(number):
                    a.write(f"d{number % 7}/{number}", content)
            a.git("-c", "annex.largefiles=nothing", "add", ".")
            a.git("commit", "-q", "-m", kind)
            a.git("push", "-q", "b", "main:synced/main")
            if kind == b"old":
                b.git("merge", "-q", "synced/main")
    return place


def merge(b: Repo) -> object:
    with desk_of(b) as desk:
        desk.commits.start()
        merging = Merging(desk, Footing(desk), nothing)
        merging.accept()
        return merging.merge()


@pytest.mark.parametrize("delay_s", [0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.13])
def test_a_killed_merge(template: Path, tmp_path: Path, delay_s: float) -> None:
    a, b = copy_pair(template, tmp_path)
    pid = os.fork()
    if pid == 0:
        try:
            merge(b)
        finally:
            os._exit(0)
    pause(delay_s)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)

    for number in range(FILES):
        path = b.path / f"d{number % 7}/{number}"
        assert (path.read_bytes() if path.exists() else None) in versions(number)
    outcome = merge(b)
    if isinstance(outcome, Dirty):  # as the watcher does with what looks like a user's edit
        b.git("-c", "annex.largefiles=nothing", "add", "-A")
        b.git("commit", "-q", "-m", "as if by a user")
        outcome = merge(b)

    assert b.git("rev-parse", "HEAD^{tree}") == a.git("rev-parse", "HEAD^{tree}"), outcome
    assert b.status() == b""
    assert merge(b) is Quiet.NOTHING
    b.git("fsck", "--strict", "--no-dangling")


@pytest.mark.parametrize("done", [1, 2])
def test_half_a_conflict_is_completed_and_no_deletion(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, done: int
) -> None:
    """The file has got its new name, and the other one has come or not; the index knows neither."""
    a, b = copy_pair(make_pair(tmp_path_factory), tmp_path)
    for repo in (a, b):
        save(repo, "f", f"of {repo.path.name}".encode() * 99)
    push(a)
    b.annex("get", "-q", "--key", a.key("f"), "--from", "a")
    expected = Repo(tmp_path / "undisturbed")
    shutil.copytree(b.path, expected.path, symlinks=True)
    expected.git("update-index", "-q", "--refresh")  # they are other inodes
    assert isinstance(merge(expected), Merged)
    names = sorted(name.decode() for name in expected.tree() if b".variant-" in name)
    for name in names[:done]:
        shutil.copy(expected.path / name, b.path / name)
    b.remove("f")
    with desk_of(b) as desk:
        begin(desk)

    assert isinstance(merge(b), Merged)

    assert b.git("rev-parse", "HEAD") == expected.git("rev-parse", "HEAD")
    assert b.status() == b""
    with desk_of(b) as desk:
        assert not was_begun(desk)


@pytest.mark.parametrize("is_new", [True, False])
def test_what_was_written_before_a_kill_and_has_changed_again_is_nobodys_version(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, *, is_new: bool
) -> None:
    """With an edit of the user's in its way the merge cannot be completed: all is committed."""
    a, b = copy_pair(make_pair(tmp_path_factory), tmp_path)
    if not is_new:
        save(a, "f", b"first")
        push(a)
        merge(b)
    save(a, "f", b"second")
    save(b, "theirs", b"of the user's")
    save(b, "f", b"second")
    save(a, "f", b"third")
    push(a)

    assert isinstance(merge(b), Merged)

    assert set(b.tree()) >= {b"f", b"theirs"}
    assert not [name for name in b.tree() if b".variant-" in name]
    assert b.git("rev-parse", "HEAD:f") == a.git("rev-parse", "HEAD:f")


@pytest.mark.parametrize("then", ["deleted", "renamed"])
@pytest.mark.parametrize("is_adjusted", [False, True])
def test_what_half_a_merge_has_brought_and_others_have_taken_away_since_goes_too(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, then: str, *, is_adjusted: bool
) -> None:
    """Neither our tree nor what has arrived has the file then: it looked like a user's new one."""
    a, b = copy_pair(make_pair(tmp_path_factory), tmp_path)
    save(a, "before", b"before")
    push(a)
    assert isinstance(merge(b), Merged)
    if is_adjusted:
        b.annex("adjust", "--unlock")
    save(a, "f", b"of a")
    push(a)
    with desk_of(b) as desk:
        begin(desk, [ObjectId(a.head())])
    b.write("f", (a.git("show", "HEAD:f")))  # the pointer: all that was made before the kill
    if then == "deleted":
        a.git("rm", "-q", "f")
    else:
        a.git("mv", "f", "g")
    a.git("commit", "-q", "-m", then)
    push(a)

    assert isinstance(merge(b), Merged)

    assert b.tree().keys() == a.tree().keys()
    assert b.status() == b""
    with desk_of(b) as desk:
        assert not was_begun(desk)


def test_a_note_about_commits_that_nobody_has_any_more_is_no_hindrance(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    a, b = copy_pair(make_pair(tmp_path_factory), tmp_path)
    save(a, "f", b"of a")
    push(a)
    with desk_of(b) as desk:
        begin(desk, [ObjectId("1" * 40)])
        desk.place.merging.write_bytes(desk.place.merging.read_bytes() + b"no commit\n" + b"1" * 9)

    assert isinstance(merge(b), Merged)

    assert b.tree() == a.tree()
