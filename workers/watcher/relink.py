"""Links of the work tree: put in the place of a file, and made right where they have been moved to.

As ``workers.inplace`` does it: what is not what was seen stays, or is put back.
"""

import contextlib
import os
import stat

from workers.annex.pointer import relink
from workers.descent import Descent
from workers.inplace import Done, look, replace
from workers.nearby import REFUSALS
from workers.pointing import reach
from workers.watcher.desk import Desk


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


def leads_astray(desk: Desk, path: bytes, st: os.stat_result) -> bool:
    """Whether it is a link into the annex that git knows, and ``git mv`` has broken."""
    if not stat.S_ISLNK(st.st_mode):
        return False
    try:
        target = os.readlink(desk.full(path))
    except OSError:
        return False
    return relink(target, path, desk.repository.tuning) is not None


def put_link(desk: Desk, path: bytes, target: bytes, seen: os.stat_result) -> os.stat_result | None:
    """Put a link in the place of what was seen there; its lstat, None if it was not (just) that.

    None, too, where nothing may be changed.
    """
    temporary = desk.temporary()
    os.symlink(target, temporary)
    try:
        os.utime(temporary, ns=(seen.st_atime_ns, seen.st_mtime_ns), follow_symlinks=False)
        with Descent(desk.top) as descent:
            name = reach(path, descent)
            if name is None or replace(temporary, name, seen) is not Done.YES:
                return None
            now = look(name)
            is_ours = now is not None and stat.S_ISLNK(now.st_mode)
            return now if is_ours else None  # else somebody has replaced it already
    except OSError as failure:
        if failure.errno not in REFUSALS:
            raise
        return None
    finally:
        with contextlib.suppress(FileNotFoundError):  # it has its name now
            os.unlink(temporary)
