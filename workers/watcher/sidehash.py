"""Hashing a large file in a child while it is being written: the two take as long as the slower.

The child reads what its parent has written, by the parent's word on how far it is, from the page
cache, and gives it back to that when it has read it (``workers.annex.passing``).  So the parent is
never far ahead: each word is a packet, and the pipe between them holds few.  The child belongs to
the worker's process group and ends with it.

DIAGNOSTICS: ``OSError`` with EIO if the child has ended otherwise than well (what it could not read
is in the log); another one if no process can be made.
"""

import contextlib
import errno
import fcntl
import os
import resource
import signal
import struct
from typing import Final, Self, final

from workers import errand
from workers.annex.backend import Hash
from workers.annex.passing import Written

LEAST: Final = 32 << 20
"""Bytes: for less a fork does not pay."""

CHUNK: Final = 1 << 18
RESULT_MAX: Final = 4096
_FAR: Final = struct.Struct("=q")
_AHEAD: Final = 4
"""Words that wait for the child at most."""


@final
class SideHash:
    """One child, hashing one file.  To be closed."""

    def __init__(self, hashing: Hash, target: int) -> None:
        """``target``: the file, open for reading, too."""
        with contextlib.ExitStack() as stack:
            reader, self._told = _pipe(stack, os.O_DIRECT)
            with contextlib.suppress(PermissionError):  # it holds even less: too many pipes
                fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, _AHEAD * resource.getpagesize())
            self._result, writer = _pipe(stack)
            stack.pop_all()

        def follow() -> bool:
            os.close(self._told)
            os.write(writer, _follow(hashing, target, reader).encode())
            return True

        try:
            self._child: errand.Errand | None = errand.send(follow)
        except BaseException:
            os.close(self._told)
            os.close(self._result)
            raise
        finally:
            os.close(reader)
            os.close(writer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def tell(self, done: int) -> None:
        """So many bytes of the file are written; waits if the child lags behind."""
        try:
            os.write(self._told, _FAR.pack(done))
        except BrokenPipeError:
            raise self._failed(self._reap()) from None

    def hexdigest(self) -> str:
        """The hash of all that was told of; waits for it."""
        self._hang_up()
        found = os.read(self._result, RESULT_MAX)
        status = self._reap()
        if status or not found:
            raise self._failed(status)
        return found.decode()

    def close(self) -> None:
        """End the child, done or not."""
        self._hang_up()
        if self._child is not None:
            os.kill(self._child.pid, signal.SIGKILL)
            self._reap()
        if self._result >= 0:
            os.close(self._result)
            self._result = -1

    def _hang_up(self) -> None:
        if self._told >= 0:
            os.close(self._told)
            self._told = -1

    def _failed(self, status: int) -> OSError:
        return OSError(errno.EIO, f"the child that hashes has ended with {status}")

    def _reap(self) -> int:
        child, self._child = self._child, None
        return -1 if child is None else child.reap()


def _pipe(stack: contextlib.ExitStack, flags: int = 0) -> tuple[int, int]:
    """One that is closed if ``stack`` is."""
    ends = os.pipe2(os.O_CLOEXEC | flags)
    for end in ends:
        stack.callback(os.close, end)
    return ends


def _follow(hashing: Hash, fd: int, told: int) -> str:
    """Hash the file as far as it is told, until nothing more is told."""
    buffer = memoryview(bytearray(CHUNK))
    at, written = 0, Written(fd)
    while word := os.read(told, _FAR.size):
        end = _FAR.unpack(word)[0]
        while at < end:
            size = os.preadv(fd, [buffer[: end - at]], at)
            if not size:
                raise OSError(errno.EIO, "what was written is not there")
            hashing.update(buffer[:size])
            at += size
            written.reached(at)
    return hashing.hexdigest()
