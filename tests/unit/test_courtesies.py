"""Transfers that are left to a neighbour are queued when it is late, and does nothing."""

from spool.key import Key, parse
from spool.transfer import Direction, Lane, Transfer, parse_uuid
from workers.scanner.courtesies import GRACE_S, PER_KEY_S, Courtesies

LANE = Lane(Direction.DOWNLOAD, parse_uuid(b"11111111-2222-3333-4444-555555555555"))
COUNT = 10
ALL_S = GRACE_S + COUNT * (PER_KEY_S + 0.001)


NOW = 1000.0


def keys() -> list[Key]:
    return [parse(b"SHA256E-s1--%064d" % number) for number in range(COUNT)]


def left() -> Courtesies:
    ours = Courtesies()
    for key in keys():
        assert ours.leave(Transfer(LANE.direction, LANE.uuid, key), b"file", NOW)
    return ours


def test_who_does_nothing_is_late_with_one_after_the_other() -> None:
    ours, found = left(), []
    now = NOW
    assert not ours.late(now)
    for _step in range(COUNT):
        assert ours.next_look() > now
        now = ours.next_look()
        found += [each.transfer.key for each in ours.late(now)]

    assert found == keys()
    assert not len(ours)


def test_who_gets_on_is_not_helped_until_he_stops() -> None:
    ours = left()
    *done, last = reversed(keys())  # not in the order in which we heard of them
    now = NOW
    for key in done[:-1]:
        now += GRACE_S / 2
        ours.withdraw(LANE, key, now)
        assert not ours.late(now)
        assert ours.next_look() > now

    assert now > NOW + ALL_S  # all of it should have been done long ago
    late = ours.late(now + GRACE_S)
    assert {each.transfer.key for each in late} == {done[-1], last}


def test_what_has_been_done_is_not_late() -> None:
    ours = left()
    for key in keys():
        ours.withdraw(LANE, key, NOW)

    assert not ours.late(NOW + ALL_S + GRACE_S)
    assert LANE not in ours


def test_whose_contents_come_is_getting_on_before_a_log_says_so() -> None:
    ours = left()
    now = NOW + ALL_S
    assert ours.senders() == {LANE.uuid}
    ours.get_on(LANE.uuid, now)

    assert not ours.late(now)
    assert ours.late(now + GRACE_S)
