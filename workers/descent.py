"""The directories of the work tree, reached step by step, so that no link leads out of it.

A path that comes from a peer may lead through what is a link here; opened by name, it would lead
anywhere.  So each directory is opened from its parent, and what is done in it is done with its
descriptor.
"""

import os
from typing import Final, Protocol, Self, final

_DIRECTORY: Final = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
REPOSITORY: Final = b".git"


class ObstacleError(Exception):
    """A path leads through what is no directory of this repository."""

    def __init__(self, path: bytes) -> None:
        super().__init__(path)
        self.path = path
        """What is in the way, relative to the top."""


class BoundaryError(ObstacleError):
    """It leads into another repository, which is not ours to write in."""


@final
class Descent:
    """Opens directories of one work tree, and keeps the last one open."""

    def __init__(self, top: bytes) -> None:
        self._top = os.open(top, _DIRECTORY)
        self._last: tuple[bytes, int] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close what is open."""
        self.forget()
        os.close(self._top)

    def forget(self) -> None:
        """Close the last directory, so that its name is looked up anew."""
        if self._last is not None:
            os.close(self._last[1])
            self._last = None

    def open(self, directory: bytes) -> int | None:
        """Its descriptor, good until the next call; ``b""`` is the top; None if it is missing.

        Raises ``ObstacleError``.
        """
        return self._open(directory, _open)

    def make(self, directory: bytes) -> int:
        """As ``open``, and make those that are missing."""
        fd = self._open(directory, _make)
        if fd is None:
            raise FileNotFoundError(directory)
        return fd

    def _open(self, directory: bytes, step: "_Step") -> int | None:
        if not directory:
            return self._top
        if self._last is not None and self._last[0] == directory:
            return self._last[1]
        self.forget()
        fd, end = self._top, 0
        while end < len(directory):
            start, end = end, directory.find(b"/", end + 1)
            end = len(directory) if end < 0 else end
            path = directory[:end]
            try:
                below = step(directory[start:end].removeprefix(b"/"), fd)
            except (NotADirectoryError, FileExistsError):
                raise ObstacleError(path) from None
            except FileNotFoundError:
                return None
            finally:
                if fd != self._top:
                    os.close(fd)
            fd = below
            try:
                is_another = _is_repository(fd)
            except OSError:  # it may not be searched
                os.close(fd)
                raise
            if is_another:
                os.close(fd)
                raise BoundaryError(path)
        self._last = (directory, fd)
        return fd


class _Step(Protocol):
    """The type of ``_open`` and ``_make``."""

    def __call__(self, name: bytes, parent: int) -> int: ...


def _open(name: bytes, parent: int) -> int:
    return os.open(name, _DIRECTORY, dir_fd=parent)


def _make(name: bytes, parent: int) -> int:
    try:
        return _open(name, parent)
    except FileNotFoundError:
        os.mkdir(name, dir_fd=parent)
        return _open(name, parent)


def _is_repository(fd: int) -> bool:
    try:
        os.lstat(REPOSITORY, dir_fd=fd)
    except FileNotFoundError:
        return False
    return True
