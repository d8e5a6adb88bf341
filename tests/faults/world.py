"""Worlds for transactions: repositories and spools in one directory, copied for each trial."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from annexd.leftovers import clear_leftovers
from annexd.repository import find_place
from spool import poke, stale
from spool.place import Place
from spool.queue import TMP_MAX_AGE_S, Queue
from spool.record import make_directory
from spool.stale import LOCK_AGE_S
from spool.state import read_state
from tests.faults.oracle import CANARY
from tests.faults.standing import find_annexes, find_repos
from tests.processes import run
from tests.repo import Repo
from workers.process import Leave, Worker
from workers.pusher import role as pusher
from workers.transferrer import role as transferrer
from workers.wakeup import Wakeup
from workers.watcher import role as watcher

LATER_S = 3600.0
"""A new start is so much later, for whoever looks at the age of what was left."""

MAINS: dict[str, Callable[[Worker], Leave | None]] = {
    "watcher": watcher.main,
    "pusher": pusher.main,
    "transferrer": transferrer.main,
}


def make_canary(place: Path) -> None:
    """Something precious beside the repositories."""
    (place / CANARY).mkdir()
    (place / CANARY / "file").write_bytes(b"precious")
    (place / CANARY / "link").symlink_to("file")


def make_repo(path: Path) -> Repo:
    """One repository with a first commit, in which a daemon has been."""
    repo = Repo.create(path)
    repo.git("commit", "-q", "--allow-empty", "-m", "start")
    settle_down(repo)
    return repo


def make_pair(place: Path) -> tuple[Repo, Repo]:
    """Two of them, each a remote of the other."""
    a = Repo.create(place / "a")
    a.git("commit", "-q", "--allow-empty", "-m", "start")
    b = a.clone(place / "b")
    b.git("remote", "rename", "origin", "a")
    b.git("remote", "set-url", "a", "../a")
    a.git("remote", "add", "b", "../b")
    for repo in (a, b, a):
        repo.annex("sync", "-q", "--no-content")
    for repo in (a, b):
        settle_down(repo)
    return a, b


def settle_down(repo: Repo) -> None:
    """Have it as it is long after whatever was done to it last."""
    # Copies are other inodes, and younger: git and annexd are to know the files all the same.
    repo.config("core.checkStat", "minimal")
    repo.config("core.trustctime", "false")
    place = place_of(repo)
    make_directory(place.annexd)
    for directory in (place.state, place.tmp, place.poke):
        make_directory(directory)
    long_ago = time.time() - 7200
    for parent, directories, names in os.walk(repo.path):
        if parent == str(repo.path):
            directories.remove(".git")
        for name in names:
            os.utime(os.path.join(parent, name), (long_ago, long_ago), follow_symlinks=False)
    repo.git("update-index", "-q", "--refresh")
    os.utime(repo.path / ".git/index", (long_ago + 1800, long_ago + 1800))


def copy(pristine: Path, place: Path) -> None:
    """A fresh world, always in the same place."""
    if place.exists():
        run(["chmod", "-R", "u+w", place])
        shutil.rmtree(place)
    run(["cp", "-a", pristine, place])


def place_of(repo: Repo) -> Place:
    """Where the daemon of a repository works."""
    return Place(repo.path, repo.path / ".git", repo.path / ".git")


def serve(name: str, repo: Path) -> None:
    """Be one role in a repository, until asked to stop."""
    os.environ["ANNEXD_SUPERVISOR"] = "test"  # what it starts is no user's
    MAINS[name](Worker(name, 1, place_of(Repo(repo)), Wakeup()))


def asked(name: str, repo: Path) -> Callable[[], bool]:
    """Ask a role that is going to be started; whether it has answered that all is done."""
    place = place_of(Repo(repo))
    seq = poke.create(place.poke)

    def answered() -> bool:
        state = read_state(place.state, name)
        queue = Queue(place.layout)
        waits = (job for lane in queue.lanes() for job in queue.jobs(lane))
        if name == "transferrer" and next(waits, None) is not None:
            return False
        return state is not None and state.settled(seq)

    return answered


def pass_time(place: Path) -> None:
    """Some time later: what was put off is due, and what was left behind is old."""
    then = time.time() - LATER_S
    old = [*place.rglob("*.lock"), *place.glob("*/.git/index")]  # staged things are respected
    old += [*place.rglob("transfer/queue/to/*/*"), *place.rglob("transfer/queue/from/*/*")]
    for path in old:
        if not path.is_dir():
            os.utime(path, (then, then), follow_symlinks=False)
    for name in ("transfer", "push"):  # when to try again
        for path in place.glob(f"*/.git/annex/annexd/remotes/*/{name}"):
            path.unlink()


def start_anew(place: Path) -> None:
    """What a supervisor, and the first worker, do at a start."""
    for repo in find_repos(place):
        clear_leftovers(find_place(repo.path))
    now = time.time()
    for annex in find_annexes(place).values():
        stale.purge(annex, now + 2 * LOCK_AGE_S)
        Queue(annex).sweep(now + 2 * TMP_MAX_AGE_S)
