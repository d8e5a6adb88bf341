"""The transactions that are killed, starved and cut off anywhere: each from a start to its end.

``build`` makes the world below an empty directory; ``act`` is the transaction, as a process.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import final

from annexd.instance import Instance
from spool import cache, failed, hold
from spool.hold import FOREVER, Hold
from spool.info import Info
from spool.key import Key
from spool.publisher import Publisher
from spool.queue import Queue
from spool.remotes import Exchange, write_push
from spool.state import Activity, State, write_state
from spool.transfer import UUID, Direction, Lane, Outcome
from spool.transferlock import TransferLocks
from tests.annex.logs import FEW, MANY, OTHER, THIRD, push_line, some_keys
from tests.faults import merges
from tests.faults.world import make_pair, make_repo, place_of, settle_down
from tests.processes import ANNEXD_SHELL
from tests.repo import Repo
from tests.spool import FROM, NOW, TO, Spool, some_key, upload
from workers.abandoned import Abandoned
from workers.annex.branch import Branch
from workers.annex.fold import commit_journal
from workers.annex.presence import Status
from workers.annex.record import record_locations
from workers.annex.repository import find
from workers.annex.siblings import merge_siblings

Part = Callable[[Path], None]
"""Something that is done in a world, named by its directory."""


@final
@dataclass(frozen=True, slots=True)
class Transaction:
    """One that is tried."""

    name: str
    build: Part
    act: Part | None
    """None: it is the first of the roles at work, until it says that all is done."""
    roles: tuple[tuple[str, str], ...] = ()
    """(role, repository): who goes on after a fault."""
    mend: Part | None = None
    """What is done after a fault, and before it is done once more, where no role does it."""
    conclude: Part | None = None
    """What is done after that."""


# The spool.

JOBS = 3
NAMES = [(some_key(n), b"a file") for n in range(JOBS)]


def the_spool(place: Path) -> Spool:
    return Spool(place / "spool/annex")


def empty_spool(place: Path) -> None:
    (place / "spool/annex").mkdir(parents=True)


def queued_to(lane: Lane) -> Part:
    def build(place: Path) -> None:
        empty_spool(place)
        the_spool(place).queue.add_many(lane, NAMES, NOW)

    return build


def add(place: Path) -> None:
    the_spool(place).queue.add_many(TO, NAMES, NOW)


def reuse(place: Path) -> None:
    """Jobs that are written into files that were put away."""
    add(place)
    for n in range(JOBS):
        the_spool(place).queue.cancel(upload(n))


def work(lane: Lane, outcome: Outcome) -> Part:
    """One turn of a transferrer, in which contents take no time."""

    def act(place: Path) -> None:
        spool = the_spool(place)
        queue = spool.queue
        names = sorted(queue.look(NOW).due.get(lane, ()))
        with queue.claim(lane, names, NOW) as claims, TransferLocks(spool.paths, lane) as locks:
            done = []
            for claim in claims:
                lock = locks.try_take(claim.transfer.key)
                if lock is None:  # by a fault: as if another moved it; it stays in the queue
                    continue
                with lock, Publisher(lock, NOW, size=2, associated_file=b"f") as publisher:
                    publisher.progress(1, NOW + 1)
                    publisher.progress(2, NOW + 2)
                done.append(claim)
            queue.settle(done, outcome, NOW)

    return act


def cancel(place: Path) -> None:
    for n in range(JOBS):
        the_spool(place).queue.cancel(upload(n))


def pause(place: Path) -> None:
    hold.create(the_spool(place).paths, Hold(None, FOREVER))
    hold.create(the_spool(place).paths, Hold(TO.uuid, FOREVER))


def resume(place: Path) -> None:
    hold.release(the_spool(place).paths, None)
    hold.release(the_spool(place).paths, TO.uuid)


def paused(place: Path) -> None:
    empty_spool(place)
    pause(place)


def give_up(place: Path) -> None:
    failed.record(the_spool(place).paths, upload(), Info(None, 1, b"file"))


# One repository.


def alone(place: Path) -> None:
    make_repo(place / "a")


def new_files(place: Path) -> None:
    repo = make_repo(place / "a")
    repo.write("one", b"one" * 1000)
    repo.write("d/two", b"two")
    repo.write("d/twin", b"two")
    (repo.path / "link").symlink_to("one")


def new_files_locked(place: Path) -> None:
    new_files(place)
    Repo(place / "a").config("annex.addunlocked", "false")


def edited_files(place: Path) -> None:
    """Saved over, renamed, deleted, made executable, unlocked; and a text of git's own."""
    repo = make_repo(place / "a")
    repo.write(".gitattributes", b"*.txt annex.largefiles=nothing\n")
    for name in ("saved", "renamed", "deleted", "tool", "note.txt"):
        repo.write(name, name.encode() * 50)
    repo.annex("add", "-q", "-c", "annex.addunlocked=true", ".")
    repo.git("commit", "-q", "-m", "files")
    settle_down(repo)
    repo.replace("saved", b"saved again")
    repo.rename("renamed", "d/other name")
    repo.remove("deleted")
    (repo.path / "tool").chmod(0o755)
    repo.replace("note.txt", b"another text\n")


