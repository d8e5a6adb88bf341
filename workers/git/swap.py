"""Move refs that exist without git, so that their locks are held for microseconds.

git locks a ref, writes its new value, syncs that, and gives it its name.  While another program
writes much, the sync takes as long as the disk needs, and whoever wants the lock waits for a tenth
of a second only: a user's ``git gc`` failed.  Here the new value is synced in a file without a
name, and becomes the lock by getting the lock's name (link(2) fails if there is one), so that
between lock and ref there is nothing to wait for.

Otherwise it is as git does it: the same locks in the same order, a line in the same logs, rename.
Whatever is out of the ordinary is left to git: a ref that is new, packed, symbolic or to be
deleted, a log that is to be begun, a lock that somebody holds.

If killed: a lock that nobody holds, as of a killed git (``workers.abandoned``); no other file.

Sources: gitrepository-layout(5); git-pack-refs(1); open(2), ``O_TMPFILE``; linkat(2).
"""

import os
import re
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final, NamedTuple, final

from workers.git.update_refs import Expected, Move

LOCK: Final = b".lock"
_OID: Final = re.compile(rb"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_TEXT_MAX: Final = 4096
_READ: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
_SHARED: Final = b"refs/"
_PER_WORKTREE: Final = (b"refs/bisect/", b"refs/worktree/", b"refs/rewritten/")
_LOGGED: Final = (b"refs/heads/", b"refs/remotes/", b"refs/notes/")
"""git begins a log for these by itself."""


class _Part(NamedTuple):
    """One ref of a swap."""

    path: bytes
    old: bytes
    new: bytes
    draft: int
    """The file without a name that holds the new value."""
    log: bytes | None


@final
@dataclass(frozen=True, slots=True)
class Swapper:
    """Of one work tree."""

    gitdir: bytes
    common: bytes
    who: bytes
    """``Name <address>``, for the logs."""
    message: bytes
    has_hook: Callable[[], bool]
    """Whether git would run one for this: then git has to do it."""

    def swap(self, moves: Sequence[Move], allowed: Callable[[], bool]) -> bool | None:
        """Make all moves, or none: False if a ref is not at its old value, or ``allowed`` says no.

        None if git has to do it; nothing has been done then.  What the refs are to lead to must be
        in the repository: it is not looked for.  The new values are durable before anybody sees
        them.
        """
        if self.has_hook() or os.path.isdir(os.path.join(self.common, b"reftable")):
            return None
        with ExitStack() as drafts:
            try:
                parts = [self._prepare(move, drafts) for move in moves]
                head = self._head()
            except OSError:  # no such ref, or no such kind of file here; git will say what it is
                return None
            sound = [part for part in parts if isinstance(part, _Part)]
            if len(sound) < len(parts):
                return None if None in parts else False
            # As late as possible, and before there is a lock that anybody could wait for.
            if not allowed():
                return False
            try:
                return self._finish(sound, head)
            except OSError:  # somebody has the lock; or the disk is full, and git will say it
                return None

    def _prepare(self, move: Move, stack: ExitStack) -> "_Part | bool | None":
        """None if it is git's business, False if the ref is elsewhere.  Raises ``OSError``."""
        name, new, expected = move
        if new is None or not name.startswith(_SHARED) or name.startswith(_PER_WORKTREE):
            return None
        path = os.path.join(self.common, name)
        old = _value(path)
        if old is None or expected is None or old == new.encode():
            return None
        if expected is not Expected.ANYTHING and expected.encode() != old:
            return False
        log = os.path.join(self.common, b"logs", name)
        has_log = os.path.isfile(log)
        if not has_log and name.startswith(_LOGGED):
            return None
        draft = os.open(os.path.dirname(path), os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o666)
        stack.callback(os.close, draft)
        os.write(draft, new.encode() + b"\n")
        os.fsync(draft)
        return _Part(path, old, new.encode(), draft, log if has_log else None)

    def _head(self) -> bytes | None:
        """The branch that HEAD leads to, as the path of its file."""
        text = _read(os.path.join(self.gitdir, b"HEAD"))
        if not text.startswith(b"ref:"):
            return None
        return os.path.join(self.common, text[4:].strip())

    def _finish(self, parts: Sequence[_Part], head: bytes | None) -> bool | None:
        """With the locks; raises ``OSError`` before anything has moved."""
        logs = [(part, part.log) for part in parts if part.log is not None]
        held: list[bytes] = []
        try:
            for part in parts:
                # An absolute name: the directory only makes this the call that follows the link.
                draft, lock = f"/proc/self/fd/{part.draft}", part.path + LOCK
                os.link(draft, lock, src_dir_fd=part.draft)
                held.append(lock)
                if part.path == head:
                    logs.append((part, os.path.join(self.gitdir, b"logs/HEAD")))
            if any(part.path == head for part in parts):
                held.append(self._lock_head())
                if self._head() != head:
                    return None
            now = [_value(part.path) for part in parts]
            if now != [part.old for part in parts]:
                return None if None in now else False
            for part, log in logs:
                self._note(part, log)
            for part in parts:
                os.rename(part.path + LOCK, part.path)
                held.remove(part.path + LOCK)  # who has a lock of that name now is somebody else
        finally:
            for lock in held:
                os.unlink(lock)
        return True

    def _lock_head(self) -> bytes:
        lock = os.path.join(self.gitdir, b"HEAD" + LOCK)
        os.close(os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))
        return lock

    def _note(self, part: _Part, log: bytes) -> None:
        when = b"%d %s" % (time.time(), time.strftime("%z").encode())
        line = b"%s %s %s %s\t%s\n" % (part.old, part.new, self.who, when, self.message)
        fd = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            os.write(fd, line)
        finally:
            os.close(fd)


def _value(path: bytes) -> bytes | None:
    """The object that a ref's own file names; None if it names none: it is symbolic, or torn."""
    text = _read(path).rstrip()
    return text if _OID.fullmatch(text) else None


def _read(path: bytes) -> bytes:
    fd = os.open(path, _READ)
    try:
        return os.read(fd, _TEXT_MAX)
    finally:
        os.close(fd)
