"""Sending so that a line stays free: the law, on a model of a line with a large buffer."""

import statistics
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.transferrer.pacing import DELAY_S, LEAST, SLICE_S, SLICES, Base, Pacing

STEP_S = 0.25


@dataclass
class Line:
    """Carries so much a second; what is more waits, and what the buffer cannot hold is lost."""

    bytes_per_s: float
    rtt_s: float
    buffer_s: float = 0.3
    waiting: float = 0.0

    def carry(self, sent: float) -> float:
        """For one step; what has arrived."""
        self.waiting += sent
        arrived = min(self.waiting, self.bytes_per_s * STEP_S)
        self.waiting = min(self.waiting - arrived, self.bytes_per_s * self.buffer_s)
        return arrived

    @property
    def delay_s(self) -> float:
        """What waits adds to the round trip."""
        return self.waiting / self.bytes_per_s


def run(line: Line, pacing: Pacing, seconds: float) -> tuple[Pacing, list[float], float]:
    """Send for a while: the pace then, the delays, and what arrived a second."""
    delays, total = [], 0.0
    for number in range(int(seconds / STEP_S)):
        arrived = line.carry(pacing.bytes_per_s * STEP_S)
        total += arrived
        delays.append(line.delay_s)
        now = number * STEP_S
        pacing = pacing.step(line.rtt_s + line.delay_s, arrived / STEP_S, STEP_S, now)
    return pacing, delays, total / seconds


@given(st.floats(2e5, 2e7), st.floats(0.0005, 0.3))
def test_a_line_is_used_and_stays_free(bytes_per_s: float, rtt_s: float) -> None:
    line = Line(bytes_per_s, rtt_s)
    pacing, _, _ = run(line, Pacing(), 30)

    _, delays, arrived_per_s = run(line, pacing, 60)

    assert statistics.median(delays) < DELAY_S
    assert arrived_per_s > 0.8 * bytes_per_s


def test_it_begins_carefully_and_has_found_the_line_in_seconds() -> None:
    _, delays, arrived_per_s = run(Line(1e6, 0.02), Pacing(), 15)

    assert max(delays) <= 0.3
    assert arrived_per_s > 0.6e6


def test_a_buffer_that_was_full_before_runs_empty_without_starving_us() -> None:
    """Switched on in the middle: what has arrived says what the line carries."""
    line = Line(1e6, 0.02, waiting=0.3e6)
    pacing = Pacing(base=Base().seen(0.02, 0))

    _, delays, arrived_per_s = run(line, pacing, 10)

    assert statistics.median(delays) < DELAY_S
    assert arrived_per_s > 0.6e6


def test_when_others_come_we_give_way_and_when_they_go_we_take_the_line_again() -> None:
    line = Line(1e6, 0.02)
    pacing, _, _ = run(line, Pacing(), 30)
    line.bytes_per_s = 3e5
    pacing, delays, _ = run(line, pacing, 20)
    assert statistics.median(delays) < DELAY_S
    line.bytes_per_s = 1e6

    _, _, arrived_per_s = run(line, run(line, pacing, 30)[0], 20)

    assert arrived_per_s > 0.8e6


def test_a_source_that_is_slow_asks_for_no_more_than_it_uses() -> None:
    pacing = Pacing(cruise=1e6)

    for number in range(100):
        pacing = pacing.step(0.02, 1e5, STEP_S, number * STEP_S)

    assert pacing.cruise == 1e6


@pytest.mark.parametrize("rtt_s", [0.5, 5.0])
def test_it_never_stops_altogether(rtt_s: float) -> None:
    pacing = Pacing(base=Base().seen(0.01, 0))

    for number in range(1000):
        pacing = pacing.step(rtt_s, 10.0, STEP_S, number * STEP_S)

    assert pacing.bytes_per_s >= LEAST


def test_the_shortest_round_trip_is_that_of_the_last_minutes() -> None:
    base = Base().seen(0.01, 0.0).seen(0.2, SLICE_S * (SLICES - 1))
    assert base.rtt_s == 0.01

    assert base.seen(0.1, SLICE_S * SLICES).rtt_s == 0.1
    assert Base().rtt_s == float("inf")
