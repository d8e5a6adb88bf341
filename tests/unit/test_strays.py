"""The descendants of a supervisor."""

import errno
import os
import signal

import pytest

from annexd import strays
from tests.processes import forked
from workers.wakeup import Wakeup


def test_one_that_has_become_another_users_is_left_and_told(
    wakeup: Wakeup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a hook runs by sudo cannot be ended by us; the supervisor died of trying."""

    def refuse(_pid: int, _number: int) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(strays, "END_S", 0.1)
    with forked(signal.pause) as child:
        monkeypatch.setattr(strays, "children", lambda: [child])
        monkeypatch.setattr(os, "kill", refuse)

        assert strays.end_children(wakeup) == [child]

        monkeypatch.undo()
