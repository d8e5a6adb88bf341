"""What an init system is told."""

import errno
import os
import socket

import pytest

from annexd.notify import Notify


def test_without_a_descriptor_for_it_nothing_is_told_and_nothing_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(_family: int, _kind: int) -> socket.socket:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(socket, "socket", fail)

    Notify(b"/run/notify").tell("WATCHDOG=1")
