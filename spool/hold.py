"""Holds: while ``transfer/hold/all`` is there, nothing is started; ``hold/remote/UUID``: for one.

The first line is when the hold ends (Unix time, s), or empty: when somebody removes it.  So
``touch`` pauses and ``rm`` resumes.  Only a hold that has certainly expired is none; one that
cannot be read holds, whatever it is.  What is running goes on.

If killed: docs/SPOOL.md, H1 to H3.
"""

import math
import os
import re
from dataclasses import dataclass
from typing import final

from spool import corrupt, directory, layout, text
from spool.layout import Layout
from spool.transfer import UUID

FOREVER = math.inf

_TIME = re.compile(rb"[0-9]{1,15}(\.[0-9]*)?")


@final
@dataclass(frozen=True, slots=True)
class Hold:
    """A hold that is in force."""

    uuid: UUID | None
    """None: on everything."""
    until: float
    """Unix time, s; ``FOREVER`` if it has no end."""


def create(paths: Layout, hold: Hold) -> None:
    """Start nothing (more), until the hold is released or expires.  Replaces an earlier one."""
    directory_names, name = _place(hold.uuid)
    text.store(paths.annex, directory_names, name, _format(hold.until))


def release(paths: Layout, uuid: UUID | None) -> bool:
    """Remove a hold; False if there is none.  With None, that on everything; others stay."""
    names, name = _place(uuid)
    with directory.opened(paths.annex, names) as fd:
        if fd is None:
            return False
        try:
            os.unlink(name, dir_fd=fd)
        except FileNotFoundError:
            return False
        except IsADirectoryError:
            corrupt.move_aside(paths.annex, (*names, name), "not a hold, but a directory")
        return True


def is_held(paths: Layout, uuid: UUID, now: float) -> bool:
    """Whether nothing may be started to or from ``uuid``.  Holds that have expired are removed."""
    return _until(paths, None, now) is not None or _until(paths, uuid, now) is not None


def listing(paths: Layout, now: float) -> list[Hold]:
    """Every hold in force.  Holds that have expired are removed."""
    named = directory.named_uuids(paths.annex, layout.HOLD_REMOTE)
    uuids = [None, *(uuid for uuid, _entry in named)]
    untils = ((uuid, _until(paths, uuid, now)) for uuid in uuids)
    return [Hold(uuid, until) for uuid, until in untils if until is not None]


def says_when(line: bytes) -> bool:
    """Whether the first line of a hold is a point in time; if not, the hold has no end."""
    return _TIME.fullmatch(line) is not None


def _format(until: float) -> bytes:
    return b"\n" if math.isinf(until) else b"%d\n" % math.ceil(until)


def _place(uuid: UUID | None) -> tuple[tuple[bytes, ...], bytes]:
    return (layout.HOLD, b"all") if uuid is None else (layout.HOLD_REMOTE, uuid)


def _until(paths: Layout, uuid: UUID | None, now: float) -> float | None:
    names, name = _place(uuid)
    with directory.opened(paths.annex, names) as fd:
        if fd is None:
            return None
        until = _read(name, fd)
        if until is None or until > now:
            return until
        return _expire(paths, name, fd, now)


def _expire(paths: Layout, name: bytes, fd: int, now: float) -> float | None:
    """Remove an expired hold, but not one that has replaced it meanwhile.

    So it is moved away first and looked at again; if it is in force after all it is put back,
    unless there is a still newer one.
    """
    tmp_fd = corrupt.make_way(paths.annex, layout.QUEUE_TMP)
    moved = text.unique_name()
    try:
        os.rename(name, moved, src_dir_fd=fd, dst_dir_fd=tmp_fd)
        until = _read(moved, tmp_fd)
        if until is not None and until > now:
            # By its name, which needs no room on the disk.
            text.name_new(name, _format(until), dir_fd=fd, tmp=moved, tmp_fd=tmp_fd)
        else:
            os.unlink(moved, dir_fd=tmp_fd)
    except FileNotFoundError:
        pass  # somebody else is removing it, too
    finally:
        os.close(tmp_fd)
    return _read(name, fd)


def _read(name: bytes, fd: int) -> float | None:
    try:
        line = text.read(name, dir_fd=fd).partition(b"\n")[0].strip()
    except FileNotFoundError:
        return None
    except (ValueError, PermissionError):
        return FOREVER  # a link, a directory, root's own: somebody wanted something to be held
    return float(line) if says_when(line) else FOREVER
