"""What the watcher hears of an index that others write."""

import os

from tests.repo import Repo
from workers.watcher.desk import Desk, Rewritten


def test_an_index_that_git_writes_for_a_look_is_told_from_one_where_something_is_staged(
    pair: tuple[Repo, Repo], desk: Desk
) -> None:
    """However often it is read between the two: each look of ours may come at any moment."""
    _a, b = pair
    b.write("ahead", b"dated")
    b.git("-c", "annex.largefiles=nothing", "add", "ahead")
    os.utime(b.path / "ahead", (4e9, 4e9))
    desk.index()
    assert desk.take_rewritten() is Rewritten.OTHERWISE
    assert desk.take_rewritten() is Rewritten.NOT

    b.git("status")
    desk.index()
    b.git("status")
    desk.index()
    assert desk.take_rewritten() is Rewritten.FOR_A_LOOK

    b.git("rm", "-q", "--cached", "ahead")
    desk.index()
    b.git("status")
    desk.index()
    assert desk.take_rewritten() is Rewritten.OTHERWISE
