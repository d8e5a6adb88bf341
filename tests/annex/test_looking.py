"""Paths are looked at while their users are at work."""

import contextlib
import errno
import os
import resource
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.desks import desk_of, nothing
from tests.processes import descendants, kill, wait_until
from tests.repo import Repo
from workers.wakeup import Wakeup
from workers.watcher.agenda import BEHIND_MAX_S, GONE_S, RENAMED_S, Agenda, Why
from workers.watcher.guard import Guard
from workers.watcher.ingest import SMALL, Ingest
from workers.watcher.looking import Looker
from workers.watcher.rules import Rules
from workers.watcher.sidehash import LEAST
from workers.watcher.walk import Walk
from workers.watcher.worktree import WorkTree


@contextlib.contextmanager
def looking(repo: Repo, agenda: Agenda, breathe: Callable[[], None] = nothing) -> Iterator[Looker]:
    """Who looks at the paths of a repository; no event is heard."""
    with desk_of(repo) as desk:
        wakeup, rules = Wakeup(), Rules(desk)
        tree = WorkTree(
            desk.top, desk.filesystems, wakeup, lambda _path: nothing(), lambda _path: nothing()
        )
        yield Looker(desk, agenda, Guard(desk), tree, Ingest(desk, rules, breathe))
        rules.close()
        wakeup.close()


def test_what_is_heard_of_a_path_while_it_is_looked_at_is_not_forgotten(repo: Repo) -> None:
    """It was there a moment ago, is deleted, and the event is taken before it is opened."""
    repo.add("file", b"before")
    repo.annex("unlock", "-q", "file")
    repo.git("commit", "-qm", "unlocked")
    agenda = Agenda()

    def breathe() -> None:
        if repo.exists("file"):
            repo.remove("file")
            agenda.mark_missing(b"file", time.monotonic())

    with looking(repo, agenda, breathe) as looker:
        repo.write("file", b"after")
        now = time.monotonic()
        agenda.mark(b"file", now)

        found = looker.look([b"file"], now)

        assert not found
        assert b"file" in agenda


