"""Who goes first, where all would do the same."""

from workers.courtesy import FIRST_S, FORGET_S, LONGEST_S, Courtesy


def longest(_least: float, most: float) -> float:
    return most


def test_a_wait_has_one_end_however_often_it_is_asked_for() -> None:
    courtesy = Courtesy(longest)
    assert courtesy.wait(100.0) == 100.0 + FIRST_S
    assert courtesy.wait(100.1) == 100.0 + FIRST_S
    assert courtesy.wait(100.0 + FIRST_S) is None


def test_each_wait_may_be_twice_as_long_as_the_one_before() -> None:
    courtesy = Courtesy(longest)
    now, waits = 100.0, []
    for _ in range(8):
        until = courtesy.wait(now)
        assert until is not None
        waits.append(until - now)
        now = until
        assert courtesy.wait(now) is None
        assert courtesy.wait(now + 1) is None  # still our turn, should it not work at once
        courtesy.relieve()
    assert waits == [min(FIRST_S * 2**n, LONGEST_S) for n in range(8)]


def test_after_a_quiet_time_all_is_forgotten() -> None:
    courtesy = Courtesy(longest)
    assert courtesy.wait(100.0) is not None
    assert courtesy.wait(101.0) is None
    courtesy.relieve()
    later = 100.0 + FORGET_S + 1
    assert courtesy.wait(later) == later + FIRST_S


def test_who_is_relieved_waits_anew() -> None:
    courtesy = Courtesy(longest)
    assert courtesy.wait(100.0) is not None
    courtesy.relieve()
    assert courtesy.wait(200.0) is not None


def test_two_choose_differently() -> None:
    chosen = {Courtesy().wait(0.0) for _ in range(20)}
    assert len(chosen) == 20
