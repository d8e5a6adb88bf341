"""When changes are committed."""

import itertools
import math

from hypothesis import given
from hypothesis import strategies as st

from workers.watcher.batch import FILES_MAX, FIRST_S, LULL_S, QUIET_S, RESET_S, SPACES_S, Batch


def commits(times: list[float]) -> list[tuple[float, int]]:
    """When commits are made of changes at these times, and of how many; the clock jumps."""
    batch, made, count = Batch(), [], 0
    rest = sorted(times)
    while rest or count:
        due = batch.due()
        if rest and rest[0] <= due:
            batch.note(rest.pop(0))
            count += 1
        else:
            now = max(due, 0.0)
            made.append((now, count))
            batch.committed(now)
            count = 0
    return made


def test_one_change_is_committed_at_once() -> None:
    assert commits([5.0]) == [(5.0 + FIRST_S, 1)]


def test_nothing_is_never_due() -> None:
    assert Batch().due() == math.inf


def test_a_hundred_files_at_once_are_at_most_five_commits() -> None:
    for length_s in (0.0, 0.1, 0.5, 1.0, 2.0):
        assert len(commits([length_s * number / 100 for number in range(100)])) <= 5


def test_a_stream_is_committed_in_ever_larger_spaces() -> None:
    made = [at for at, _count in commits([number / 50 for number in range(50 * 60)])]
    spaces = [later - earlier for earlier, later in itertools.pairwise(made)]

    assert spaces[: len(SPACES_S)] == sorted(spaces[: len(SPACES_S)])
    assert max(spaces) <= SPACES_S[-1] + 0.05


def test_after_a_rest_a_change_is_a_first_one_again() -> None:
    made = commits([0.0, 0.05, 0.1, 0.1 + RESET_S + 1])

    assert made[-1] == (0.1 + RESET_S + 1 + FIRST_S, 1)


def test_files_one_after_another_wait_for_nobody() -> None:
    spacing = (LULL_S + RESET_S) / 2
    made = commits([number * spacing for number in range(10)])

    assert made == [(number * spacing + FIRST_S, 1) for number in range(10)]


def test_a_lull_does_not_make_the_commits_of_a_stream_more_frequent() -> None:
    made = commits([at for start in (0.0, LULL_S * 4) for at in (start, *_hundredths(start))])

    assert len(made) <= len(commits([*_hundredths(0.0)])) * 2 + 1


def _hundredths(start: float) -> list[float]:
    return [start + number / 100 for number in range(100)]


def test_when_it_is_quiet_the_rest_is_not_kept_waiting() -> None:
    made = commits([0.0, 0.3, 0.7, 0.8])

    assert made[-1][0] <= 0.8 + QUIET_S + 1e-9


def test_very_many_files_do_not_wait() -> None:
    batch = Batch()
    for _number in range(FILES_MAX):
        batch.note(1.0)

    assert batch.due() == -math.inf


@given(st.lists(st.floats(0, 100), min_size=1, max_size=50))
def test_every_change_is_in_one_commit_and_none_waits_too_long(times: list[float]) -> None:
    made = commits(times)

    assert sum(count for _at, count in made) == len(times)
    assert made[-1][0] <= max(times) + max(SPACES_S)
