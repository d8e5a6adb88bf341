"""Who else writes the index, or the files, while we do; and being killed in between."""

import errno
import multiprocessing
import os
import time
from pathlib import Path

import pytest

from spool.exchange import ExchangeUnsupportedError, exchange
from tests.processes import kill, run, wait_until
from tests.repo import Repo
from tests.staging import Staging
from workers.git.index import Index, reread
from workers.git.index_install import LOCK, Prepared, Refusal, private_path, sweep, take_name
from workers.git.index_racy import Changes, Staged
from workers.git.objectid import ObjectFormat
from workers.git.stream import ObjectId

FORK = multiprocessing.get_context("fork")


@pytest.fixture
def store(tmp_path: Path) -> Staging:
    repo = Repo.plain(tmp_path / "repo")
    repo.write("start", b"start")
    repo.git("add", "-A")
    repo.git("commit", "-q", "-m", "start")
    return Staging(repo, ObjectFormat.SHA1)


def leftovers(store: Staging) -> list[str]:
    names = os.listdir(store.repo.path / ".git")
    return [name for name in names if "annexd" in name or name.endswith(".lock")]


def new_second() -> None:
    now_s = int(time.time())
    wait_until(lambda: time.time() > now_s + 1.02)  # a tick later, so that files have it too


def status(store: Staging) -> bytes:
    """Looks only: a status that may write would repair what is to be seen."""
    return run(["git", "--no-optional-locks", "status", "--porcelain"], cwd=store.repo.path)


def test_a_file_modified_right_after_it_was_staged_is_always_noticed(store: Staging) -> None:
    """Same size, same second: only the content differs, and git compares whole seconds."""
    file = store.repo.write("file", b"content 000")
    store.splice({b"file": store.staged(b"file", b"content 000")})
    for number in range(1, 60):
        file.write_bytes(b"content %03d" % number)
        staged = store.staged(b"file", b"content %03d" % number)
        store.splice({b"file": staged})
        file.write_bytes(b"changed %03d" % number)
        store.splice({b"other": staged})
        assert b"AM file" in status(store), number
        store.splice({b"other": None})


def test_it_is_noticed_in_a_later_second_too(store: Staging) -> None:
    """For git takes an entry for clean whose file is older than the index, so we must not."""
    file = store.repo.write("file", b"content 0")
    store.splice({b"file": store.staged(b"file", b"content 0")})
    file.write_bytes(b"changed 1")
    new_second()

    store.splice({b"other": Staged(0o100644, store.blob(b"x"), None)})

    assert b"AM file" in status(store)


def test_it_is_noticed_when_the_stat_itself_is_late(store: Staging) -> None:
    file = store.repo.write("file", b"content 0")
    staged = store.staged(b"file", b"content 0")
    file.write_bytes(b"changed 1")
    new_second()

    store.splice({b"file": staged})

    assert b"AM file" in status(store)


def test_git_believes_what_we_staged_and_runs_no_filter(store: Staging) -> None:
    """git-annex's filter costs a millisecond and more per file."""
    ran = store.repo.path.parent / "ran"
    store.repo.config("filter.slow.clean", f"echo >>{ran}; cat")
    store.repo.write(".git/info/attributes", b"* filter=slow\n")
    names = [b"file%d" % number for number in range(20)]
    for name in names:
        store.repo.write(name, b"content")
    written = time.time()
    wait_until(lambda: time.time() > written + 0.05)  # any tick is over
    staged = {name: store.staged(name, b"content") for name in names}
    ran.unlink(missing_ok=True)
    store.splice({name: staged[name] for name in names[:10]})
    new_second()
    store.splice({name: staged[name] for name in names[10:]})

    assert status(store).splitlines() == [b"A  " + name for name in sorted(names)]

    assert not ran.exists()


