"""How long a merge waits that deletes fresh files."""

from workers.doubts import CONTESTED_S, LONGEST_S, SETTLE_S, Doubts


def test_a_deletion_that_stands_is_believed() -> None:
    doubts = Doubts()
    assert doubts.wait({b"a"}, 10.0, SETTLE_S) == 10.0 + SETTLE_S
    assert doubts.wait({b"a"}, 11.0, SETTLE_S) == 10.0 + SETTLE_S
    assert doubts.wait({b"a"}, 10.0 + SETTLE_S, SETTLE_S) is None


def test_what_is_taken_back_counts_no_more() -> None:
    doubts = Doubts()
    doubts.wait({b"a"}, 10.0, SETTLE_S)
    assert doubts.wait(set(), 11.0, SETTLE_S) is None
    assert doubts.wait({b"a"}, 20.0, SETTLE_S) == 20.0 + SETTLE_S


def test_nobody_waits_for_ever_for_one_after_the_other() -> None:
    doubts = Doubts()
    now = 10.0
    while (until := doubts.wait({b"%d" % int(now)}, now, SETTLE_S)) is not None:
        assert now < until <= 10.0 + LONGEST_S
        now += 1.0
    assert now == 10.0 + LONGEST_S


def test_one_that_an_edit_stands_against_is_waited_for_longer() -> None:
    doubts = Doubts()
    assert doubts.wait({b"a"}, 10.0, CONTESTED_S) == 10.0 + CONTESTED_S
