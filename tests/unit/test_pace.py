"""How soon an exchange with a remote is worthwhile."""

import pytest

from workers.pusher.pace import (
    APART_SHARE,
    GATHER_S,
    HURRIED_S,
    MOMENT_S,
    SOON_AVERAGE_S,
    SOON_IN_A_ROW,
    SOON_S,
    SPACING_S,
    Pace,
)


def exchanged(pace: Pace, began: float, ended: float) -> None:
    pace.begin(began)
    pace.end(ended)


def test_logs_wait_for_more_and_files_do_not() -> None:
    pace = Pace()
    exchanged(pace, 100.0, 100.1)

    assert pace.files_at(101.0) == 100.1
    assert pace.logs_at(101.0) == 100.1 + SPACING_S
    assert pace.gathered_at(110.0, begins=True) == 110.0 + GATHER_S


def test_while_much_is_exchanged_there_are_pauses() -> None:
    pace = Pace()
    exchanged(pace, 100.0, 102.0)

    assert pace.files_at(102.0) > 102.0


def test_behind_ssh_logs_wait_for_the_files_that_they_are_about_and_files_hardly() -> None:
    pace = Pace()
    assert pace.apart_at(100.0) == pace.apart_at(100.1) == 100.0 + SOON_S
    exchanged(pace, 103.0, 105.0)
    assert pace.apart_at(105.0) == pace.logs_at(105.0) > 105.0 + GATHER_S
    assert 105.0 < pace.files_at(105.0, APART_SHARE) < pace.files_at(105.0)

    exchanged(pace, 110.0, 110.1)
    pace.hurry(120.0)

    assert pace.apart_at(120.0) == pace.apart_at(120.05) == 120.0 + MOMENT_S
    exchanged(pace, 120.1, 120.6)
    assert 120.6 + MOMENT_S < pace.apart_at(120.6) < 120.6 + SPACING_S


def test_for_whoever_waits_there_is_no_pause_before_the_next_ones() -> None:
    pace = Pace()
    exchanged(pace, 100.0, 102.0)

    pace.hurry(102.0)

    assert pace.files_at(102.0) <= 102.0
    assert pace.logs_at(102.0) <= 102.0
    # A moment, for files that follow to go together with what is said of them.
    assert pace.gathered_at(102.0, begins=False) == pytest.approx(102.0 + MOMENT_S)
    assert pace.alone_at(102.5) == pytest.approx(102.0 + MOMENT_S)

    exchanged(pace, 102.0, 102.1)
    assert pace.logs_at(102.2) <= 102.1
    after = 102.0 + HURRIED_S
    exchanged(pace, after, after + 0.1)
    assert pace.logs_at(after + 0.1) == after + 0.1 + SPACING_S


def test_what_was_sent_is_told_soon_if_it_is_not_told_all_the_time() -> None:
    """Of a file that is sent to a hub, the name goes at once; the others wait for where it is."""
    pace, now = Pace(), 100.0
    for _ in range(SOON_IN_A_ROW):
        pace.files_at(now)
        exchanged(pace, now, now + 0.1)  # does not count
        assert pace.alone_at(now + 0.1) == pace.apart_at(now + 0.2) == now + 0.1 + SOON_S
        exchanged(pace, now + 0.4, now + 0.5)
        now += 0.6

    assert pace.alone_at(now) == pace.logs_at(now) == now - 0.1 + SPACING_S
    pace.rest()
    now += SOON_AVERAGE_S
    assert pace.apart_at(now) == now + SOON_S