def test_what_is_not_certain_is_looked_at_once(store: Staging) -> None:
    """A file staged within a tick of being written may have changed since: git is to look."""
    store.repo.write("file", b"content 0")
    st = os.lstat(store.repo.path / "file")
    staged = store.staged(b"file", b"content 0")._replace(seen_ns=st.st_mtime_ns + 1_000_000)
    new_second()

    index = store.splice({b"file": staged})

    entry = index.get(b"file")
    assert entry is not None
    assert entry.stat.size == 0
    store.repo.git("status")
    assert status(store) == b"A  file\n"
    repaired = store.read().get(b"file")
    assert repaired is not None
    assert repaired.stat.size == 9


def user(repo: Repo, rounds: int, failures: Path) -> None:
    """A person at work; what fails is written down."""
    for number in range(rounds):
        repo.write(f"user/{number}", b"%d" % number)
        for command in (
            ("add", f"user/{number}"),
            ("status", "--porcelain"),
            ("commit", "-q", "-m", "mine", f"user/{number}"),
        ):
            try:
                repo.git(*command)
            except AssertionError as failure:
                with failures.open("a") as log:
                    log.write(f"{command}: {failure}\n")


def test_no_command_of_a_user_fails_and_nothing_is_lost(store: Staging, tmp_path: Path) -> None:
    rounds = 60
    failures = tmp_path / "failures"
    oids = [store.blob(b"%d" % number) for number in range(2)]
    person = FORK.Process(target=user, args=(store.repo, rounds, failures))
    person.start()
    wanted: dict[bytes, ObjectId] = {}
    index, spliced = store.read(), 0
    while person.is_alive():
        wanted[b"ours/%d" % (spliced % 50)] = oids[spliced // 50 % 2]
        index = reread(index)
        # What a commit that had read the index before us has taken back is put there again.
        changes = differing(index, wanted)
        prepared = store.try_prepare(index, changes)
        answer = prepared.install() if isinstance(prepared, Prepared) else prepared
        if isinstance(answer, Index):
            index = answer
            spliced += 1
    person.join()

    assert not failures.exists(), failures.read_text()[:3000]
    assert person.exitcode == 0
    assert spliced > rounds
    last = store.splice(differing(store.read(), wanted))
    assert differing(last, wanted) == {}
    names = set(store.repo.git("ls-files", "-z").split(b"\0")[:-1])
    assert names == {b"start", *wanted, *(b"user/%d" % number for number in range(rounds))}
    store.repo.git("fsck", "--no-dangling")
    assert leftovers(store) == []


def differing(index: Index, wanted: dict[bytes, ObjectId]) -> Changes:
    """What has to be staged (again)."""
    found = ((path, oid, index.get(path)) for path, oid in wanted.items())
    return {
        path: Staged(0o100644, oid, None)
        for path, oid, entry in found
        if entry is None or entry.oid != oid
    }


def test_a_held_lock_is_respected(store: Staging) -> None:
    index = store.read()
    changes: Changes = {b"new": Staged(0o100644, store.blob(b"1"), None)}
    prepared = store.prepare(index, changes)
    lock = store.repo.path / ".git/index.lock"
    lock.touch()

    assert prepared.install() is Refusal.BUSY

    assert store.try_prepare(index, changes) is Refusal.BUSY
    assert index.is_current()
    lock.unlink()
    assert leftovers(store) == []
    store.splice(changes)


def test_an_index_that_has_changed_is_not_overwritten(store: Staging) -> None:
    index = store.read()
    prepared = store.prepare(index, {b"new": Staged(0o100644, store.blob(b"1"), None)})
    store.repo.write("theirs", b"2")
    store.repo.git("add", "theirs")

    assert prepared.install() is Refusal.LOST

    assert store.repo.git("ls-files").split() == [b"start", b"theirs"]
    assert leftovers(store) == []


def test_a_command_that_finishes_in_the_window_keeps_its_work(
    store: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between our look at the lock and the swap."""
    store.repo.write("theirs", b"2")
    prepared = store.prepare(store.read(), {b"new": Staged(0o100644, store.blob(b"1"), None)})

    def late(one: bytes, other: bytes) -> None:
        if "theirs" not in store.repo.git("ls-files").decode().split():
            store.repo.git("add", "theirs")
        exchange(one, other)

    monkeypatch.setattr("workers.git.index_install.exchange", late)

    assert prepared.install() is Refusal.LOST

    assert store.repo.git("ls-files").split() == [b"start", b"theirs"]
    assert leftovers(store) == []


def test_without_swapping_the_lock_is_taken(
    store: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(_one: bytes, _other: bytes) -> None:
        raise ExchangeUnsupportedError(errno.EINVAL, "no")

    monkeypatch.setattr("workers.git.index_install.exchange", unsupported)
    oid = store.blob(b"1")
    store.splice({b"one": Staged(0o100644, oid, None)})
    prepared = store.prepare(store.read(), {b"two": Staged(0o100644, oid, None)})
    store.repo.write("theirs", b"2")
    store.repo.git("add", "theirs")

    assert prepared.install() is Refusal.LOST

    assert store.repo.git("ls-files").split() == [b"one", b"start", b"theirs"]
    assert leftovers(store) == []


def test_a_lock_that_cannot_be_written_does_not_stay(
    store: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a full FAT: no command of git's worked any more."""

    def unsupported(*_args: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr("workers.git.index_install.exchange", unsupported)
    monkeypatch.setattr(os, "link", unsupported)
    prepared = store.prepare(store.read(), {b"new": Staged(0o100644, store.blob(b"1"), None)})
    private = Path(os.fsdecode(private_path(store.path)))
    whole = private.read_bytes()
    private.unlink()
    private.mkdir()  # so that it cannot be read

    with pytest.raises(OSError, match="Is a directory"):
        prepared.install()
    private.rmdir()

    assert leftovers(store) == []
    private.write_bytes(whole)
    take_name(private_path(store.path), store.path + LOCK)
    assert Path(os.fsdecode(store.path + LOCK)).read_bytes() == whole


def test_a_repository_without_an_index_gets_one(tmp_path: Path) -> None:
    store = Staging(Repo.plain(tmp_path / "new"), ObjectFormat.SHA1)
    oid = store.blob(b"1")
    first = store.prepare(store.read(), {b"one": Staged(0o100644, oid, None)})
    second = store.prepare(store.read(), {b"two": Staged(0o100644, oid, None)})
    # Both use this process's name for the private file, so the second is the one that is there.
    assert isinstance(second.install(), Index)
    assert store.repo.git("ls-files").split() == [b"two"]
    assert first.install() is Refusal.LOST
    assert leftovers(store) == []


@pytest.mark.parametrize("step", ["before", "lock", "after"])
def test_what_a_killed_process_leaves_is_swept(store: Staging, step: str) -> None:
    """Killed with the new index prepared; with the lock taken; with the index swapped."""
    oid = store.blob(b"1")

    def stop(*_args: object) -> None:
        while True:
            time_stands.wait()

    time_stands = FORK.Event()
    ready = store.repo.path.parent / "ready"

    def victim() -> None:
        prepared = store.prepare(store.read(), {b"new": Staged(0o100644, oid, None)})
        if step == "lock":
            take_name(private_path(store.path), store.path + LOCK)
        elif step == "after":
            exchange(private_path(store.path), store.path)
        ready.touch()
        stop(prepared)

    process = FORK.Process(target=victim, daemon=True)
    process.start()
    wait_until(ready.exists)
    assert process.pid is not None
    kill(process.pid)
    process.join()
    assert leftovers(store) != []

    sweep(store.path)

    assert leftovers(store) == []
    assert (b"new" in store.repo.git("ls-files").split()) == (step == "after")
    store.splice({b"more": Staged(0o100644, oid, None)})


def test_a_lock_that_is_not_ours_is_left_alone(store: Staging) -> None:
    lock = store.repo.path / ".git/index.lock"
    lock.touch()
    (store.repo.path / ".git/index.annexd-1").touch()

    sweep(store.path)

    assert leftovers(store) == ["index.lock"]


def test_a_full_disk_changes_nothing(store: Staging, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_fd: int, _chunks: object) -> int:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "writev", full)
    with pytest.raises(OSError, match="full"):
        store.prepare(store.read(), {b"new": Staged(0o100644, store.blob(b"1"), None)})
    assert leftovers(store) == []
    assert store.repo.git("ls-files").split() == [b"start"]
