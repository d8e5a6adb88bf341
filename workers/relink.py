"""Links of the work tree: put in the place of a file, and made right where they have been moved to.

By an atomic exchange, with a look at what came out: what is not what was seen is put back.
"""

import errno
import os

from workers.annex.pointer import relink
from workers.desk import Desk
from workers.git.syscalls import ExchangeUnsupportedError, exchange
from workers.nearby import REFUSALS, name_beside


def mend(desk: Desk, path: bytes, st: os.stat_result) -> tuple[bytes, os.stat_result] | None:
    """The target of a link, and its lstat, after it has been mended if it needs that.

    A link into the annex says how many directories up that is: moved elsewhere, it has to say it
    anew.  None if it has changed meanwhile: look again.
    """
    try:
        target = os.readlink(desk.full(path))
    except OSError:
        return None
    right = relink(target, path, desk.repository.tuning)
    if right is None:
        return target, st
    placed = put_link(desk, path, right, st)
    return None if placed is None else (right, placed)


def put_link(desk: Desk, path: bytes, target: bytes, seen: os.stat_result) -> os.stat_result | None:
    """Put a link in the place of what was seen there; its lstat, None if it was not (just) that.

    None, too, where nothing may be changed.
    """
    full, temporary = desk.full(path), desk.temporary()
    beside = os.path.join(os.path.dirname(full), name_beside(temporary))
    for each in (temporary, beside):
        try:
            return _put_link(full, each, target, seen)
        except OSError as failure:
            if failure.errno in REFUSALS:
                return None
            if failure.errno != errno.EXDEV or each is beside:
                raise
    return None


def _put_link(
    full: bytes, temporary: bytes, target: bytes, seen: os.stat_result
) -> os.stat_result | None:
    os.symlink(target, temporary)
    os.utime(temporary, ns=(seen.st_atime_ns, seen.st_mtime_ns), follow_symlinks=False)
    ours = os.lstat(temporary)
    try:
        exchange(temporary, full)
    except ExchangeUnsupportedError:
        now = os.lstat(full) if os.path.lexists(full) else None
        if now is None or not _is_it(now, seen):
            os.unlink(temporary)
            return None
        os.rename(temporary, full)
        return os.lstat(full)
    except FileNotFoundError:
        os.unlink(temporary)
        return None
    except OSError:
        os.unlink(temporary)
        raise
    if _is_it(os.lstat(temporary), seen):
        os.unlink(temporary)
        return os.lstat(full)
    exchange(temporary, full)
    if os.lstat(temporary).st_ino == ours.st_ino:  # else: somebody was there twice in a moment
        os.unlink(temporary)
    return None


def _is_it(now: os.stat_result, seen: os.stat_result) -> bool:
    # Being exchanged has changed its ctime.
    return (now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns) == (
        *(seen.st_dev, seen.st_ino, seen.st_size),
        seen.st_mtime_ns,
    )
