"""Who pushes to us what it has is asked only for what it does not push."""

import math

from workers.git.stream import ObjectId
from workers.pusher.hearsay import COURTESY_S, SAID_MAX, Hearsay

OLD, LOGS, FILES, MORE = (ObjectId(digit * 40) for digit in "1234")
NOW = 1000.0
PUSHED = frozenset((OLD,))


def test_who_has_never_pushed_is_asked_at_once() -> None:
    ours = Hearsay()
    ours.hear({OLD, FILES})

    assert ours.asks_at({OLD}, frozenset(), NOW) == NOW


def test_what_is_known_is_no_news() -> None:
    ours = Hearsay()
    ours.hear({OLD})

    assert ours.asks_at({OLD}, frozenset(), NOW) == math.inf


def test_what_it_pushes_in_time_is_not_asked_for() -> None:
    ours = Hearsay()
    ours.hear({OLD, FILES})

    assert ours.asks_at({OLD}, PUSHED, NOW) == NOW + COURTESY_S
    assert ours.asks_at({OLD}, frozenset((FILES,)), NOW + COURTESY_S + 1) == math.inf


def test_as_long_as_it_pushes_the_rest_is_left_to_it() -> None:
    ours = Hearsay()
    ours.hear({OLD, LOGS, FILES})
    assert ours.asks_at({OLD}, PUSHED, NOW) == NOW + COURTESY_S

    later = NOW + COURTESY_S - 1
    assert ours.asks_at({OLD}, frozenset((LOGS,)), later) == later + COURTESY_S


def test_who_was_waited_for_in_vain_is_asked_at_once_until_it_pushes_again() -> None:
    ours = Hearsay()
    ours.hear({OLD, LOGS})
    ours.asks_at({OLD}, PUSHED, NOW)
    late = NOW + COURTESY_S
    assert ours.asks_at({OLD}, PUSHED, late) == late
    ours.forget()

    ours.hear({FILES})
    assert ours.asks_at({OLD, LOGS}, PUSHED, late) == late  # LOGS was there, and fetched
    ours.forget()
    ours.hear({MORE})
    assert ours.asks_at({OLD, LOGS, FILES}, frozenset((FILES,)), late) == late + COURTESY_S


def test_what_it_has_replaced_meanwhile_was_not_waited_for_in_vain() -> None:
    ours = Hearsay()
    ours.hear({OLD, LOGS})
    ours.asks_at({OLD}, PUSHED, NOW)
    late = NOW + COURTESY_S
    assert ours.asks_at({OLD}, PUSHED, late) == late
    ours.forget()

    ours.hear({FILES})
    assert ours.asks_at({OLD}, PUSHED, late) == late + COURTESY_S


def test_who_says_more_than_can_be_remembered_is_asked_at_once() -> None:
    """What it has said is kept until then."""
    ours = Hearsay()
    ours.hear({OLD, LOGS})
    assert ours.asks_at({OLD}, PUSHED, NOW) > NOW

    ours.hear({OLD} | {ObjectId(f"{number:040x}") for number in range(SAID_MAX + 1)})

    assert ours.asks_at({OLD}, PUSHED, NOW) == NOW
