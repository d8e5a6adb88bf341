"""SIGKILL at any moment loses nothing: whoever comes next goes on from what is on disk."""

import contextlib
import os
import random
import shutil
import time
from pathlib import Path

import pytest

from annexd.service import KILL_FORGIVEN_S
from tests.daemons import Annexd, Fleet
from tests.faults.seeds import CountTrials, seed, seeds_of
from tests.processes import alive, kill, pause, running, wait_until
from tests.procfs import family, parent, wait_until_gone
from tests.repo import Repo
from tests.scenarios.hands import Hands
from tests.scenarios.topology import line
from tests.synced import synced
from tests.views import worktree

LONG_STORM = pytest.param(1000, marks=[pytest.mark.slow, pytest.mark.timeout(1200)])
"""Most of the time of a short one is spent on what is asked in the end."""

GROWN_S = 2 * KILL_FORGIVEN_S
"""Who dies younger than half of that is started again later and later."""

ROLES = ("watcher", "pusher", "scanner", "transferrer", "sentry")


def all_is_there(fleet: Fleet, repos: list[Repo], hands: list[Hands], within_s: float) -> None:
    """Everything that was left by anybody is everywhere, and nothing else."""
    synced(*repos, within_s=within_s)
    fleet.settle()
    left = {name: content for each in hands for name, content in each.left.items()}
    for repo in repos:
        assert {os.fsdecode(name) for name in repo.tree()} == left.keys()
        assert {name: repo.read(name) for name in left} == left
        assert not repo.marked()
        repo.check()


