"""What cannot be understood is moved aside, with a reason, and never deleted.

``transfer/corrupt/ID`` is the thing as it was found, and ``transfer/corrupt/ID.reason`` says why it
is there and where it was.  A person may look at it, move it back, or delete it; annexd never looks
at it again.

DIAGNOSTICS: a warning per thing moved, for the first of very many.  What cannot be moved (no
permission, a mount point) stays where it is, with a warning, and is skipped.
"""

import contextlib
import errno
import logging
import os
import time
from collections.abc import Iterator
from typing import Final

from spool import directory, layout
from spool.shared import share_file

log = logging.getLogger(__name__)

_ATTEMPTS = 16

TOLD_MAX: Final = 100
TOLD_S: Final = 3600.0
"""So many warnings in so long: who floods the spool must not flood the log, too."""

_told: dict[bytes, list[float]] = {}
"""Annex directory -> when something in it was last told (monotonic clock, s)."""


def move_aside(annex: bytes, names: tuple[bytes, ...], reason: str) -> bool:
    """Move ``names`` (a path below ``annex``) to ``corrupt``; False if it cannot be moved.

    Nothing is followed or opened: it may be a link, a FIFO or a whole directory.  The reason is
    written first.  Dying after that leaves a reason without a thing: harmless.
    """
    shown = ascii(os.fsdecode(b"/".join(names)))
    identity = os.urandom(6).hex().encode()
    try:
        above = directory.open_below(annex, names[:-1])
        try:
            to = directory.make_below(annex, layout.CORRUPT)
            try:
                _write(identity + b".reason", f"{reason}\n{shown}\n".encode(), to)
                try:
                    os.rename(names[-1], identity, src_dir_fd=above, dst_dir_fd=to)
                except OSError:
                    os.unlink(identity + b".reason", dir_fd=to)
                    raise
            finally:
                os.close(to)
        finally:
            os.close(above)
    except FileNotFoundError:
        return True  # somebody was faster
    except OSError as error:
        if _may_tell(annex):
            log.warning("corrupt %s: %s; it cannot be moved aside: %s", shown, reason, error)
        return False
    if _may_tell(annex):
        log.warning(
            "corrupt %s: %s; moved to transfer/corrupt/%s", shown, reason, identity.decode()
        )
    return True


def _may_tell(annex: bytes) -> bool:
    now = time.monotonic()
    told = _told[annex] = [at for at in _told.get(annex, ()) if at > now - TOLD_S]
    if len(told) > TOLD_MAX:
        return False
    told.append(now)
    if len(told) <= TOLD_MAX:
        return True
    log.warning("corrupt: there is more; from now on transfer/corrupt alone tells of it")
    return False


def make_way(annex: bytes, names: tuple[bytes, ...]) -> int:
    """A descriptor of the directory ``names`` below ``annex``; what is in its way is moved aside.

    Raises what ``directory.make_below`` raises if that cannot be done.
    """
    for _ in range(_ATTEMPTS):
        try:
            return directory.make_below(annex, names)
        except directory.InTheWayError as found:
            if len(found.names) == 1 or not move_aside(annex, found.names, "not a directory"):
                raise
        except FileNotFoundError:
            if not os.path.isdir(annex):
                raise
            # Somebody is deleting the spool; it may be deleted at any time.
    raise FileNotFoundError(errno.ENOENT, "removed again and again", b"/".join((annex, *names)))


@contextlib.contextmanager
def made_ways(annex: bytes, *several: tuple[bytes, ...]) -> Iterator[list[int]]:
    """The same for several directories, until the end of the block."""
    with contextlib.ExitStack() as stack:
        fds: list[int] = []
        for names in several:
            fds.append(make_way(annex, names))
            stack.callback(os.close, fds[-1])
        yield fds


def _write(name: bytes, text: bytes, dir_fd: int) -> None:
    fd = os.open(
        name,
        os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC,
        0o666,
        dir_fd=dir_fd,
    )
    try:
        share_file(fd, dir_fd)
        os.write(fd, text)
    finally:
        os.close(fd)
