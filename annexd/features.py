"""What a file system can do, found out by trying it in a directory of ours."""

import fcntl
import os
import select
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import final

from inotify_simple import INotify
from inotify_simple import flags as inotify

_FICLONE = 0x40049409  # ioctl_ficlone(2)
_EVENT_MS = 1000


@final
@dataclass(frozen=True, slots=True)
class Feature:
    """Something a file system can or cannot do."""

    name: str
    works: bool
    is_needed: bool
    without: str
    """What it means when it is missing."""


def probe(directory: Path) -> Iterator[Feature]:
    """Try everything below ``directory``; nothing is left behind."""
    with tempfile.TemporaryDirectory(dir=directory, prefix="doctor-") as name:
        at = Path(name)
        (at / "file").write_bytes(bytes(8192))
        yield Feature("record locks", _locks(at), is_needed=True, without="annexd cannot work here")
        yield Feature(
            "inotify",
            _inotify(at),
            is_needed=True,
            without="changes are noticed only by the rare full scan",
        )
        yield Feature(
            "read leases",
            _leases(at),
            is_needed=False,
            without="whether a file is open for writing is looked up in /proc, which is slower",
        )
        yield Feature(
            "copies that share blocks",
            _reflinks(at),
            is_needed=False,
            without="an unlocked file takes its size twice (ext4 never has them; btrfs and xfs do)",
        )
        yield Feature(
            "hard links",
            _links(at),
            is_needed=False,
            without="a job is made under its final name and may be seen empty for an instant",
        )
        yield Feature(
            "symbolic links",
            _symlinks(at),
            is_needed=False,
            without="locked files appear as small text files",
        )


def _locks(at: Path) -> bool:
    with (at / "file").open("r+b") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
    return True


def _inotify(at: Path) -> bool:
    """Whether an event comes; where there are no watches left, that is another finding."""
    try:
        with INotify(nonblocking=True) as events:
            events.add_watch(at, inotify.CREATE)
            (at / "event").touch()
            poll = select.poll()
            poll.register(events.fileno(), select.POLLIN)
            return bool(poll.poll(_EVENT_MS))
    except OSError:
        return True


def _leases(at: Path) -> bool:
    with (at / "file").open("rb") as file:
        try:
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        except OSError:
            return False
    return True


def _reflinks(at: Path) -> bool:
    with (at / "file").open("rb") as source, (at / "copy").open("wb") as copy:
        try:
            fcntl.ioctl(copy, _FICLONE, source.fileno())
        except OSError:
            return False
    return True


def _links(at: Path) -> bool:
    try:
        os.link(at / "file", at / "second")
    except OSError:
        return False
    return True


def _symlinks(at: Path) -> bool:
    try:
        (at / "link").symlink_to("file")
    except OSError:
        return False
    return True
