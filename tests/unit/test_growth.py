"""When a worker that has grown begins afresh."""

import math
import time

import pytest

from workers import growth
from workers.growth import CALM_S, GROWTH_BYTES, LIFE_S, LULL_S, Growth

SIZE = 10 << 20


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How large the process is; the last one counts."""
    sizes = [SIZE]
    monkeypatch.setattr(growth, "_own_bytes", lambda: sizes[-1])
    monkeypatch.setattr(growth, "START_MAX_S", math.inf)  # of the tests before this one
    return sizes


def test_who_has_grown_leaves_after_a_moment_but_not_in_its_youth(sizes: list[int]) -> None:
    began = time.monotonic()
    one = Growth()
    assert one.leave_at() == math.inf

    sizes.append(SIZE + GROWTH_BYTES)
    assert one.leave_at() == math.inf

    sizes.append(SIZE + GROWTH_BYTES + 1)
    assert began + LIFE_S <= one.leave_at() <= time.monotonic() + LIFE_S
    assert one.leave_at() > time.monotonic() + CALM_S


def test_nobody_leaves_when_there_is_something_to_do_soon(sizes: list[int]) -> None:
    one = Growth()
    one.leave_at()
    sizes.append(SIZE + 2 * GROWTH_BYTES)

    assert one.leave_at(time.monotonic() + LULL_S / 2) == math.inf
    assert one.leave_at(time.monotonic() + 2 * LULL_S) < math.inf


def test_who_needed_long_to_start_stays(sizes: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "START_MAX_S", -1.0)
    one = Growth()
    one.leave_at()
    sizes.append(SIZE + 2 * GROWTH_BYTES)

    assert one.leave_at() == math.inf


def test_this_process_has_some_memory_of_its_own() -> None:
    assert 1 << 20 < growth._own_bytes() < 1 << 34
