"""What was dropped and is wanted all the same comes back, each time later."""

from spool.key import Key
from spool.transfer import UUID, Direction, Transfer
from workers.scanner.dropped import FORGIVEN_S, LATEST_S, SECOND_THOUGHTS_S, Dropped

HERE, THERE = UUID(b"here"), UUID(b"there")
KEY = Key(b"SHA256-s4--00")
TO_US = Transfer(Direction.DOWNLOAD, THERE, KEY)
ALL, ONE = {KEY: frozenset((HERE, THERE))}, {KEY: frozenset((THERE,))}


def drop_and_bring_back(dropped: Dropped, now: float) -> float:
    """How long it takes until it is brought back; and then it is."""
    dropped.learn(ALL, ONE, now)
    at = dropped.back_at(HERE, TO_US, now)
    assert dropped.back_at(HERE, TO_US, at) == 0.0
    assert dropped.learn(ONE, ALL, at) == [(HERE, KEY)]
    assert dropped.back_at(HERE, TO_US, at) == 0.0
    return at - now


def test_what_is_dropped_again_and_again_is_brought_back_ever_later() -> None:
    dropped, now, waits = Dropped(), 1000.0, list[float]()
    for _ in range(12):
        waits.append(drop_and_bring_back(dropped, now))
        now += waits[-1]

    assert waits[:4] == [SECOND_THOUGHTS_S * each for each in (1, 2, 4, 8)]
    assert waits[-1] == LATEST_S


def test_after_a_while_it_counts_as_not_dropped_before() -> None:
    dropped = Dropped()
    for now in (1000.0, 2000.0, 3000.0):
        drop_and_bring_back(dropped, now)

    assert drop_and_bring_back(dropped, 3000.0 + FORGIVEN_S + 1) == SECOND_THOUGHTS_S


def test_others_are_not_waited_for() -> None:
    dropped = Dropped()
    dropped.learn(ALL, ONE, 1000.0)

    assert dropped.back_at(HERE, Transfer(Direction.UPLOAD, THERE, KEY), 1000.0) == 0.0
    assert dropped.back_at(THERE, TO_US, 1000.0) == 0.0