@pytest.mark.parametrize("victim", [*ROLES, "supervisor"])
@pytest.mark.parametrize(
    "operations", [150, pytest.param(500, marks=[pytest.mark.slow, pytest.mark.timeout(900)])]
)
def test_one_kind_of_process_is_killed_again_and_again(
    pair: tuple[Repo, Repo],
    fleet: Fleet,
    victim: str,
    operations: int,
    count_trials: CountTrials,
) -> None:
    daemons = [fleet.annexd(repo) for repo in pair]
    hands = [Hands(repo, seed() + number) for number, repo in enumerate(pair)]

    for number in range(operations):
        for each in hands:
            each.act(number)
        if number % 10 == 5:
            strike(daemons[number % 20 // 10], victim)
        pause(0.03)
    count_trials(operations // 10)

    all_is_there(fleet, list(pair), hands, within_s=120)


def strike(daemon: Annexd, victim: str) -> None:
    """Kill a worker, whom the supervisor replaces; or the supervisor, whom its init replaces.

    A worker is let live for a while: one that never comes to commit what is deleted would have that
    held, as more than a person deletes at once.
    """
    if victim == "supervisor":
        kill(gone := daemon.bulletin().pid)
        wait_until_gone(gone, 5)
        daemon.start()
        return
    wait_until(lambda: grown(daemon, victim), 15, daemon.bulletin)
    kill(grown(daemon, victim)[0])


def grown(daemon: Annexd, role: str) -> list[int]:
    """The workers of that role that have lived for longer than ``GROWN_S``."""
    born = time.time() - GROWN_S
    lives = [each for each in daemon.bulletin().workers if each.name.partition("-")[0] == role]
    return [each.pid for each in lives if each.pid and alive(each.pid) and each.started < born]


def storm(daemons: list[Annexd], hands: list[Hands], chance: random.Random, operations: int) -> int:
    """Workers, and the programs they run, while people are busy; returns how many were killed."""
    killed = 0
    for number in range(operations):
        for each in hands:
            each.act(number)
        if chance.random() < 0.2:
            supervisor = chance.choice(daemons).bulletin().pid
            victims = sorted(family(supervisor) - {supervisor})
            if victims:
                kill(chance.choice(victims))
                killed += 1
        pause(0.05)
    return killed


@pytest.mark.parametrize("number", [seed(), *seeds_of("C")])
@pytest.mark.parametrize("operations", [150, LONG_STORM])
def test_anything_at_all_is_killed_at_random(
    tmp_path: Path, fleet: Fleet, number: int, operations: int, count_trials: CountTrials
) -> None:
    """In a line of three, with people busy at both ends."""
    repos = line(tmp_path, 3)
    daemons = [fleet.annexd(repo) for repo in repos]
    hands = [Hands(repos[0], number), Hands(repos[2], number + 100)]

    count_trials(storm(daemons, hands, random.Random(number), operations))

    all_is_there(fleet, repos, hands, within_s=150)


VIEWS = ["--unlock-present", "--unlock", "--lock", "--fix", "--hide-missing"]


@pytest.mark.parametrize(
    "view", [VIEWS[0], *(pytest.param(view, marks=pytest.mark.slow) for view in VIEWS[1:])]
)
@pytest.mark.parametrize("operations", [120, LONG_STORM])
def test_a_storm_of_kills_in_an_adjusted_branch(
    pair: tuple[Repo, Repo], fleet: Fleet, view: str, operations: int, count_trials: CountTrials
) -> None:
    """One side has an adjusted branch, and the other one has main; with people busy at both."""
    a, b = pair
    a.annex("adjust", "-q", view)
    daemons = [fleet.annexd(repo) for repo in pair]
    hands = [Hands(repo, seed() + number) for number, repo in enumerate(pair)]

    killed = storm(daemons, hands, random.Random(seed()), operations)
    count_trials(killed)

    left = {name: content for each in hands for name, content in each.left.items()}
    wait_until(lambda: all(same(repo, left) for repo in pair), 150, lambda: odd(pair, left))
    fleet.settle(150)
    assert all(same(repo, left) for repo in pair), odd(pair, left)
    assert {os.fsdecode(name) for name in b.tree()} == left.keys()
    assert a.git("symbolic-ref", "HEAD").startswith(b"refs/heads/adjusted/")
    fleet.stop()
    for repo in pair:
        repo.check()


def odd(pair: tuple[Repo, Repo], left: dict[str, bytes]) -> object:
    """The names of which one has something else."""
    return {
        repo.path.name: [name for name in left if not repo.holds(name, left[name])]
        + sorted({os.fsdecode(each) for each in worktree(repo)} - left.keys())
        for repo in pair
    }


def same(repo: Repo, left: dict[str, bytes]) -> bool:
    """Whether the work tree is that, and nothing else."""
    return {os.fsdecode(name) for name in worktree(repo)} == left.keys() and all(
        repo.holds(name, content) for name, content in left.items()
    )


def test_everything_is_killed_at_once_while_very_much_is_added(
    pair: tuple[Repo, Repo], fleet: Fleet, count_trials: CountTrials
) -> None:
    """The whole tree of processes, again and again, on both sides."""
    killed = 0
    chance = random.Random(seed())
    a, b = pair
    daemons = [fleet.annexd(a), fleet.annexd(b)]
    hands = [Hands(a, seed()), Hands(b, seed() + 1)]
    for number in range(400):
        hands[0].write(f"{number % 20}/file {number}", number)

    for number in range(8):
        pause(chance.uniform(0.05, 1.5))
        daemon = daemons[number % 3 == 2]
        for pid in (daemon.pid(), *family(daemon.pid())):
            kill(pid)
            killed += 1
        hands[number % 2].write(f"while down {number}", number)
        daemon.start()
    count_trials(killed)

    all_is_there(fleet, [a, b], hands, within_s=120)


def test_workers_do_not_survive_their_supervisor(repo: Repo, fleet: Fleet) -> None:
    """I9: all gone within 5 s, a new one starts at once, and there are never two."""
    repo.git("commit", "-q", "--allow-empty", "-m", "start")
    daemon = fleet.annexd(repo)
    everybody = family(daemon.pid())
    assert len(everybody) > len(ROLES)

    daemon.kill()

    wait_until(lambda: not any(alive(pid) for pid in everybody), 5)
    daemon.start()
    repo.write("f", b"content")
    synced(repo)


def test_stop_leaves_nothing_behind_and_is_quick(pair: tuple[Repo, Repo], fleet: Fleet) -> None:
    a, b = pair
    daemons = [fleet.annexd(a), fleet.annexd(b)]
    for number in range(200):
        a.write(f"{number}", b"%d" % number * 1000)
    wait_until(lambda: len(b.objects()) > 5, 60)

    for daemon in daemons:
        pid = daemon.pid()
        daemon.stop()
        assert not alive(pid)

    assert not fleet.left_behind()
    for daemon in daemons:
        daemon.start()
    synced(a, b)


def test_a_worker_that_is_killed_is_replaced_and_the_others_go_on(
    pair: tuple[Repo, Repo], fleet: Fleet
) -> None:
    a, b = pair
    daemon = fleet.annexd(a)
    fleet.serve(b)
    wait_until(lambda: set(ROLES) <= daemon.workers().keys(), 10, daemon.workers)
    before = daemon.workers()

    for role in ROLES:
        wait_until_replaced(daemon, role, daemon.kill_worker(role))

    assert {worker["role"] for worker in daemon.status()["workers"]} >= before.keys()
    assert max(worker["restarts"] for worker in daemon.status()["workers"]) >= 1
    a.write("f", b"content")
    synced(a, b)


def wait_until_replaced(daemon: Annexd, role: str, gone: int) -> None:
    """Return when there are workers of that role, and ``gone`` is none of them."""
    wait_until(lambda: gone not in daemon.workers().get(role, [gone]), 10, daemon.status)


@pytest.mark.parametrize("what", ["annex/transfer", "annex/annexd", "annex/transfer/queue"])
def test_the_spool_can_be_deleted_while_it_works(
    pair: tuple[Repo, Repo], fleet: Fleet, what: str
) -> None:
    """Deleting it costs time, never data."""
    a, b = pair
    fleet.serve(a, b)
    synced(a, b)
    hands = [Hands(repo, seed() + number) for number, repo in enumerate(pair)]

    for number in range(100):
        for each in hands:
            each.act(number)
        if number % 20 == 10:
            shutil.rmtree((a, b)[number // 20 % 2].path / ".git" / what, ignore_errors=True)
        pause(0.03)

    if what == "annex/annexd":  # where its answers are kept: asked again by a new one
        for daemon in fleet.daemons:
            daemon.stop()
            daemon.start()
    all_is_there(fleet, list(pair), hands, within_s=120)


def test_racing_starts_make_one_daemon(repo: Repo, fleet: Fleet) -> None:
    repo.git("commit", "-q", "--allow-empty", "-m", "start")
    daemon = fleet.annexd(repo)
    daemon.stop()

    with contextlib.ExitStack() as stack:
        racers = [
            stack.enter_context(running(["annexd", "start", repo.path], repo.path))
            for _ in range(8)
        ]
        for racer in racers:
            racer.wait(30)
        daemon.wait()

        supervisors = {pid for pid in fleet.left_behind() if parent(pid) not in fleet.left_behind()}
        assert supervisors == {daemon.pid()}
    repo.write("f", b"content")
    synced(repo)
