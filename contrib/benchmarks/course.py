"""Running cases: rounds with the peers interleaved, a warm-up first, and nothing left behind."""

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import final

from benchmarks.arena import Arena
from benchmarks.book import MEMORY, Book, Sample
from benchmarks.case import Case
from benchmarks.keeper import Keeper
from benchmarks.layout import Layout, Reach
from benchmarks.peers.peer import Ground, Peer
from benchmarks.progress import say
from benchmarks.session import Round, Session
from benchmarks.sshd import Sshd

METERED = "metered"

SLOW_S = 30.0
"""A peer whose warm-up took longer than this is not run again: at that distance from the others
noise does not matter."""


@final
@dataclass(frozen=True, slots=True)
class Runner:
    """A peer, or a yardstick, that takes part in a case."""

    name: str
    peer: type[Peer] | None
    measure: Callable[[Session], None]


@final
class Course:
    """All runs of the program."""

    def __init__(self, arena: Arena, peers: list[type[Peer]], patience_s: float) -> None:
        self.arena = arena
        self.peers = peers
        self.patience_s = patience_s
        self.book = Book()

    def run(self, case: Case) -> None:
        """Run every peer in every round, each round in another order."""
        runners = [Runner(name, None, measure) for name, measure in case.yardsticks.items()]
        for peer in self.peers:
            reason = case.unfit(peer)
            if reason:
                self._note(case, peer.name, f"not run: {reason}")
            else:
                runners.append(Runner(peer.name, peer, case.measure))
        with self._reach(case.layout):
            if case.warm_up:
                runners = [one for one in runners if self._warm_up(case, one)]
            for number in range(case.rounds):
                turn = number % max(1, len(runners))
                for runner in runners[turn:] + runners[:turn]:
                    self.book.add(self._session(case, runner, f"round {number + 1}").samples)

    def _warm_up(self, case: Case, runner: Runner) -> bool:
        """Run once for the memory; returns whether it is worth to be run for the time."""
        session = self._session(case, runner, METERED)
        times = [one.value for one in session.samples if one.unit == "s" and one.value is not None]
        never = session.waits_in_vain * 2 > session.waits
        slow = session.failed or never or any(value > SLOW_S for value in times)
        if slow:
            self._note(case, runner.name, "times from the one metered round")
        self.book.add(one for one in session.samples if slow or one.unit == MEMORY)
        return not slow

    def _session(self, case: Case, runner: Runner, label: str) -> Session:
        """One run, from empty directories to the end of the last process."""
        say(f"{case.scenario} {case.name}: {runner.name}, {label}")
        this = Round(case.scenario, case.name, runner.name, label == METERED, self.patience_s)
        with self._ground(case, runner) as ground:
            peer = None if runner.peer is None else runner.peer(ground)
            session = Session(ground, peer, this)
            try:
                if peer is not None:
                    peer.setup()
                self.arena.quiet()
                session.begin()
                runner.measure(session)
                session.stop()
            except Exception as failure:  # noqa: BLE001 -- one peer's failure is a result
                traceback.print_exc()
                session.failed = True
                session.record("failed", "", None, f"failed: {failure}"[:300])
            finally:
                session.close()
        for one in session.samples:
            value = "never" if one.value is None else f"{one.value:.3f} {one.unit}"
            say(f"    {one.peer} {one.measure}: {value} {one.note}")
        return session

    @contextmanager
    def _ground(self, case: Case, runner: Runner) -> Iterator[Ground]:
        top = self.arena.fresh(case.scenario)
        nodes = tuple(top / f"node{number}" for number in range(case.layout.nodes))
        state = top / "state"
        for path in (*nodes, state):
            path.mkdir()
        keepers = tuple(
            Keeper(self.arena.environment, str(state / f"output{number}"))
            for number in range(case.layout.nodes)
        )
        layout = case.layout
        alone = not layout.daemon_everywhere and runner.peer is not None and runner.peer.annexed
        daemons_at = (0,) if alone else tuple(range(layout.nodes))
        try:
            yield Ground(
                *(self.arena, nodes, layout.edges, daemons_at, keepers, state, layout.reach),
                base=case.base,
            )
        finally:
            for keeper in keepers:
                keeper.close()
            if case.bulky:
                self.arena.discard(top)
            else:
                self.arena.retire(top)

    @contextmanager
    def _reach(self, layout: Layout) -> Iterator[None]:
        if layout.reach is Reach.PATH:
            yield
            return
        server = Sshd(self.arena)
        try:
            yield
        finally:
            server.close()

    def _note(self, case: Case, peer: str, note: str) -> None:
        self.book.add([Sample(case.scenario, case.name, peer, "", "", None, note)])
