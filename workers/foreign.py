"""Who else is at work in the repository: a user's git and git-annex, by /proc.

``git commit`` reads HEAD, takes its time (hooks, an editor), and fails if HEAD has moved meanwhile;
so HEAD is not moved while one runs.  What changes the work tree removes files for a moment; so
nothing counts as deleted meanwhile.

Our own programs are known by the mark in their environment (``annexd.strays``).
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from enum import Flag, auto
from typing import Final

from workers.desk import Desk

_MARK: Final = b"\0ANNEXD_SUPERVISOR="

_MOVES_HEAD: Final = frozenset(
    b"commit merge pull rebase cherry-pick revert am reset checkout switch stash filter-branch"
    b" bisect sync assist adjust view vadd vpop vfilter vcycle undo import".split()
)
_READS_ONLY: Final = frozenset(
    b"log show diff status cat-file ls-files ls-tree rev-parse rev-list blame grep describe config"
    b" for-each-ref gc repack prune fetch push receive-pack upload-pack fsck branch tag remote"
    b" maintenance reflog shortlog fsmonitor--daemon credential-cache--daemon"
    b" assistant watch webapp transferrer remotedaemon info whereis find list examinekey"
    b" transferkeys lookupkey p2pstdio notifychanges inannex configlist".split()
)
_WITH_VALUE: Final = frozenset(
    (b"-C", b"-c", b"--git-dir", b"--work-tree", b"--namespace", b"--exec-path")
)


class Work(Flag):
    """What others may be doing."""

    NOTHING = 0
    MOVES_HEAD = auto()
    CHANGES_FILES = auto()


def at_work(desk: Desk) -> Work:
    """What processes that are not annexd's are doing in the repository, right now."""
    work = Work.NOTHING
    for pid in filter(str.isdigit, os.listdir("/proc")):
        # It has ended, or is another user's and cannot be looked into.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            if _read(pid, "comm").startswith(b"git") and _is_here(desk, pid):
                work |= _work_of(_read(pid, "cmdline").split(b"\0"))
    return work


def _is_here(desk: Desk, pid: str) -> bool:
    where = os.readlink(f"/proc/{pid}/cwd".encode())
    common = os.fsencode(desk.place.common)
    if not any(where == top or where.startswith(top + b"/") for top in (desk.top, common)):
        arguments = _read(pid, "cmdline")
        if desk.gitdir not in arguments and desk.top + b"\0" not in arguments:
            return False
    return _MARK not in b"\0" + _read(pid, "environ")


def _work_of(arguments: Sequence[bytes]) -> Work:
    words = list(_words(arguments))
    if words[:1] == [b"annex"]:
        del words[0]
    verb = words[0] if words else b""
    if verb in _READS_ONLY:
        return Work.NOTHING
    if verb in _MOVES_HEAD:
        return Work.MOVES_HEAD | Work.CHANGES_FILES
    return Work.CHANGES_FILES


def _words(arguments: Sequence[bytes]) -> Iterator[bytes]:
    """The arguments that are no options, nor values of git's own options."""
    rest = iter(arguments[1:])
    for argument in rest:
        if argument in _WITH_VALUE:
            next(rest, None)
        elif argument and not argument.startswith(b"-"):
            yield argument


def _read(pid: str, name: str) -> bytes:
    with open(f"/proc/{pid}/{name}", "rb") as file:
        return file.read()
