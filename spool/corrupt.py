"""What cannot be understood is moved aside, with a reason, and never deleted.

``transfer/corrupt/ID`` is the thing as it was found, and ``transfer/corrupt/ID.reason`` says why it
is there and where it was.  A person may look at it, move it back, or delete it; annexd never looks
at it again.

DIAGNOSTICS: a warning per thing moved.  What cannot be moved (no permission, a mount point) stays
where it is, with a warning, and is skipped.
"""

import contextlib
import errno
import logging
import os
from collections.abc import Iterator

from spool import directory, layout

log = logging.getLogger(__name__)

_ATTEMPTS = 16


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
        log.warning("corrupt %s: %s; it cannot be moved aside: %s", shown, reason, error)
        return False
    log.warning("corrupt %s: %s; moved to transfer/corrupt/%s", shown, reason, identity.decode())
    return True


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
        os.write(fd, text)
    finally:
        os.close(fd)
