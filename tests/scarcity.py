"""Too little of what the kernel grants a user, as the tests speak of it.

In a user namespace of a child's own, where limits can be lowered without harm to anybody; and
files that must stay small, in any child.
"""

import contextlib
import ctypes
import functools
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

_CLONE_NEWUSER = 0x10000000
_REFUSED = 77


def scarce(limit: str, least: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Run a test in a process where ``limit`` (of /proc/sys/user) is ``least``."""

    def wrap(test: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(test)
        def run(**fixtures: object) -> None:
            pid = os.fork()
            if pid == 0:
                _live(lambda: test(**fixtures), limit, least)
            _, status = os.waitpid(pid, 0)
            code = os.waitstatus_to_exitcode(status)
            if code == _REFUSED:
                pytest.skip("user namespaces are not allowed on this machine")
            assert code == 0, "see what the child has printed"

        return run

    return wrap


def allow(limit: str, most: int) -> None:
    """Change a limit from within."""
    Path("/proc/sys/user", limit).write_text(str(most))


@contextlib.contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """No file of this process may become larger: as on a full disk, but by EFBIG."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def _live(test: Callable[[], None], limit: str, least: int) -> None:
    status = 1
    try:
        if ctypes.CDLL(None).unshare(_CLONE_NEWUSER) != 0:
            os._exit(_REFUSED)
        allow(limit, least)
        test()
        status = 0
    except BaseException:  # noqa: BLE001 -- the last frame of a child: the test is told by its status
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)
