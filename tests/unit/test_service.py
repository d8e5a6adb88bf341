"""The life of a worker: the whole table, walked."""

import itertools
import signal

import pytest

from annexd.service import (
    CRASH_FORGIVEN_S,
    DELAY_MAX_S,
    TRANSITIONS,
    Action,
    Death,
    Event,
    State,
    delay_s,
    next_tally,
    step,
)

CRASH = 111 << 8
ALL = list(itertools.product(State, Event))


@pytest.mark.parametrize(("state", "event"), ALL)
def test_every_cell_leads_to_a_state_and_what_is_not_in_the_table_stays(
    state: State, event: Event
) -> None:
    after, action = step(state, event)

    assert after in State
    if (state, event) not in TRANSITIONS:
        assert (after, action) == (state, Action.NOTHING)


def test_nothing_is_spawned_while_stopping() -> None:
    for state, event in itertools.product((State.STOPPING, State.KILLED), Event):
        after, action = step(state, event)

        assert action is not Action.SPAWN
        assert after in {State.STOPPING, State.KILLED, State.DOWN}


def test_a_worker_is_spawned_exactly_when_it_comes_up() -> None:
    for state, event in ALL:
        after, action = step(state, event)
        again = event in {Event.DIED, Event.RENEWED}
        comes_up = after is State.UP and (state is not State.UP or again)
        assert (action is Action.SPAWN) == comes_up


def test_every_state_reaches_down_when_it_is_unwanted_and_time_passes() -> None:
    for state in State:
        at, _ = step(state, Event.UNWANTED)
        for _ in range(3):
            at, _ = step(at, Event.TIMER)
        assert at is State.DOWN, state


def test_every_state_that_waits_has_a_timer_armed() -> None:
    arming = {Action.ARM_TIMER, Action.TERMINATE, Action.KILL}
    for state, event in ALL:
        after, action = step(state, event)
        if after is not state and after in {State.THROTTLED, State.STOPPING, State.KILLED}:
            assert action in arming


def test_every_wanted_worker_comes_up_again() -> None:
    for event in (Event.DIED, Event.DIED_EARLY):
        at, _ = step(State.UP, event)
        at, _ = step(at, Event.TIMER)
        assert at is State.UP


def test_a_worker_that_keeps_crashing_is_started_at_once_and_then_ever_later() -> None:
    tally, delays = 0, []
    for _ in range(10):
        death = Death(0.1, CRASH)
        tally = next_tally(tally, death)
        delays.append(delay_s(tally, death))

    assert delays == [0, 1, 2, 4, 8, 16, 32, DELAY_MAX_S, DELAY_MAX_S, DELAY_MAX_S]


def test_a_long_life_is_forgiven_its_crash() -> None:
    assert next_tally(7, Death(CRASH_FORGIVEN_S + 1, CRASH)) == 0


@pytest.mark.parametrize("status", [signal.SIGKILL, signal.SIGTERM, 0])
def test_whoever_kills_a_worker_again_and_again_gets_a_new_one_every_second(status: int) -> None:
    death = Death(0.1, status)
    tally = 0
    for _ in range(100):
        tally = next_tally(tally, death)
    assert delay_s(tally, death) == 1

    assert next_tally(tally, Death(1.5, status)) == 0


def test_a_death_says_how_it_came() -> None:
    assert str(Death(1, CRASH)) == "status 111"
    assert str(Death(1, signal.SIGSEGV)) == "signal 11"
