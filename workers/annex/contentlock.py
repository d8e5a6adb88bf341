"""Keeping an object from being dropped while somebody relies on it.

git-annex drops the content of a key only while it holds ``KF.lck``, beside the object, exclusively;
whoever needs the content to stay holds it shared.  (Merely reading needs no lock: an open file
outlives its name.)  The file is made on demand and removed by its last holder.  ``KF.rtm`` says
until when the content has been promised to a remote.

If killed: the lock is gone, and an empty lock file stays until the next holder, or git-annex,
removes it.  Source: git-annex-formats.md §5; ``git annex drop`` is the oracle.
"""

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from typing import TypeVar

from spool.lock import OPEN, FileLock, LockBusyError, Mode, held, try_lock, try_take
from workers.annex.repository import Repository

RETENTION = re.compile(rb"(\d{1,18})(?:\.\d*)?s?\s*")
_PROMISE_S = 10.0
_ATTEMPTS = 10
_Done = TypeVar("_Done")
RETENTION_MAX = 64
"""Bytes of a retention file that can matter."""


@contextlib.contextmanager
def keep(repository: Repository, path: bytes) -> Iterator[bool]:
    """Hold the object at ``path`` shared; yields False if it is being dropped, or is gone.

    Never waits.  One process keeps one object once at a time (a second ``keep`` yields False).
    """
    lock = _take(repository, path)
    try:
        yield lock is not None and os.path.lexists(path)
    finally:
        if lock is not None:
            try:
                _remove_if_last(repository, path, lock)
            finally:
                lock.close()


@contextlib.contextmanager
def promise(repository: Repository, path: bytes, until: float) -> Iterator[bool]:
    """As ``keep``, for somebody elsewhere, who may be cut off: then it holds until ``until``.

    ``until`` is Unix time (s).  At the end of the block the promise is withdrawn; not if the block
    raises, and not if we are killed.
    """
    with keep(repository, path) as kept:
        text = b"%.6fs" % until
        if kept:
            _write_promise(repository, path, text)
        yield kept
        if kept:
            with contextlib.suppress(OSError, LockBusyError):  # then it ends at its time
                _withdraw(repository, path, text)


def promised_until(path: bytes) -> float:
    """When the promise to keep the object at ``path`` ends (Unix time, s); 0 if there is none."""
    try:
        with open(path + b".rtm", "rb") as file:
            found = RETENTION.fullmatch(file.read(RETENTION_MAX))
    except FileNotFoundError:
        return 0.0
    return float(found[1]) if found else 0.0


def _write_promise(repository: Repository, path: bytes, text: bytes) -> None:
    with _thawed(repository, os.path.dirname(path)), held(path + b".rtl", within_s=_PROMISE_S):
        # It is read by who wants to drop, and nobody can, under our lock: no need for a rename.
        fd = repository.sharing.create(path + b".rtm", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC)
        try:
            if float(text[:-1]) > promised_until(path):
                os.ftruncate(fd, 0)
                os.pwrite(fd, text, 0)
        finally:
            os.close(fd)


def _withdraw(repository: Repository, path: bytes, text: bytes) -> None:
    """Remove the promise, unless it has become somebody else's, who needs it longer."""
    with _thawed(repository, os.path.dirname(path)), held(path + b".rtl", within_s=_PROMISE_S):
        with contextlib.suppress(FileNotFoundError), open(path + b".rtm", "rb") as file:
            if file.read(RETENTION_MAX) == text:
                os.unlink(path + b".rtm")
        os.unlink(path + b".rtl")


def _take(repository: Repository, path: bytes) -> FileLock | None:
    def take() -> FileLock | None:
        return try_take(path + b".lck", flags=OPEN | os.O_CREAT, mode=Mode.SHARED)

    try:
        lock = _while_thawed(repository, os.path.dirname(path), take)
    except FileNotFoundError:  # the object's directory is gone, and the object with it
        return None
    if lock is not None:
        repository.sharing.share(lock.fd)
    return lock


def _remove_if_last(repository: Repository, path: bytes, lock: FileLock) -> None:
    """Remove the lock file unless somebody else holds it: exclusively, so that nobody can."""
    if try_lock(lock.fd) and lock.still_linked():
        _while_thawed(repository, os.path.dirname(path), lambda: os.unlink(path + b".lck"))


def _while_thawed(repository: Repository, directory: bytes, do: Callable[[], _Done]) -> _Done:
    """Do something in the object's directory.

    Somebody else may have thawed it, too, and freeze it again before we are done.
    """
    for _ in range(_ATTEMPTS - 1):
        with _thawed(repository, directory), contextlib.suppress(PermissionError):  # once more
            return do()
    with _thawed(repository, directory):
        return do()


@contextlib.contextmanager
def _thawed(repository: Repository, directory: bytes) -> Iterator[None]:
    """Make the object's directory writable meanwhile, if it is not."""
    mode = os.stat(directory).st_mode & 0o7777
    if repository.crippled or mode & 0o200:
        yield
        return
    os.chmod(directory, mode | 0o200)
    try:
        yield
    finally:
        os.chmod(directory, mode)
