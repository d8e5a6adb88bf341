"""What has been read from a connection and not yet been used: lines, and bytes of contents.

Nothing is copied but what is handed out: one read may bring a hundred lines and small contents.
"""

from typing import Final, final

LINE_MAX: Final = 1 << 15
"""Bytes.  No line of git-annex's P2P protocol is longer."""


class LineTooLongError(Exception):
    """What has been said without a line's end is longer than any line."""


@final
class Heard:
    """Bytes, used from the front."""

    def __init__(self) -> None:
        self._data = b""
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def add(self, data: bytes) -> None:
        """Something more was read."""
        self._data = self._data[self._at :] + data
        self._at = 0

    def line(self) -> bytes | None:
        """The next line, without its end; None if there is no whole one."""
        end = self._data.find(b"\n", self._at)
        if end < 0:
            if len(self._data) - self._at > LINE_MAX:
                raise LineTooLongError
            return None
        line = self._data[self._at : end]
        self._at = end + 1
        return line.removesuffix(b"\r")

    def take(self, most: int) -> memoryview:
        """The next bytes, as far as they are here."""
        data = memoryview(self._data)[self._at : self._at + most]
        self._at += len(data)
        return data