def moved_links(place: Path) -> None:
    """Links to contents, moved to other directories; one is unlocked."""
    repo = make_repo(place / "a")
    for name in ("up", "d/down", "d/along", "unlocked"):
        repo.write(name, name.encode() * 50)
    repo.annex("add", "-q", ".")
    repo.git("commit", "-q", "-m", "files")
    settle_down(repo)
    repo.rename("up", "e/f/up")
    repo.rename("d", "e/d")
    repo.annex("unlock", "-q", "unlocked")


def state_files(place: Path) -> None:
    at = place_of(Repo(place / "a"))
    write_state(at.state, "watcher", State(Activity.IDLE, 7, (("note", "x"),)))
    write_push(at.remotes, b"b", Exchange(failures=3, last_error="why"))
    cache.store(os.fsencode(at.cache / "thing"), 1, {"a": [1, 2, b"x" * 5000]})


def start(place: Path) -> None:
    Instance.acquire(place_of(Repo(place / "a")))


# Two repositories.


def pointers(place: Path) -> None:
    """``b`` has the names, and has just got the contents."""
    a, b = make_pair(place)
    for number in range(3):
        a.write(f"d/{number}", b"content %d" % number)
    a.annex("add", "-q", "-c", "annex.addunlocked=true", ".")
    a.git("commit", "-q", "-m", "files")
    a.annex("sync", "-q", "--no-content")
    b.annex("sync", "-q", "--no-content")
    for path in (a.path / ".git/annex/objects").glob("*/*/*"):
        target = b.path / path.relative_to(a.path)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.chmod(0o755)
        os.system(f"cp -a '{path}' '{target}'")  # noqa: S605 -- plain names of the test's own
    settle_down(a)
    settle_down(b)


def to_move(direction: Direction) -> Part:
    def build(place: Path) -> None:
        a, b = make_pair(place)
        for number, size in enumerate((0, 5, 300_000)):
            a.write(f"f{number}", b"%d" % number * size)
        a.annex("add", "-q", ".")
        a.git("commit", "-q", "-m", "files")
        a.annex("sync", "-q", "--no-content")
        b.annex("sync", "-q", "--no-content")
        near, other = (a, b) if direction is Direction.UPLOAD else (b, a)
        lane = Lane(direction, UUID(other.uuid().encode()))
        keys = [(Key(a.key(f"f{number}")), b"file") for number in range(3)]
        settle_down(a)
        settle_down(b)
        Queue(place_of(near).layout).add_many(lane, keys, time.time() - 100)

    return build


SSH = """\
#!/bin/sh
for command; do :; done
exec sh -c "$command"
"""
"""Whatever it is to connect to, that is here."""


def over_ssh(direction: Direction) -> Part:
    """To and from ``annexd shell``: many in a parcel, and one by itself."""

    def build(place: Path) -> None:
        a, b = make_pair(place)
        for number, size in enumerate([300_000, *range(17)]):
            a.write(f"f{number}", b"%d" % number * size)
        a.annex("add", "-q", ".")
        a.git("commit", "-q", "-m", "files")
        a.annex("sync", "-q", "--no-content")
        b.annex("sync", "-q", "--no-content")
        near, other = (a, b) if direction is Direction.UPLOAD else (b, a)
        (place / "own-ssh").write_text(SSH)
        (place / "own-ssh").chmod(0o755)
        name = other.path.name
        near.config("core.sshCommand", str(place / "own-ssh"))
        near.config(f"remote.{name}.url", f"ssh://there{other.path}")
        near.config(f"remote.{name}.annex-shell", ANNEXD_SHELL)
        lane = Lane(direction, UUID(other.uuid().encode()))
        keys = [(Key(a.key(f"f{number}")), b"file") for number in range(18)]
        settle_down(a)
        settle_down(b)
        Queue(place_of(near).layout).add_many(lane, keys, time.time() - 100)

    return build


def to_push(place: Path) -> None:
    a, b = make_pair(place)
    a.write("file", b"content")
    a.annex("add", "-q", "file")
    a.git("commit", "-q", "-m", "file")
    for repo in (a, b):
        settle_down(repo)


# The git-annex branch.


