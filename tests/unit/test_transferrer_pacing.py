"""The pure parts of the transferrer: what comes first, and when a broken remote is tried again."""

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from spool.remotes import PAUSE_MAX_S, Exchange, Reach
from spool.transfer import UUID, Direction, Lane
from workers.transferrer.gate import after_failure, broken_until
from workers.transferrer.order import BATCH_BYTES, batches, lanes, size_of

NOW = 1_800_000_000.0


def job(number: int, size: int) -> bytes:
    return b"SHA256-s%d--%064d" % (size, number)


@given(st.lists(st.integers(0, BATCH_BYTES), max_size=60), st.integers(1, 9))
def test_every_job_is_in_one_batch_and_no_batch_is_too_large(sizes: list[int], most: int) -> None:
    names = [job(number, size) for number, size in enumerate(sizes)]

    cut = list(batches(names, most))

    assert sorted(name for batch in cut for name in batch) == sorted(names)
    for batch in cut:
        assert 0 < len(batch) <= most
        assert len(batch) == 1 or sum(map(size_of, batch)) <= BATCH_BYTES


def test_small_contents_come_first_but_the_oldest_is_not_starved() -> None:
    names = [job(0, BATCH_BYTES), *(job(number, number) for number in range(1, 100))]

    cut = list(batches(names, 10))

    assert cut[0] == names[1:11]
    assert cut[3] == [names[0]]


def test_names_that_are_no_jobs_are_kept_for_the_queue_to_judge() -> None:
    assert list(batches([b"README"], 5)) == [[b"README"]]


def test_of_equal_lanes_each_worker_begins_with_another() -> None:
    one, two, far = (Lane(Direction.UPLOAD, UUID(name)) for name in (b"1", b"2", b"3"))
    costs = {one: 100.0, two: 100.0, far: 200.0}

    assert lanes(costs, 0) == [one, two, far]
    assert lanes(costs, 1) == [two, one, far]


def test_a_remote_breaks_with_its_second_failure_and_waits_longer_each_time() -> None:
    record = after_failure(Exchange(), None, "no", NOW)
    assert broken_until(record, None, NOW) == 0

    now, waits = NOW, []
    for _ in range(40):
        record = after_failure(record, None, "no", now)
        waits.append(broken_until(record, None, now) - now)
        now += waits[-1]

    assert waits == sorted(waits)
    assert waits[:5] == [2, 2, 4, 8, 16]  # a server that was restarted
    # What is back after five minutes is noticed within one more.
    assert max(wait for wait, at in zip(waits, accumulate(waits), strict=True) if at < 360) <= 60
    assert waits[-1] == PAUSE_MAX_S


def test_news_that_it_can_be_reached_begins_anew_once() -> None:
    record = Exchange(failing_since=NOW - 100, failures=9, not_before=NOW + 1000)
    reach = Reach(here=True, since=NOW - 50, why="mounted")

    assert broken_until(record, reach, NOW) == 0
    again = after_failure(after_failure(record, reach, "no", NOW), reach, "no", NOW)
    assert broken_until(again, reach, NOW) == NOW + 2


def test_a_clock_that_was_years_ahead_breaks_nothing_for_years() -> None:
    record = Exchange(failing_since=NOW, failures=3, not_before=NOW + 1e8)

    assert broken_until(record, None, NOW) == 0
