"""What looks like a ``git gc --prune=now``, for as long as a test wants; or is a ``git prune``."""

import fcntl
import hashlib
import itertools
import os
import struct
import termios
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.processes import descendants, kill, start, started, wait_until
from tests.repo import Repo


@contextmanager
def pruning(repo: Repo, *args: str) -> Iterator[int]:
    """A process that looks like ``git gc`` at work; its pid."""
    argv = ("sh", "-c", "sleep 60 & wait", "gc", *args)
    gc = start(argv, repo.path.parent / "stderr")
    wait_until(lambda: b"gc" in Path(f"/proc/{gc.pid}/cmdline").read_bytes())
    wait_until(lambda: descendants(gc.pid))  # which are to be killed
    lock = repo.path / ".git/gc.pid"
    lock.write_text(f"{gc.pid} {os.uname().nodename}")
    try:
        yield gc.pid
    finally:
        for child in descendants(gc.pid):
            kill(child)
        gc.wait(10)
        lock.unlink()


@contextmanager
def half_pruned(repo: Repo, *args: str) -> Iterator[int]:
    """A ``git prune`` that has looked what refs lead to, and goes on when the block ends; its pid.

    It says what it removes into a pipe that nobody reads, and has seen ``objects/00`` only.
    """
    garbage = repo.path / ".git/objects/00"
    for blob in itertools.islice(_first(), 1700):
        oid = hashlib.sha1(blob, usedforsecurity=False).hexdigest()
        repo.write(f".git/objects/00/{oid[2:]}", zlib.compress(blob))
    with started(["git", *args, "prune", "-v"], repo.path) as prune:
        assert prune.stdout is not None
        pipe = prune.stdout.fileno()
        wait_until(lambda: _waiting(pipe) == fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ))
        yield prune.pid
        prune.stdout.read()
        assert prune.wait(10) == 0
    assert not garbage.exists()


def _waiting(pipe: int) -> int:
    """Bytes that are in a pipe."""
    (size,) = struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))
    return int(size)


def _first() -> Iterator[bytes]:
    """Blobs whose names come first."""
    for number in itertools.count():
        blob = b"blob %d\0%d" % (len(str(number)), number)
        if hashlib.sha1(blob, usedforsecurity=False).digest()[0] == 0:
            yield blob
