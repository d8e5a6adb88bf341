"""One daemon for each repository, by git-annex's own convention.

``annex/daemon.pid`` holds a decimal pid without a newline, and that process holds a record lock
on it.  A daemon that starts locks the file that is there, then makes ``daemon.pid.new``, locks
it, writes its pid into it, and renames it over the other.  So annexd and ``git annex assistant``
exclude each other, and ``git annex assistant --stop`` stops either.
(git-annex-formats.md §5; Utility/Daemon.hs, lockPidFile.)

The old file stays locked too: somebody who has opened it just before the rename must not find it
free afterwards.

Such locks belong to the process (``spool.lock``): they are taken by the daemon itself, after its
last fork.

``annex/annexd/lock`` is held beside it, and tells annexd from the assistant; or, where somebody has
just deleted that, the supervisor's title does.

If killed: the kernel drops all three locks; what stands in the files then means nothing.

DIAGNOSTICS: ``AlreadyRunningError``, which says who has the repository.
"""

import contextlib
import os
from dataclasses import dataclass
from typing import final

from annexd.errors import AnnexdError
from spool import lock
from spool.lock import FileLock
from spool.place import Place
from spool.record import make_directory

TITLE = "annexd: supervisor"
"""How a supervisor's command line begins."""

LOCK = "annex/annexd/lock"
"""annexd's own, below the repository's directory (``Place.lock``)."""

_MAKE = lock.OPEN | os.O_CREAT


@final
@dataclass(frozen=True, slots=True)
class Holder:
    """The daemon that runs in a repository."""

    pid: int
    is_annexd: bool

    def __str__(self) -> str:
        who = "annexd" if self.is_annexd else "git-annex's assistant"
        return f"{who} (pid {self.pid})"


class AlreadyRunningError(AnnexdError):
    """Another daemon has the repository."""

    def __init__(self, place: Place, holder: Holder | None) -> None:
        where = os.fspath(place.worktree)
        if holder is None:  # it let go between our try and our question
            text = f"another daemon has just been starting or stopping in {where!r}: try again"
        elif holder.is_annexd:
            text = f"{holder} already runs in {where!r}"
            if place.has_linked():
                text += ", or in another of its work trees, one of which may have a daemon"
        else:
            text = f"{holder} runs in {where!r}; stop it first: git annex assistant --stop"
        super().__init__(text)
        self.holder = holder


def find_holder(place: Place) -> Holder | None:
    """The daemon that runs in this repository; None if there is none."""
    pid = lock.owner_pid(place.layout.daemon_pid)
    own = lock.owner_pid(os.fsencode(place.lock))
    if pid is not None:
        return Holder(pid, is_annexd=own == pid or (own is None and _is_titled(pid)))
    # Somebody has deleted ``daemon.pid``; annexd makes it again in a moment.
    return None if own is None else Holder(own, is_annexd=True)


def holders_of(path: bytes) -> list[int]:
    """The supervisors that have a lock of that name open; by /proc, so that no disk is asked."""
    return [
        int(name)
        for name in os.listdir("/proc")
        if name.isdigit() and _is_titled(int(name)) and path in _open_files(name)
    ]


def _open_files(pid: str) -> set[bytes]:
    found = set()
    with contextlib.suppress(OSError):  # it has just ended, or is another user's
        for name in os.listdir(f"/proc/{pid}/fd"):
            found.add(os.readlink(os.fsencode(f"/proc/{pid}/fd/{name}")))
    return found


def _is_titled(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read(len(TITLE)) == TITLE.encode()
    except OSError:  # it has just ended, or is in another container
        return False


@final
class Instance:
    """The right to be this repository's daemon, held until the process ends."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._locks: list[FileLock] = []
        self._own: FileLock | None = None

    @classmethod
    def acquire(cls, place: Place) -> "Instance":
        """Take it; raises ``AlreadyRunningError``, and ``OSError`` if the files cannot be made."""
        instance = cls(place)
        if not instance.hold():
            instance._release()
            raise AlreadyRunningError(place, find_holder(place))
        return instance

    def hold(self) -> bool:
        """Hold the locks, also when somebody has deleted their files; False if one is taken."""
        # Our own lock first, so that whoever finds the other taken can tell by whom.
        return self._hold_own() and self._hold_pid_file()

    def holds(self) -> bool:
        """Whether the locks are held, in files that others find under their names."""
        return self._holds_own() and self._holds_pid_file()

    def _hold_own(self) -> bool:
        if not self._holds_own():
            make_directory(self.place.annexd)
            self._own = lock.try_take(os.fsencode(self.place.lock), flags=_MAKE)
        return self._own is not None

    def _holds_own(self) -> bool:
        name = os.fsencode(self.place.lock)
        return self._own is not None and lock.still_named(name, self._own.inode)

    def _hold_pid_file(self) -> bool:
        if self._holds_pid_file():
            return True
        path = self.place.layout.daemon_pid
        new = path + b".new"
        if not (self._take(path) and self._take(new)):
            return False
        fd = self._locks[-1].fd
        os.ftruncate(fd, 0)
        os.write(fd, str(os.getpid()).encode())
        os.rename(new, path)
        return True

    def _holds_pid_file(self) -> bool:
        path = self.place.layout.daemon_pid
        return bool(self._locks) and lock.still_named(path, self._locks[-1].inode)

    def _take(self, name: bytes) -> bool:
        taken = lock.try_take(name, flags=_MAKE)
        if taken is not None:
            self._locks.append(taken)
        return taken is not None

    def _release(self) -> None:
        for taken in (*self._locks, self._own):
            if taken is not None:
                taken.close()
