"""Errands: children that do what may hang."""

import errno
import os

import pytest

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
