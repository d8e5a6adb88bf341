"""What is known of ways' speed: learnt from transfers, kept in a record, read strictly."""

import math
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from spool.transfer import Direction, Lane, parse_uuid
from workers.routing.graph import Pace
from workers.routing.rates import LARGE, SMALL, UNKNOWN, Rate, Rates

LANE = Lane(Direction.UPLOAD, parse_uuid(b"u-1"))


def test_large_contents_tell_speed_and_small_ones_delay() -> None:
    rate = UNKNOWN.with_sample(10 * LARGE, 1.0, 5.0).with_sample(SMALL, 0.2, 6.0)

    assert rate == Rate(10 * LARGE, 0.2, 6.0)
    slower = rate.with_sample(4 * LARGE, 1.0, 7.0)
    assert slower.bytes_per_s == 8 * LARGE
    assert slower.with_sample(LARGE // 2, 9.0, 8.0)[:2] == slower[:2], "neither"


def test_what_was_there_already_says_nothing_about_speed() -> None:
    assert math.isinf(UNKNOWN.with_sample(1 << 30, 0.001, 1.0).bytes_per_s)
    assert UNKNOWN.with_sample(1 << 30, 0.001, 1.0).pace(Pace(7.0, 1.0)) == Pace(7.0, 1.0)


def test_it_is_kept(tmp_path: Path) -> None:
    cache = tmp_path / "annex/annexd/cache"
    (tmp_path / "annex").mkdir()
    rates = Rates.load(cache)
    rates.note(LANE, LARGE, 0.5, 10.0)
    rates.store(cache)

    assert Rates.load(cache).of(LANE.direction, LANE.uuid) == Rate(2 * LARGE, 0.0, 10.0)
    assert Rates.load(cache).of(Direction.DOWNLOAD, LANE.uuid) is None


@given(st.binary())
def test_nothing_that_is_read_does_harm(data: bytes) -> None:
    Rates.parse(data)
    Rates.parse(b"to-u-1 " + data + b"\n")
