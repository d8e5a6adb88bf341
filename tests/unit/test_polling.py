"""How often a remote is asked that says it has something new."""

from workers.pusher.allowance import LEAST_S
from workers.pusher.polling import AT_ONCE, HINTED_S, Polling

NOW = 1000.0


def test_a_hint_soon_after_a_question_is_followed_soon() -> None:
    """A copy into a hub, and a push a second later: the push waited for two seconds."""
    polling = Polling(NOW)
    polling.note(NOW, was_asked=True, was_news=True)

    assert polling.hinted_at == NOW + LEAST_S


def test_however_many_hints_there_are_it_is_not_asked_all_the_time() -> None:
    polling, now, asked = Polling(NOW), NOW, 0
    while now < NOW + 100 * HINTED_S:
        polling.note(now, was_asked=True, was_news=True)
        asked += 1
        now = max(now + 0.01, polling.hinted_at)

    assert asked <= 100 + AT_ONCE


def test_who_was_never_asked_is_asked_at_once() -> None:
    assert Polling(NOW).hinted_at < NOW
