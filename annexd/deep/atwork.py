"""Whether anybody is changing the repository just now: annexd, git, git-annex.

What is wrong for a moment while somebody works is not wrong.  So whether somebody works is asked
around every second look (``annexd.deep.looks``); a wrong answer costs time, or a false alarm that
the next run takes back.
"""

import os

from annexd.instance import find_holder
from spool import running
from spool.place import Place
from spool.state import Activity, read_states


def somebody_works(place: Place) -> bool:
    """Whether something is under way here, as far as can be seen from outside."""
    return _daemon_works(place) or any(running.listing(place.layout)) or git_works(place)


def _daemon_works(place: Place) -> bool:
    if find_holder(place) is None:
        return False
    states = read_states(place.state).values()
    return any(state.activity is Activity.BUSY or state.pending for state in states)


def git_works(place: Place) -> bool:
    """Whether a git or git-annex that is nobody's we know of runs in this repository.

    Ours and annexd's own only answer questions, for as long as they live.
    """
    holder = find_holder(place)
    known = {os.getpid()} | ({holder.pid} if holder is not None else set())
    inside = (os.fspath(place.worktree), os.fspath(place.common), os.fspath(place.gitdir))
    return any(
        _is_git(pid) and _works_in(pid, inside) and not _descends(pid, known)
        for pid in filter(str.isdigit, os.listdir("/proc"))
    )


def _is_git(pid: str) -> bool:
    return _read(f"/proc/{pid}/comm").startswith(b"git")


def _works_in(pid: str, directories: tuple[str, ...]) -> bool:
    try:
        cwd = os.readlink(f"/proc/{pid}/cwd")
    except OSError:  # it has ended, or is another user's
        return False
    return any(cwd == each or cwd.startswith(f"{each}/") for each in directories)


def _descends(pid: str, ancestors: set[int]) -> bool:
    number = int(pid)
    while number > 1:
        if number in ancestors:
            return True
        number = _parent(number)
    return False


def _parent(pid: int) -> int:
    # The name before may hold anything, parentheses included (proc_pid_stat(5)).
    fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    return int(fields[1]) if len(fields) > 1 else 0


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:  # it has ended
        return b""
