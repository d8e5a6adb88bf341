"""A merge that was killed when it had written some files, and news before it is tried again."""

import pytest

from tests.daemons import Fleet
from tests.repo import Repo
from tests.synced import synced


@pytest.mark.parametrize("edited_here", [False, True])
def test_a_file_that_has_changed_again_is_nobodys_version(
    pair: tuple[Repo, Repo], fleet: Fleet, *, edited_here: bool
) -> None:
    """It looks like an edit of ours until it is compared with what they had."""
    a, b = pair
    for name in ("f", "g", "h"):
        a.write(name, b"first" * 100)
    fleet.annexd(a)
    daemon = fleet.annexd(b)
    synced(a, b)
    fleet.settle()
    daemon.stop()
    a.replace("f", b"second" * 100)
    a.write("new", b"second" * 100)
    synced(a)
    b.replace("f", b"second" * 100)  # as if killed after these two
    b.write("new", b"second" * 100)
    (b.path / ".git/annex/annexd/merging").touch()
    if edited_here:
        b.replace("h", b"ours" * 100)
    a.replace("f", b"third" * 100)
    a.replace("new", b"third" * 100)
    synced(a)
    daemon.start()

    synced(a, b, within_s=60)

    assert set(b.tree()) == {b"f", b"g", b"h", b"new"}
    assert b.read("f") == b.read("new") == b"third" * 100
    assert b.read("h") == (b"ours" if edited_here else b"first") * 100
