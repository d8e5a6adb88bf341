"""Locks of git's whose owner has died.  Nobody removes them, and nothing works until somebody does.

Who changes a ref or the index makes ``NAME.lock``, and renames or removes it in the end.  A git
that is killed in between, or has lost its power, leaves it behind, and from then on every git
fails, and so do we: for ever.  Our own programs are killed, too.

Such a lock is removed when it is some seconds old and nobody can be holding it: no process has it
open for writing, and no git is at work in the repository.  (git closes its locks while it still
holds them, so the first alone says nothing.)  On a file system that other machines use nobody can
know, nor in a container, from which others' processes are not seen; so there it takes longer.

To be called by whoever has failed, again and again, and not while it holds such a lock itself; and
at a start, for the lock of HEAD may be left when all else has been done: only users' commands fail.
"""

import logging
import os
import time
from collections.abc import Collection, Iterable, Iterator
from typing import Final, final

from spool.record import escape
from workers.distant import is_distant
from workers.foreign import MARK
from workers.git.commandline import words_of
from workers.writers import has_writer

log = logging.getLogger(__name__)

LOCK: Final = b".lock"
INDEX: Final = b"index.lock"
FILES: Final = (INDEX, b"HEAD.lock", b"packed-refs.lock", b"config.lock", b"shallow.lock")
REFS: Final = (b"refs", b"reftable")
"""Directories."""

REF_S: Final = 2.0
"""Of refs: they are held for milliseconds."""
INDEX_S: Final = 45.0
"""Of the index: a git between two processes, or a person's program that is not called git and has
closed it (half a minute is nothing to a person); and what was killed is made good in a minute."""
OTHERS_INDEX_S: Final = 60.0
"""The same, made by another user, whose files we may not look for."""
UNSEEN_S: Final = 600.0
"""Of those that somebody may hold whom we cannot see."""

_INITIAL_PIDS: Final = "pid:[4026531836]"
"""The namespace in which every process is seen.  Source: linux/include/linux/proc_ns.h."""

OURS_S: Final = 60.0
"""Our own ``git update-ref``, which stays, holds nothing for longer than that (``update_refs``)."""

LOCKS_MAX: Final = 1000

_HARMLESS: Final = frozenset(
    b"cat-file check-attr check-ignore diff-index ls-files ls-tree log show diff rev-parse rev-list"
    b" blame grep describe for-each-ref merge-tree hash-object".split()
)


@final
class Abandoned:
    """Of one repository: its directories, and the git directories with locks among them."""

    def __init__(self, places: Iterable[bytes], gitdirs: Iterable[bytes]) -> None:
        self._places = frozenset(places)
        self._gitdirs = frozenset(gitdirs)
        self._since: dict[tuple[bytes, int], float] = {}
        """Lock and inode -> since when we know of it (monotonic, s)."""

    def sweep(self) -> bool:
        """Look at all locks, and remove those that nobody can be holding; whether others stay."""
        now, wall = time.monotonic(), time.time()
        found = dict(_locks(self._gitdirs))
        self._since = {
            (path, status.st_ino): self._since.get((path, status.st_ino), now)
            for path, status in found.items()
        }
        # By the clock, or as long as we know of it: the clock may have been set back.
        old = {
            path: max(now - since, wall - found[path].st_mtime)
            for (path, _), since in self._since.items()
        }
        due = [path for path, age in old.items() if age >= _patience_s(path, found[path])]
        makers = {found[path].st_uid for path in due}
        if not due or self._may_be_held(min(old[path] for path in due), makers):
            return bool(found)
        free = [path for path in due if not has_writer(found[path])]
        for path in free:
            _remove(path, found[path])
        return len(free) < len(found)

    def _may_be_held(self, age_s: float, makers: Collection[int]) -> bool:
        """Whether somebody's git is at work here that may hold a lock of that age.

        ``makers``: the users whom such locks belong to.
        """
        mine = os.getpid()
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if _is_git(pid) and _parent(pid) != mine and self._may_hold(pid, age_s):
                    return True
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has ended
            except PermissionError:
                # Another user's, and nobody knows where it is at work.  It made what is that
                # user's, and a git that stays for longer (annexd's do) holds nothing.
                if age_s < UNSEEN_S and _user(pid) in makers:
                    return True
        return False

    def _may_hold(self, pid: str, age_s: float) -> bool:
        arguments = _read(pid, "cmdline").split(b"\0")
        verb = next(words_of(arguments), b"")
        environment = b"\0" + _read(pid, "environ")
        if verb in _HARMLESS or (verb == b"update-ref" and age_s > OURS_S and MARK in environment):
            return False
        where = os.readlink(f"/proc/{pid}/cwd".encode())
        said = b"\0".join((where, *arguments)) + environment
        return any(place in said for place in self._places)


def _locks(gitdirs: Iterable[bytes]) -> Iterator[tuple[bytes, os.stat_result]]:
    """At most ``LOCKS_MAX``: a peer can push any number of refs, but not such names."""
    paths = [os.path.join(gitdir, name) for gitdir in gitdirs for name in FILES]
    for top in (os.path.join(gitdir, name) for gitdir in gitdirs for name in REFS):
        for directory, _directories, names in os.walk(top):
            paths += [os.path.join(directory, name) for name in names if name.endswith(LOCK)]
    for path in paths[:LOCKS_MAX]:
        try:
            yield path, os.lstat(path)
        except FileNotFoundError:
            continue  # as it should be


def _patience_s(path: bytes, status: os.stat_result) -> float:
    if is_distant(status):
        return UNSEEN_S
    if os.path.basename(path) != INDEX:
        return REF_S
    if os.readlink("/proc/self/ns/pid") != _INITIAL_PIDS:
        return UNSEEN_S
    return INDEX_S if os.geteuid() in {0, status.st_uid} else OTHERS_INDEX_S


def _remove(path: bytes, status: os.stat_result) -> None:
    try:
        if os.lstat(path).st_ino != status.st_ino:
            return  # another one, just made
        os.unlink(path)
    except FileNotFoundError:
        return  # somebody else was faster
    log.warning("remove %s: whoever made it has died", escape(os.fsdecode(path)))


def _is_git(pid: str) -> bool:
    """git-annex has git make its locks, or keeps them open."""
    name = _read(pid, "comm")
    return name.startswith(b"git") and not name.startswith(b"git-annex")


def _user(pid: str) -> int | None:
    try:
        return os.stat(f"/proc/{pid}").st_uid
    except FileNotFoundError:
        return None  # it has ended


def _parent(pid: str) -> int:
    return int(_read(pid, "stat").rpartition(b") ")[2].split()[1])


def _read(pid: str, name: str) -> bytes:
    with open(f"/proc/{pid}/{name}", "rb") as file:
        return file.read()
