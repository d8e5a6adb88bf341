"""Limits of speed: by command, or by hand."""

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spool import limit
from spool.limit import FOREVER, Limit
from spool.transfer import UUID, Direction
from tests.spool import NOW, U1, U2, Spool
from workers.throttle import PIECE_MAX, PIECE_MIN, piece, rates

UP, DOWN = Direction.UPLOAD, Direction.DOWNLOAD

words = st.text("kMGiB/s.0123456789", min_size=1, max_size=12)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(Direction), words, st.none() | st.integers(int(NOW) + 1, 10**14))
def test_what_is_set_is_found_again(
    spool: Spool, direction: Direction, rate: str, until: int | None
) -> None:
    one = Limit(None, direction, rate, FOREVER if until is None else float(until))

    limit.put(spool.paths, one, NOW)

    assert one in limit.listing(spool.paths, NOW)


def test_each_direction_and_each_repository_has_its_own(spool: Spool) -> None:
    first = Limit(None, UP, "1MB")
    limits = [first, Limit(None, DOWN, "2MB", NOW + 60), Limit(U1, UP, "none")]
    for each in limits:
        limit.put(spool.paths, each, NOW)

    assert limit.listing(spool.paths, NOW) == limits
    assert limit.of(spool.paths, U2, NOW) == []

    limit.lift(spool.paths, None, DOWN, NOW)
    limit.lift(spool.paths, U1, UP, NOW)
    assert limit.listing(spool.paths, NOW) == [first]
    limit.lift(spool.paths, None, UP, NOW)
    assert spool.files() == set()


def test_a_limit_ends_by_itself_and_the_other_stays(spool: Spool) -> None:
    limit.put(spool.paths, Limit(None, UP, "1MB", NOW + 60), NOW)
    limit.put(spool.paths, Limit(None, DOWN, "1MB"), NOW)

    assert len(limit.listing(spool.paths, NOW + 59)) == 2
    assert limit.listing(spool.paths, NOW + 60) == [Limit(None, DOWN, "1MB")]


def test_a_person_writes_one_by_hand(spool: Spool) -> None:
    spool.plant(
        spool.path(b"transfer", b"limit", b"all"),
        b"# at the airport\n\n  up  1.5 MB until 1900000000.7  \ndown 20kB\r\nup\n",
    )

    assert limit.listing(spool.paths, NOW) == [
        Limit(None, UP, "1.5 MB", 1_900_000_000.0),
        Limit(None, DOWN, "20kB"),
    ]


@pytest.mark.parametrize("kind", ["symlink", "fifo", "directory", "huge", "bytes"])
def test_what_is_no_limit_limits_nothing_and_is_replaced(spool: Spool, kind: str) -> None:
    path = spool.path(b"transfer", b"limit", b"all")
    path.parent.mkdir(parents=True)
    match kind:
        case "symlink":
            path.symlink_to("/dev/zero")
        case "fifo":
            os.mkfifo(path)
        case "directory":
            path.mkdir()
        case "huge":
            path.write_bytes(b"up 1MB\n" * 20_000)
        case _:
            path.write_bytes(b"\xff\xfe up \x00 1MB\n")

    assert limit.listing(spool.paths, NOW) == []
    limit.put(spool.paths, Limit(None, UP, "1MB"), NOW)
    assert limit.listing(spool.paths, NOW) == [Limit(None, UP, "1MB")]


def test_both_limits_hold_and_none_frees_a_repository_of_both() -> None:
    every, own = Limit(None, UP, "1MB"), Limit(U1, UP, "300kB/s")

    assert rates([every, own], UP) == {b"all.to": 1_000_000, U1 + b".to": 300_000}
    assert rates([every, own], DOWN) == {}
    assert rates([every, Limit(U1, UP, "none")], UP) == {}
    assert rates([every, Limit(U1, DOWN, "none")], UP) == {b"all.to": 1_000_000}
    assert rates([Limit(UUID(b"x"), UP, "quick")], UP) == {}


@given(st.none() | st.integers(1, 10**12))
def test_a_piece_takes_a_part_of_a_second(bytes_per_s: int | None) -> None:
    assert PIECE_MIN <= piece(bytes_per_s) <= PIECE_MAX
    if bytes_per_s is not None and bytes_per_s > PIECE_MIN:
        assert piece(bytes_per_s) <= bytes_per_s
