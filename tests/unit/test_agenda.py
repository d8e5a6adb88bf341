"""Which paths are looked at, and when."""

import math

from workers.watcher.agenda import (
    AGAIN_S,
    GONE_S,
    HOPELESS_S,
    PATIENCE,
    REST_S,
    RESTLESS_S,
    RETRIES_S,
    Agenda,
    Why,
)

PATH = b"path"


def test_what_is_heard_of_is_looked_at_at_once() -> None:
    agenda = Agenda()
    agenda.mark(PATH, 1.0)

    assert agenda.due(1.0) == [PATH]
    agenda.settle(PATH)
    assert agenda.due(1.0) == []
    assert agenda.next_due() == math.inf


def test_what_is_missing_comes_before_what_is_new() -> None:
    agenda = Agenda()
    agenda.mark(b"new", 1.0)
    agenda.mark_missing(b"old", 1.0)

    assert agenda.due(1.0) == [b"old", b"new"]


def test_a_path_counts_as_deleted_after_it_has_been_missing_without_a_break() -> None:
    agenda = Agenda()
    agenda.mark(PATH, 0.0)
    assert not agenda.missing(PATH, 0.0, GONE_S)
    assert agenda.due(GONE_S - 0.1) == []
    agenda.mark(PATH, 1.0)
    agenda.present(PATH)
    agenda.mark(PATH, 1.5)

    assert not agenda.missing(PATH, 1.5, GONE_S)
    assert not agenda.missing(PATH, GONE_S, GONE_S)
    assert agenda.missing(PATH, 1.5 + GONE_S, GONE_S)


def test_two_short_absences_are_not_a_long_one() -> None:
    agenda = Agenda()
    agenda.mark_missing(PATH, 0.0)
    assert not agenda.missing(PATH, 0.0, GONE_S)
    agenda.mark(PATH, 0.1)  # and it is not looked at before it goes again
    agenda.mark_missing(PATH, GONE_S)

    assert not agenda.missing(PATH, GONE_S, GONE_S)


def test_a_file_that_is_saved_again_and_again_rests_but_not_for_ever() -> None:
    agenda = Agenda()
    agenda.committed(PATH, 0.0)
    now = 0.5
    while now < 0.5 + RESTLESS_S:
        agenda.mark(PATH, now)
        assert agenda.due(now) == []
        assert agenda.next_due() <= min(now + REST_S, 0.5 + RESTLESS_S)
        now += REST_S / 2
    agenda.mark(PATH, now)

    assert agenda.due(now) == [PATH]


def test_a_file_that_changes_long_after_its_commit_does_not_rest() -> None:
    agenda = Agenda()
    agenda.committed(PATH, 0.0)
    agenda.mark(PATH, AGAIN_S + 0.1)

    assert agenda.due(AGAIN_S + 0.1) == [PATH]


def test_what_could_not_be_read_is_tried_ever_more_rarely_and_at_once_when_heard_of() -> None:
    agenda, now = Agenda(), 0.0
    agenda.mark(PATH, now)
    for delay_s in (*RETRIES_S, RETRIES_S[-1]):
        agenda.put_off(PATH, now, Why.OPEN)
        assert agenda.next_due() == now + delay_s
        assert list(agenda.waiting(Why.OPEN)) == [PATH]
        now += delay_s

    agenda.put_off(PATH, now, Why.OPEN)
    agenda.mark(PATH, now)
    assert agenda.due(now) == [PATH]


def test_what_cannot_be_read_is_named_and_nobody_waits_for_it() -> None:
    agenda = Agenda()
    agenda.put_off(b"secret", 0.0, Why.UNREADABLE)
    agenda.put_off(b"growing", 0.0, Why.OPEN)
    agenda.put_off(b"odd", 0.0, Why.REFUSED)

    assert agenda.pending() == 1
    assert agenda.notes() == (("open", "growing"), ("unreadable", "secret"), ("skipped", "odd"))


def test_what_could_not_be_added_is_tried_again_some_times_and_then_needs_a_person() -> None:
    agenda = Agenda()
    for _ in range(PATIENCE):
        assert not agenda.needs_person(PATH)
        agenda.mark(PATH, 0.0)
        agenda.put_off(PATH, 0.0, Why.FAILED)

    assert agenda.needs_person(PATH)
    assert agenda.pending() == 0
    assert agenda.next_due() == HOPELESS_S
    agenda.mark(PATH, 1.0)
    assert agenda.due(1.0) == [PATH]
    assert agenda.pending() == 1
