"""How long a merge waits for what is likely to be taken back."""

from workers.watcher.doubts import CONTESTED_S, LONGEST_S, SETTLE_S, Doubts


def test_what_stands_is_believed() -> None:
    doubts = Doubts()
    assert doubts.wait({b"a": False}, 10.0) == 10.0 + SETTLE_S
    assert doubts.wait({b"a": False}, 11.0) == 10.0 + SETTLE_S
    assert doubts.wait({b"a": False}, 10.0 + SETTLE_S) is None


def test_what_is_taken_back_counts_no_more() -> None:
    doubts = Doubts()
    doubts.wait({b"a": False}, 10.0)
    assert doubts.wait({}, 11.0) is None
    assert doubts.wait({b"a": False}, 20.0) == 20.0 + SETTLE_S


def test_nobody_waits_for_ever_for_one_after_the_other() -> None:
    doubts = Doubts()
    now = 10.0
    while (until := doubts.wait({b"%d" % int(now): False}, now)) is not None:
        assert now < until <= 10.0 + LONGEST_S
        now += 1.0
    assert now == 10.0 + LONGEST_S


def test_one_that_an_edit_stands_against_is_waited_for_longer() -> None:
    doubts = Doubts()
    assert doubts.wait({b"a": False}, 10.0) == 10.0 + SETTLE_S
    assert doubts.wait({b"a": True}, 12.0) == 10.0 + CONTESTED_S
    assert doubts.wait({b"a": True, b"b": False}, 13.0) == 10.0 + CONTESTED_S
