"""One run of one peer in one case: the ground, the peer on it, and what is seen of it."""

import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import final

from benchmarks import arrival, keys, proc
from benchmarks.arrival import Arrival, Expected
from benchmarks.book import MEGABYTE, MEMORY, Sample
from benchmarks.files import Batch
from benchmarks.peers.peer import Ground, Peer
from benchmarks.progress import say
from benchmarks.sampler import Sampler

VISIBLE = "visible"
"""The content is in the other work tree, under its name."""

CONTENT = "content"
"""The content is an object of the other repository, though perhaps not yet in its work tree."""

CALM_S = 0.5
CALM_CPU_S = 0.02
"""Daemons that use less than this in that time have settled."""

SETTLE_S = 30.0


@dataclass(frozen=True, slots=True)
class Round:
    """What sets one run apart from the others of its case."""

    scenario: str
    case: str
    peer: str
    metered: bool
    """Memory is sampled, and times do not count."""

    patience_s: float


@final
class Session:
    """The verbs of scenarios."""

    def __init__(self, ground: Ground, peer: Peer | None, this: Round) -> None:
        self.ground = ground
        self.peer = peer
        self.this = this
        self.samples: list[Sample] = []
        self.waits = self.waits_in_vain = 0
        self.failed = False

        self._sampler: Sampler | None = None
        self._is_running = False
        self._busy_s = self._own_s = 0.0
        self._since = time.monotonic()
        self.begin()

    @property
    def source(self) -> Path:
        """The work tree in which things happen."""
        return self.ground.nodes[0]

    def start(self) -> None:
        """Start the daemons; in a metered round, and their sampler."""
        if self.peer is None:
            return
        if self.this.metered and self._sampler is None:
            self._sampler = Sampler([keeper.pid for keeper in self.ground.keepers])
        self._is_running = True
        self.peer.start()

    def stop(self) -> None:
        """Stop the daemons as their user would, and see that they are gone."""
        if self.peer is None or not self._is_running:
            return
        self.record_memory()
        self._is_running = False
        self.peer.stop()
        for keeper in self.ground.keepers:
            keeper.clear()

    def close(self) -> None:
        """The end, even after a failure: nothing of this session goes on."""
        if self._sampler is not None:
            self._sampler.stop()
            self._sampler = None

    def sync(self) -> None:
        """Let a peer that is no daemon do its work."""
        if self.peer is not None:
            self.peer.sync()

    def allow_mass_change(self) -> None:
        """Let the peer believe thousands of deletions."""
        if self.peer is not None:
            self.peer.allow_mass_change()

    def settle(self, limit_s: float = SETTLE_S) -> bool:
        """Wait until the daemons have nothing left to do; returns whether they came to that."""
        deadline = time.monotonic() + limit_s
        while self.peer is not None and not self.peer.is_synced():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        before = self.cost()
        while time.monotonic() < deadline:
            time.sleep(CALM_S)
            now = self.cost()
            if (now - before).cpu_s < CALM_CPU_S:
                return True
            before = now
        return False

    def cost(self) -> proc.Cost:
        """What all daemons have used so far."""
        return sum((keeper.cost() for keeper in self.ground.keepers), proc.NOTHING)

    def wait(
        self, expected: Mapping[str, Iterable[Expected]], last: str = VISIBLE
    ) -> dict[str, Arrival]:
        """Wait until the set named ``last`` has arrived, or patience is at its end."""
        arrivals = arrival.wait_for(expected, last, self.this.patience_s)
        self.waits += 1
        if arrivals[last].at is None:
            self.waits_in_vain += 1
            say(f"{self.this.peer}: {arrivals[last]}")
            if self.peer is not None:
                say(self.peer.diagnosis())
        return arrivals

    def wait_for(self, batch: Batch, node: int, since: float) -> bool:
        """Wait for files, and record how long it took; returns whether they came."""
        arrivals = self.wait(self.expect([batch], node))
        for name, seen in arrivals.items():
            self.record_arrival(name, seen, since)
        return arrivals[VISIBLE].at is not None

    def expect(self, batches: Iterable[Batch], node: int) -> dict[str, list[Expected]]:
        """What is there when these files have arrived at a node."""
        sets: dict[str, list[Expected]] = {VISIBLE: []}
        top = os.fspath(self.ground.nodes[node])
        annexed = self.peer is not None and self.peer.annexed
        if annexed:
            sets[CONTENT] = []
        for batch in batches:
            sets[VISIBLE] += [(f"{top}/{path}", batch.size) for path in batch.paths()]
            if annexed:
                objects = (os.fsdecode(keys.object_path(key)) for key in batch.annex_keys())
                sets[CONTENT] += [(f"{top}/{path}", batch.size) for path in objects]
        return sets

    def gone(self, batches: Iterable[Batch], node: int) -> list[Expected]:
        """What is not there when the deletion of these files has arrived."""
        top = os.fspath(self.ground.nodes[node])
        return [(f"{top}/{path}", arrival.GONE) for batch in batches for path in batch.paths()]

    def record(self, measure: str, unit: str, value: float | None, note: str = "") -> None:
        """Take down one value."""
        this = self.this
        self.samples.append(
            Sample(
                *(this.scenario, this.case, this.peer, measure, unit, value, note),
                foreign=self._foreign(),
            )
        )

    def record_arrival(self, measure: str, seen: Arrival, since: float) -> None:
        """Take down how long something took, or how far it came."""
        if seen.at is None:
            note = f"{measure}: {seen}, then nothing for {self.this.patience_s:.0f} s"
            self.record(measure, "s", None, note)
        else:
            self.record(measure, "s", seen.at - since)

    def record_memory(self) -> None:
        """Take down the memory of the daemons as they are now, and their peaks so far."""
        if self.this.metered and self._is_running:
            now = [proc.pss_bytes(keeper.pid) / MEGABYTE for keeper in self.ground.keepers]
            if any(now):
                self.record("settled PSS", MEMORY, max(now))
                self.record("settled PSS of all", MEMORY, sum(now))
        if self._sampler is not None:
            peaks = self._sampler.stop()
            self._sampler = None
            self.record("peak PSS", MEMORY, peaks.one / MEGABYTE)

    def verify(self, batch: Batch, nodes: Iterable[int]) -> None:
        """Compare every byte that is said to have arrived; a difference spoils the run."""
        for node in nodes:
            wrong = batch.wrong(self.ground.nodes[node])
            if wrong:
                self.failed = True
                self.record("wrong contents", "files", float(len(wrong)), f"e.g. {wrong[0]!r}")

    def begin(self) -> None:
        """The preparations are over: what others use counts from now."""
        self._busy_s = proc.busy_s()
        self._own_s = self._used_by_us_s()
        self._since = time.monotonic()

    def _used_by_us_s(self) -> float:
        return self.cost().cpu_s + sum(os.times()[:4])

    def _foreign(self) -> float:
        """The share of all processors that others have used since ``begin``."""
        elapsed_s = max(proc.TICK_S, time.monotonic() - self._since)
        others_s = proc.busy_s() - self._busy_s - (self._used_by_us_s() - self._own_s)
        return round(max(0.0, others_s) / elapsed_s / (os.cpu_count() or 1), 3)
