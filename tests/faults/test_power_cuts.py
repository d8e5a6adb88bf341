"""Power cuts (class D): a disk as it was at some moment of a transaction, mounted and repaired.

Here at the count of CI; ``contrib/torture D`` cuts everywhere.
"""

import os
import random
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from spool import lock
from spool.daemons import annexd_runs
from spool.transfer import Direction
from tests.annex.logs import NOW, OTHER, some_keys
from tests.faults import intercept, powercut
from tests.faults.powercut import Cut, PowerCuts
from tests.faults.seeds import remembered_cuts, seed
from tests.faults.transactions import ALL
from tests.processes import forked, wait_until
from tests.repo import Repo
from tests.transfers.station import Station
from workers.annex import fewlogs
from workers.annex.branch import Branch
from workers.annex.presence import Status
from workers.annex.record import record_locations
from workers.annex.repository import find
from workers.annex.swapping import swapper
from workers.git.carry import carry
from workers.git.exchange import RECEIVE, Update, Way, fetch, push
from workers.git.refname import RefName
from workers.git.run import DURABLE, Git
from workers.git.stream import ObjectId
from workers.git.update_refs import Move, UpdateRefs

WHY_NOT = intercept.why_not() or powercut.why_not()
pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=WHY_NOT or "")

CUTS = {"ingest locked": 3, "fill": 3, "upload": 0}
"""New ones, beside those that are kept."""

RUNS = 4


@pytest.fixture
def memory() -> Iterator[Path]:
    """A directory in memory."""
    home = Path(tempfile.mkdtemp(dir=powercut.MEMORY, prefix="annexd-cuts-"))
    yield home
    shutil.rmtree(home)


@pytest.mark.parametrize("name", CUTS)
def test_after_a_power_cut_nothing_is_lost_and_the_next_start_completes_it(
    name: str, memory: Path
) -> None:
    trial = PowerCuts(ALL[name], memory)
    trial.prepare()
    old = remembered_cuts(trial)
    new = random.Random(f"{seed()} D {name}").sample(list(trial.cuts()), CUTS[name])
    wanted, checked = {*old, *new}, set[Cut]()
    problems: list[str] = []
    for _run in range(RUNS):  # one may make fewer calls than the one that was counted
        for cut, told in trial.check(wanted - checked):
            checked.add(cut)
            problems += told
        if checked == wanted:
            break

    assert checked == wanted != set()
    assert not problems, f"ANNEXD_SEED={seed()}\n" + "\n".join(problems)


MAIN = RefName(b"refs/heads/main")
NEW = RefName(b"refs/heads/new")


def tip(repo: Repo) -> ObjectId:
    return ObjectId(repo.head())


def durable(repo: Repo) -> Git:
    return Git(repo.path / ".git", repo.path, DURABLE)


def move_a_ref(here: Repo, _there: Repo) -> None:
    with UpdateRefs(durable(here), "test") as writer:
        assert writer.move(Move(NEW, tip(here), None))


def swap_a_ref(here: Repo, _there: Repo) -> None:
    swap = swapper(find(here.path), b"A <a@example.com>", "test")
    assert swap is not None
    before = ObjectId(here.git("rev-parse", "HEAD^").decode().strip())
    assert swap.swap((Move(MAIN, before, tip(here)),), lambda: True)


def carry_objects(here: Repo, there: Repo) -> None:
    """And have a ref lead to them, as the exchange does."""
    assert carry(here.plumbing, there.plumbing, [tip(here)], [tip(there)])
    with UpdateRefs(durable(there), "test") as writer:
        assert writer.move(Move(NEW, tip(here), None))


def push_to_a_path(here: Repo, there: Repo) -> None:
    here.git("remote", "add", "there", there.path)
    [said] = push(here.plumbing, Way("there", receive_pack=RECEIVE), [Update(tip(here), NEW)])
    assert said.accepted


def fetch_from_a_path(here: Repo, there: Repo) -> None:
    there.git("remote", "add", "here", here.path)
    fetch(there.plumbing, Way("here"), b"refs/heads/main:" + NEW)


def log(here: Repo, count: int) -> None:
    with Branch(find(here.path)) as branch:
        assert record_locations(branch, some_keys(count), OTHER, Status.PRESENT, NOW) == count


def log_few(here: Repo, _there: Repo) -> None:
    log(here, fewlogs.MOST)


def log_many(here: Repo, _there: Repo) -> None:
    log(here, 40)


@pytest.mark.parametrize(
    "make",
    [move_a_ref, swap_a_ref, carry_objects, push_to_a_path, fetch_from_a_path, log_few, log_many],
)
def test_what_git_has_made_for_us_is_whole_after_a_power_cut(
    make: Callable[[Repo, Repo], None], memory: Path
) -> None:
    """By default git syncs neither loose objects nor refs: they are there, and empty."""
    now: dict[str, bytes] = {}

    def build(disk: Path) -> None:
        here = Repo.create(disk / "here")
        here.git("commit", "-q", "--allow-empty", "-m", "start")
        here.clone(disk / "there")
        here.write("file", b"content")
        here.git("add", "-f", "file")
        here.git("commit", "-q", "-m", "more")

    def work(disk: Path) -> None:
        make(Repo(disk / "here"), Repo(disk / "there"))
        now.update({name: Repo(disk / name).git("for-each-ref") for name in ("here", "there")})

    with powercut.cut_after(memory, build, work) as disk:
        for name, refs in now.items():
            repo = Repo(disk / name)
            assert repo.git("for-each-ref") == refs
            repo.git("fsck", "--full", "--strict")
            repo.git("rev-list", "--objects", "--all")


@pytest.mark.skipif(shutil.which("mkfs.btrfs") is None, reason="btrfs-progs is not installed")
def test_what_was_logged_as_sent_is_on_the_other_disk_under_its_name(memory: Path) -> None:
    """Where annexd runs over there, nothing that is done afterwards syncs its disk.

    But on ext4 its journal, one file, takes all names along.
    """
    here = Repo.create(memory / "here")
    key = here.add("file", os.urandom(100_000))

    def build(disk: Path) -> None:
        there = here.clone(disk / "there")
        here.git("remote", "add", "there", there.path)
        here.git("fetch", "-q", "there")
        here.annex("merge", "-q")
        here.config("remote.there.annex-uuid", there.uuid())

    def keep_lock(path: bytes, said: Path) -> None:
        assert lock.try_take(path, flags=lock.OPEN | os.O_CREAT) is not None
        said.touch()
        signal.pause()

    def work(disk: Path) -> None:
        a, there = Station(here), Station(Repo(disk / "there"))
        there.place.annexd.mkdir(mode=0o700, exist_ok=True)
        path, said = os.fsencode(there.place.annexd / "lock"), memory / "said"
        with forked(lambda: keep_lock(path, said)):
            wait_until(said.exists)
            assert annexd_runs(there.place.layout.annex)
            a.work_off(a.queue(Direction.UPLOAD, there.repo, key))
        assert there.repo.uuid().encode() in here.whereis(key)

    with powercut.cut_after(memory, build, work, btrfs=True) as disk:
        content = Station(Repo(disk / "there")).content(key)
        assert content is not None
        assert content.read_bytes() == here.read("file")
