"""A repository that goes away under its daemon."""

import errno
import os
from pathlib import Path

import pytest

from annexd.remains import has_vanished, remove_remains
from spool.place import Place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    top = tmp_path / "repo"
    place = Place(top, top / ".git", top / ".git")
    place.annexd.mkdir(parents=True)
    return place


def test_one_that_was_moved_or_replaced_has_vanished(place: Place) -> None:
    home = place.worktree.stat()
    assert not has_vanished(place, home)

    place.worktree.rename(place.worktree.with_name("elsewhere"))
    assert has_vanished(place, home)

    place.annex.mkdir(parents=True)
    assert has_vanished(place, home)


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOTCONN, errno.ESTALE])
def test_one_on_a_dead_disk_has_vanished_and_nothing_is_removed(
    place: Place, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The supervisor crashed; and what cannot be looked at was taken for what is not there."""
    home = place.worktree.stat()

    def fail(_path: Path) -> os.stat_result:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as dead:
        dead.setattr(os, "stat", fail)
        dead.setattr(os, "lstat", fail)

        assert has_vanished(place, home)
        remove_remains(place)

    assert place.annexd.is_dir()


def test_one_that_may_not_be_looked_at_has_not_vanished(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = place.worktree.stat()

    def fail(_path: Path) -> os.stat_result:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    with monkeypatch.context() as closed:
        closed.setattr(os, "stat", fail)
        assert not has_vanished(place, home)


def test_what_we_made_of_one_that_was_removed_is_removed(place: Place) -> None:
    remove_remains(place)

    assert not place.worktree.exists()
