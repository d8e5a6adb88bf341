"""The log: every line says when, who and what, and the file never grows without bound.

All of annexd's processes write the same file, each line with one ``write`` to a descriptor opened
for appending, so lines never mix.  That descriptor is standard error itself, so what a library
or a dying interpreter says lands in the log too.

Whoever finds the file full renames it to ``log.1``; everybody else notices that the name stands
for another file now, and opens that.  In the foreground there is no file: lines go to the
standard error annexd was given, for the init system to keep.

The text of a line may come from anywhere: control characters are escaped here, once for all.
"""

import contextlib
import fcntl
import logging
import os
import time
from collections.abc import Collection
from pathlib import Path
from typing import final

from spool.record import escape, make_directory

LIMIT_BYTES = 4 << 20
"""The file and the generation before it together stay below twice this and a few lines."""

STDERR = 2


@final
class LineHandler(logging.Handler):
    """Writes records to standard error, and keeps that pointed at the log's file."""

    def __init__(self, who: str, path: Path | None, limit_bytes: int = LIMIT_BYTES) -> None:
        super().__init__()
        self._who = who
        self._path = path
        self._limit_bytes = limit_bytes

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; a traceback becomes several lines, each with the prefix."""
        at = time.localtime(record.created)
        stamp = f"{time.strftime('%Y-%m-%d %H:%M:%S', at)}.{int(record.msecs):03d}"
        prefix = f"{stamp} {self._who}[{os.getpid()}]: "
        lines = "".join(f"{prefix}{escape(line)}\n" for line in self.format(record).split("\n"))
        try:
            if self._path is not None:
                self._keep_open(self._path)
            os.write(STDERR, lines.encode(errors="backslashreplace"))
        except OSError:
            # The disk is full, or nobody reads our stderr any more.  There is nowhere left to
            # say so, and the work is more important than the line.
            return

    def _keep_open(self, path: Path) -> None:
        """Make standard error the file that ``path`` names, and that file not a full one."""
        here = os.fstat(STDERR)
        try:
            named = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            # With the repository gone from its place, what is open has gone where that is: whoever
            # has moved it reads there why annexd has stopped.
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                open_log(path)
            return
        if not os.path.samestat(here, named):
            open_log(path)
        elif here.st_size >= self._limit_bytes:
            _rotate(path)
            open_log(path)


def open_log(path: Path) -> None:
    """Make standard error the log at ``path``, created if there is none."""
    make_directory(path.parent)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    os.dup2(fd, STDERR)
    os.close(fd)


def _rotate(path: Path) -> None:
    """Rename the full file that standard error is, unless somebody else has done it.

    Two processes may find it full at the same time; without the lock the second would rename the
    first one's new file over the old generation.
    """
    fcntl.lockf(STDERR, fcntl.LOCK_EX)
    try:
        with contextlib.suppress(FileNotFoundError):  # renamed, and not yet made anew
            if os.path.samestat(os.fstat(STDERR), path.stat()):
                path.rename(path.with_name(f"{path.name}.1"))
    finally:
        fcntl.lockf(STDERR, fcntl.LOCK_UN)


def set_up(who: str, path: Path | None) -> None:
    """Log as ``who`` from now on, replacing what the parent had set up; level and choice stay."""
    root, handler = logging.getLogger(), LineHandler(who, path)
    handler.filters[:] = [each for old in root.handlers for each in old.filters]
    root.handlers[:] = [handler]


def choose(modules: Collection[str]) -> None:
    """Of the lines for debugging, log those of these modules only; all, if none is named.

    A module is named by its full name, or by a word of that: ``transferrer``.
    """
    for handler in logging.getLogger().handlers:
        handler.filters[:] = [_Choice(frozenset(modules))] if modules else []


@final
class _Choice(logging.Filter):
    def __init__(self, modules: frozenset[str]) -> None:
        super().__init__()
        self._modules = modules

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to log it."""
        words = {record.name, *record.name.split(".")}
        return record.levelno > logging.DEBUG or not self._modules.isdisjoint(words)
