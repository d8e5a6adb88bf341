"""Errands: children that do what may hang."""

import errno
import functools
import os
from pathlib import Path

import pytest

from tests.processes import stays
from workers import errand


def test_a_child_that_cannot_be_watched_is_not_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """There are processes, but no descriptors: it would stay a zombie for as long as we live."""

    def fail(_pid: int) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(os, "pidfd_open", fail)

    with pytest.raises(OSError, match=os.strerror(errno.EMFILE)):
        errand.send(lambda: True)

    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_a_child_does_not_begin_before_it_can_be_watched(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Else it may hang on a dead disk already, where no signal ends it, when it is to be ended."""
    begun = tmp_path / "begun"

    def fail(_pid: int) -> int:
        stays(lambda: not begun.exists(), 0.5)
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(os, "pidfd_open", fail)

    with pytest.raises(OSError, match=os.strerror(errno.EMFILE)):
        errand.send(functools.partial(make, begun))


def test_a_child_begins_whoever_is_faster(tmp_path: Path) -> None:
    for number in range(50):
        begun = tmp_path / str(number)

        child = errand.send(functools.partial(make, begun))

        assert child.reap() == 0
        assert begun.exists()


def make(file: Path) -> bool:
    file.touch()
    return True
