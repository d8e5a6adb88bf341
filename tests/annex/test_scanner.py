"""The scanner, in real repositories: what it queues, when, and what it does not."""

from spool.transfer import Direction
from tests.repo import Repo
from tests.scanning import queued, scanning


def test_what_is_here_is_queued_for_a_remote_that_lacks_it(pair: tuple[Repo, Repo]) -> None:
    a, b = pair
    before = a.add("before", b"1")

    with scanning(a) as scanned:
        scanned.settled()
        assert queued(a, Direction.UPLOAD, b) == {before: b"before"}

        after = a.add("d/after", b"2")
        scanned.settled()

    assert queued(a, Direction.UPLOAD, b) == {before: b"before", after: b"d/after"}


def test_what_is_in_the_tree_and_missing_is_queued_from_who_has_it(
    pair: tuple[Repo, Repo],
) -> None:
    a, b = pair
    one = a.add("one", b"1")
    with scanning(b) as scanned:
        b.annex("sync", "-q", "--no-content", "a")
        scanned.settled()
        assert queued(b, Direction.DOWNLOAD, a) == {one: b"one"}

        a.git("mv", "one", "renamed")
        two = a.add("two", b"2")
        b.annex("sync", "-q", "--no-content", "a")
        scanned.settled()

    assert queued(b, Direction.DOWNLOAD, a) == {one: b"one", two: b"two"}
    assert not queued(b, Direction.UPLOAD, a)
