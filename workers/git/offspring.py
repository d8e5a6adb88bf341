"""What a program of ours has started in its turn, and how to end all of it.

A git that is killed leaves its hooks running, and its locks behind.  A git whose hook is killed
tidies up and ends by itself.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator
from typing import Final

from workers.git.readable import readable

GRACE_S: Final = 2.0
"""So long a program has to tidy up, when all that it had started is gone."""


def descendants(pid: int) -> tuple[int, ...]:
    """Children of a process, their children, and so on, as of now."""
    found: list[int] = []
    pending = [pid]
    while pending:
        parent = pending.pop()
        try:
            threads = os.listdir(f"/proc/{parent}/task")
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended meanwhile; the second, if while the path was looked up
        for thread in threads:
            try:
                with open(f"/proc/{parent}/task/{thread}/children", "rb") as file:
                    children = [int(word) for word in file.read().split()]
            except (FileNotFoundError, ProcessLookupError):
                continue
            found += children
            pending += children
    return tuple(found)


def signal_all(pids: Iterable[int], number: signal.Signals) -> None:
    """Send a signal to those that are still there, and are ours."""
    for pid in pids:
        # It was quicker; or it is another user's by now, as what a hook runs by sudo.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a program that takes too long, and all that it has started.

    All are stopped first: a git that sees its hook die would start another one, to say that nothing
    has come of it, and die before that one has ended.  When it goes on, SIGTERM is what it sees
    first, and it removes its locks.
    """
    others = _stop(process)
    with _ends_of(others) as ends:
        process.terminate()
        signal_all(others, signal.SIGKILL)
        process.send_signal(signal.SIGCONT)
        try:
            process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            signal_all((process.pid, *descendants(process.pid)), signal.SIGKILL)
            process.wait()
        # They die by themselves, a moment later: whoever asks then is to find none.
        _wait_for_all(ends, GRACE_S)


@contextlib.contextmanager
def _ends_of(pids: Iterable[int]) -> Iterator[list[int]]:
    """A descriptor for each process that is still there: readable when it has ended."""
    with contextlib.ExitStack() as cleanup:
        ends: list[int] = []
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                ends.append(os.pidfd_open(pid))
                cleanup.callback(os.close, ends[-1])
        yield ends


def _wait_for_all(ends: Iterable[int], timeout_s: float) -> None:
    """Until all of these are readable, or the time is over."""
    left, until = set(ends), time.monotonic() + timeout_s
    while left and (wait_s := until - time.monotonic()) > 0:
        left.difference_update(readable(*left, within_s=wait_s))


def _stop(process: subprocess.Popen[bytes]) -> set[int]:
    """Stop it and its descendants, of which none can start any more then; returns those."""
    process.send_signal(signal.SIGSTOP)
    stopped: set[int] = set()
    while new := set(descendants(process.pid)) - stopped:
        signal_all(new, signal.SIGSTOP)
        stopped |= new
    return stopped
