"""The server's end of a connection: lines and contents over two descriptors.

What a client says is untrusted: a line has a bound, and a content is never held in memory.

DIAGNOSTICS: ``GoneError`` when the client has hung up in the middle of something, or falls silent
there, as one does whose network is gone;
``HangUpError`` is for the caller to raise when the rest of what the client says cannot be told
apart from a content any more: the connection ends.
"""

import contextlib
import fcntl
import os
from collections.abc import Callable
from typing import Final, Protocol, final

from workers.annex.heard import Heard, LineTooLongError
from workers.annex.pipes import PIPE_BYTES
from workers.git.readable import readable

PATIENCE_S: Final = 60.0
"""So long a client may say nothing in the middle of a content.  sshd does not hear for hours that a
network is gone; and the client, on another one, waits for the lock of the transfer."""

_BUFFER: Final = 1 << 18
_SENDFILE_MAX: Final = 1 << 20


class Pace(Protocol):
    """What contents are held to (``workers.throttle``)."""

    def piece(self) -> int:
        """How many bytes to move at once, at most."""

    def spend(self, size: int) -> None:
        """So many have been moved: wait until that is allowed."""


class HangUpError(Exception):
    """The connection has to end; the text is what the client is told."""


class GoneError(Exception):
    """The client is not there any more."""


@final
class Wire:
    """One connection; blocks."""

    def __init__(self, source: int, sink: int, patience_s: float = PATIENCE_S) -> None:
        self._source = source
        self._sink = sink
        self._patience_s = patience_s
        self._heard = Heard()
        self._buffer = memoryview(bytearray(_BUFFER))
        self._in: Pace | None = None
        self._out: Pace | None = None
        for fd in (source, sink):
            os.set_blocking(fd, True)
            # sshd fills a pipe of 64 KiB faster than we are woken for each.
            with contextlib.suppress(OSError):  # no pipe, or a user's share is used up
                fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, PIPE_BYTES)

    def keep_to(self, incoming: Pace, outgoing: Pace) -> None:
        """Move contents no faster than that, from now on."""
        self._in, self._out = incoming, outgoing

    @property
    def source(self) -> int:
        """Readable when the client has said something, or has hung up."""
        return self._source

    def quiet(self, within_s: float) -> bool:
        """Whether the client says nothing for so long."""
        return not self._heard and not readable(self._source, within_s=within_s)

    def line(self) -> bytes | None:
        """The next line, whenever it comes, without its end; None if the client has hung up."""
        return self._line(None)

    def line_now(self) -> bytes:
        """The line that has to follow what was said."""
        line = self._line(self._patience_s)
        if line is None:
            raise GoneError
        return line

    def _line(self, within_s: float | None) -> bytes | None:
        try:
            while (line := self._heard.line()) is None:
                self._await(within_s)
                chunk = os.read(self._source, _BUFFER)
                if not chunk:
                    return None
                self._heard.add(chunk)
        except LineTooLongError as endless:
            raise HangUpError("line too long") from endless
        return line

    def pour(self, size: int, into: Callable[[memoryview], None]) -> None:
        """Take the next ``size`` bytes."""
        early = self._heard.take(size)
        if early:
            into(early)
        left = size - len(early)
        while left:
            self._await(self._patience_s)
            got = os.readv(self._source, (self._buffer[: min(left, _BUFFER)],))
            if not got:
                raise GoneError
            into(self._buffer[:got])
            left -= got
            if self._in is not None:
                self._in.spend(got)

    def _await(self, within_s: float | None) -> None:
        if not readable(self._source, within_s=within_s):
            raise GoneError

    def send(self, data: bytes) -> None:
        """Write all of it."""
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._sink, view) :]
        except BrokenPipeError as gone:
            raise GoneError from gone

    def send_file(self, fd: int, offset: int, size: int) -> int:
        """Write up to ``size`` bytes of a file; returns how many.  0 if it ends there."""
        most = _SENDFILE_MAX if self._out is None else self._out.piece()
        try:
            sent = os.sendfile(self._sink, fd, offset, min(size, most))
        except (BrokenPipeError, ConnectionResetError) as gone:
            raise GoneError from gone
        if self._out is not None:
            self._out.spend(sent)
        return sent
