"""What the pusher does about others who push to the same remote."""

import math

from workers.pusher.contention import (
    HOPELESS,
    MERGE_S,
    OVERTAKEN_MAX,
    TAGGED_S,
    YIELDS_MAX_S,
    Contention,
)
from workers.pusher.values import Mode, Result

NOW = 1000.0


def test_who_is_overtaken_tries_again_later_and_later_and_then_with_refs_of_its_own() -> None:
    contention = Contention()
    for count in range(OVERTAKEN_MAX):
        assert contention.mode(NOW) is Mode.NORMAL
        assert contention.judge(Result.OVERTAKEN) is Result.OVERTAKEN
        assert 0 < contention.note(Result.OVERTAKEN, NOW) - NOW < 1 + count
    assert contention.is_overtaken
    assert contention.mode(NOW) is Mode.TAGGED

    contention.note(Result.TAGGED, NOW)

    assert contention.mode(NOW) is Mode.NORMAL
    assert contention.common_at == NOW + TAGGED_S
    contention.try_common()
    assert contention.common_at == math.inf


def test_being_overtaken_again_and_again_is_a_failure() -> None:
    contention = Contention()
    for _ in range(HOPELESS):
        contention.note(Result.OVERTAKEN, NOW)
    assert contention.judge(Result.OVERTAKEN) is Result.FAILED
    assert not contention.is_overtaken


def test_a_merge_is_waited_for_so_long_from_the_first_time_on() -> None:
    contention = Contention()
    contention.note(Result.WAITING, NOW)
    contention.note(Result.WAITING, NOW + 1)
    assert contention.give_up_at == NOW + MERGE_S
    assert contention.mode(NOW + MERGE_S - 1) is Mode.NORMAL
    assert contention.mode(NOW + MERGE_S) is Mode.TAGGED

    contention.merged()

    assert not contention.waits
    assert contention.mode(NOW + MERGE_S) is Mode.NORMAL


def test_while_the_merge_is_left_to_others_nothing_of_ours_is_given_to_them() -> None:
    contention = Contention()
    contention.note(Result.WAITING, NOW)
    contention.leave(NOW + MERGE_S)

    assert contention.mode(NOW + MERGE_S) is Mode.NORMAL
    assert contention.give_up_at == NOW + 2 * MERGE_S

    contention.leave(NOW + YIELDS_MAX_S)
    assert contention.mode(NOW + YIELDS_MAX_S) is Mode.TAGGED  # the watcher is stopped, say

    contention.merged()
    contention.note(Result.WAITING, NOW + YIELDS_MAX_S)
    assert contention.give_up_at == NOW + YIELDS_MAX_S + MERGE_S