@pytest.mark.parametrize(
    ("size", "call"), [(7, "pread"), (3 << 20, "preadv"), (LEAST, "copy_file_range")]
)
def test_a_file_on_a_bad_sector_does_not_keep_others_from_being_committed(
    repo: Repo, size: int, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It can be opened, and not read: the watcher crashed, again and again."""
    repo.write("bad", os.urandom(size))

    def fail(*_args: object) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with desk_of(repo) as desk:
        rules = Rules(desk)
        ingest, attributes = Ingest(desk, rules, nothing), rules.attributes([b"bad"])[0]

        with monkeypatch.context() as bad:
            bad.setattr(os, call, fail)
            found = ingest.take(b"bad", None, attributes)

        assert found is Why.UNREADABLE
        assert not list(desk.place.tmp.glob("*"))
        rules.close()


@pytest.mark.parametrize("size", [SMALL - 1, SMALL + 1])
def test_a_file_larger_than_what_may_be_written_does_not_keep_others_from_being_committed(
    repo: Repo, size: int
) -> None:
    """As under ulimit -f: the watcher crashed, and annexd did not start."""
    repo.write("large", os.urandom(size))
    repo.write("small", os.urandom(size // 4))
    agenda = Agenda()
    with looking(repo, agenda) as looker:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, hard))
        try:
            found = looker.look([b"large", b"small"], time.monotonic())
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert [each.path for each in found] == [b"small"]
    assert agenda.notes() == (("skipped", "large"),)


def test_a_killed_check_ignore_leaves_no_file_out(repo: Repo) -> None:
    repo.write(".gitignore", b"*.o\n")
    before = set(descendants(os.getpid()))
    with desk_of(repo) as desk:
        rules = Rules(desk)
        assert rules.ignored((b"a.o", b"a")) == {b"a.o"}
        for pid in set(descendants(os.getpid())) - before:
            kill(pid)

        assert rules.ignored((b"b", b"b.o")) == {b"b.o"}
        rules.close()


def test_what_was_deleted_before_anybody_looked_counts_as_deleted_at_once(repo: Repo) -> None:
    repo.add("long ago/old", b"content")
    repo.add("now/old", b"content of another")
    (repo.path / "long ago" / "old").unlink()
    deleted = time.monotonic()
    agenda = Agenda()
    with looking(repo, agenda) as looker:
        paths = [b"long ago/old", b"now/old"]
        wait_until(lambda: time.monotonic() > deleted + GONE_S + 0.1)
        (repo.path / "now" / "old").unlink()
        now = time.monotonic()
        for path in paths:
            agenda.mark_missing(path, now)

        assert [finding.path for finding in looker.look(paths, now)] == [b"long ago/old"]
        assert [finding.path for finding in looker.look(paths[1:], now + GONE_S)] == paths[1:]


def test_nothing_counts_as_deleted_while_new_names_wait_to_be_looked_at(repo: Repo) -> None:
    """Thousands of files are renamed, and old and new names come some hundreds at a time."""
    repo.add("old", b"content")
    repo.rename("old", "new")
    agenda = Agenda()
    with looking(repo, agenda) as looker:
        start = time.monotonic()
        agenda.mark_missing(b"old", start)
        agenda.mark(b"new", start + 0.1)

        assert not looker.look([b"old"], start)
        late = start + GONE_S + 0.1
        assert agenda.is_behind(b"old", late, frozenset())
        assert not looker.look([b"old"], late)

        assert not agenda.is_behind(b"old", late, {b"new"})
        assert not agenda.is_behind(b"old", start + BEHIND_MAX_S + 0.1, frozenset())
        agenda.settle(b"new")
        assert not agenda.is_behind(b"old", late, frozenset())


def test_both_halves_of_a_rename_are_found_together(
    repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of thousands, old names were committed some hundreds at a time, and new ones read again."""
    # Our git check-ignore is a user's to a guard that is not in a daemon.
    monkeypatch.setattr(Guard, "files_hold_still", lambda _self: True)
    repo.add("old", b"content")
    repo.annex("unlock", "-q", "old")
    repo.git("commit", "-qm", "unlocked")
    repo.rename("old", "new")
    agenda = Agenda()
    with looking(repo, agenda) as looker:
        start = time.monotonic()
        agenda.mark_missing(b"old", start)
        agenda.mark(b"new", start)
        assert not looker.look([b"old", b"new"], start)
        late = start + RENAMED_S

        assert not looker.look([b"old"], late)
        found = looker.look([b"new"], late)

        assert {finding.path: finding.is_rename for finding in found} == {
            b"new": False,
            b"old": True,
        }
        agenda.settle(b"new")
        assert [finding.path for finding in looker.look([b"old"], late)] == [b"old"]


def test_what_is_renamed_and_then_deleted_is_deleted(
    repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else thousands, moved to another directory first, would be deleted everywhere unasked."""
    monkeypatch.setattr(Guard, "files_hold_still", lambda _self: True)
    repo.add("old", b"content")
    repo.rename("old", "new")
    agenda = Agenda()
    with looking(repo, agenda) as looker:
        start = time.monotonic()
        agenda.mark_missing(b"old", start)
        agenda.mark(b"new", start)
        assert not looker.look([b"old", b"new"], start)
        repo.remove("new")

        assert not looker.look([b"old", b"new"], start + RENAMED_S)
        found = looker.look([b"old"], start + GONE_S + 0.1)

        assert [(finding.path, finding.is_rename) for finding in found] == [(b"old", False)]


def test_nothing_is_walked_or_watched_behind_a_link_where_a_directory_was(
    repo: Repo, tmp_path: Path
) -> None:
    """Somebody moves a directory to another disk and leaves a link: all there was looked at."""
    (tmp_path / "disk" / "below").mkdir(parents=True)
    (tmp_path / "disk" / "below" / "new").write_bytes(b"of nobody's")
    repo.add("data/below/old", b"content")
    shutil.rmtree(repo.path / "data")
    (repo.path / "data").symlink_to(tmp_path / "disk")
    marked, missing = list[bytes](), list[bytes]()
    with desk_of(repo) as desk:
        wakeup = Wakeup()
        tree = WorkTree(desk.top, desk.filesystems, wakeup, marked.append, missing.append)
        walk = Walk(
            desk.index(), desk.conventions.stat, lambda _path: False, marked.append, missing.append
        )
        for directory in (b"data", b"data/below"):
            tree.look_at(directory)
            list(tree.walk(walk))

            assert not tree.is_watched(directory)
        assert b"data/below/new" not in marked
        assert set(missing) == {b"data/below/old"}
        wakeup.close()


@pytest.mark.parametrize("trouble", [errno.EIO, errno.ESTALE])
def test_what_its_disk_does_not_tell_of_is_not_deleted(
    repo: Repo, monkeypatch: pytest.MonkeyPatch, trouble: int
) -> None:
    """Its directory could be read: it was taken for deleted, again and again, without a pause."""
    repo.add("file", b"content")
    path, lstat = os.fsencode(repo.path / "file"), os.lstat

    def fails(asked: bytes, *, dir_fd: int | None = None) -> os.stat_result:
        if asked == path:
            raise OSError(trouble, os.strerror(trouble), asked)
        return lstat(asked, dir_fd=dir_fd)

    agenda = Agenda()
    with looking(repo, agenda) as looker:
        monkeypatch.setattr(os, "lstat", fails)
        for later in (0, GONE_S, 2 * GONE_S):
            now = time.monotonic() + later
            agenda.look(b"file", now)
            assert not looker.look([b"file"], now)
        assert agenda.needs_person(b"file")


@pytest.mark.parametrize("name", [".gitmodules", "below/.gitmodules"])
def test_a_file_of_submodules_is_committed_and_a_link_of_that_name_is_not(
    repo: Repo, name: str
) -> None:
    """Only the link is refused by git; written by hand, the file was never committed."""
    path = os.fsencode(name)
    agenda = Agenda()
    with looking(repo, agenda) as looker:

        def look() -> list[bytes]:
            agenda.mark(path, time.monotonic())
            return [found.path for found in looker.look([path], time.monotonic() + GONE_S)]

        repo.write(name, b'[submodule "one"]\n')
        assert look() == [path]
        (repo.path / name).unlink()
        (repo.path / name).symlink_to("elsewhere")
        assert not look()