def much_logged(place: Path) -> None:
    """All that can be lost: commits, a journal, a push under it, and a sibling."""
    a, b = make_pair(place)
    with Branch(find(b.path)) as branch:
        record_locations(branch, some_keys(MANY), THIRD, Status.PRESENT, NOW)
    with Branch(find(a.path)) as branch:
        record_locations(branch, some_keys(MANY), OTHER, Status.PRESENT, NOW)
        record_locations(branch, some_keys(2), FIFTH, Status.PRESENT, NOW)
        push_line(a, branch, some_keys(1)[0], THIRD)
    a.git("fetch", "-q", "b", "git-annex:refs/remotes/b/git-annex")


FIFTH = UUID(b"55555555-5555-5555-5555-555555555555")
OURS = UUID(b"33333333-3333-3333-3333-333333333333")


def fold(place: Path) -> None:
    with Branch(find(place / "a")) as branch:
        commit_journal(branch, NOW)


def record(count: int) -> Part:
    def act(place: Path) -> None:
        with Branch(find(place / "a")) as branch:
            record_locations(branch, some_keys(count), OURS, Status.PRESENT, NOW)

    return act


def unite(place: Path) -> None:
    with Branch(find(place / "a")) as branch:
        merge_siblings(branch)


def exchange_logs(place: Path) -> None:
    """What the pusher does: ``b``, where no annexd runs, may have been killed before it logged."""
    Repo(place / "b").git("fetch", "-q", "a", "+git-annex:refs/remotes/a/git-annex")
    for name in "ba":
        with Branch(find(place / name)) as branch:
            merge_siblings(branch)
            commit_journal(branch, NOW)


def unlock(place: Path) -> None:
    """What the pusher does when it fails."""
    repo = find(place / "a")
    gitdir = os.fsencode(repo.common)
    Abandoned({os.fsencode(repo.top), gitdir}, {gitdir}).sweep()


# All of them.


def role(name: str, build: Part, *roles: tuple[str, str]) -> Transaction:
    """A transaction that is a role at work."""
    return Transaction(name, build, None, roles)


UP, DOWN = Direction.UPLOAD, Direction.DOWNLOAD

ALL: dict[str, Transaction] = {
    each.name: each
    for each in (
        Transaction("spool: queue", empty_spool, add),
        Transaction("spool: queue and cancel again", empty_spool, reuse),
        Transaction("spool: an upload is done", queued_to(TO), work(TO, Outcome.DONE)),
        Transaction("spool: a download is done", queued_to(FROM), work(FROM, Outcome.DONE)),
        Transaction("spool: an upload is put off", queued_to(TO), work(TO, Outcome.TEMPFAIL)),
        Transaction("spool: an upload has failed", queued_to(TO), work(TO, Outcome.PERMFAIL)),
        Transaction("spool: cancel", queued_to(TO), cancel),
        Transaction("spool: pause", empty_spool, pause),
        Transaction("spool: resume", paused, resume),
        Transaction("spool: put on the failed list", empty_spool, give_up),
        Transaction("state files", alone, state_files),
        Transaction("start", alone, start),
        Transaction("record few locations", much_logged, record(FEW), (), unlock, fold),
        Transaction("record many locations", much_logged, record(MANY), (), unlock, fold),
        Transaction("commit the journal", much_logged, fold, (), unlock, fold),
        Transaction("unite git-annex branches", much_logged, unite, (), unlock, fold),
        role("ingest locked", new_files_locked, ("watcher", "a")),
        role("ingest unlocked", new_files, ("watcher", "a")),
        role("commit edits", edited_files, ("watcher", "a")),
        role("merge", merges.to_merge, ("watcher", "b")),
        role("merge a conflict", merges.in_conflict, ("watcher", "b")),
        role("merge what was amended here", merges.amended, ("watcher", "b")),
        role("merge what was botched there", merges.botched, ("watcher", "b")),
        role("merge what was pushed into the branch", merges.pushed_into, ("watcher", "b")),
        role("merge renames", merges.renamed, ("watcher", "b")),
        role("merge in an adjusted branch", merges.adjusted, ("watcher", "b")),
        role("merge where the missing is hidden", merges.hiding, ("watcher", "b")),
        role("commit moved links", moved_links, ("watcher", "a")),
        role("fill", pointers, ("watcher", "b")),
        role("upload", to_move(UP), ("transferrer", "a")),
        role("download", to_move(DOWN), ("transferrer", "b")),
        Transaction(
            "upload over ssh", over_ssh(UP), None, (("transferrer", "a"),), None, exchange_logs
        ),
        role("download over ssh", over_ssh(DOWN), ("transferrer", "b")),
        role(
            "push",
            to_push,
            ("pusher", "a"),
            ("watcher", "a"),
            ("transferrer", "a"),
            ("pusher", "b"),
        ),
    )
}
