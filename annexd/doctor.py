"""``annexd doctor``: what may keep annexd from working here, and the command that mends it.

Looks only; the features of the file system are tried in a directory of annexd's own.
"""

import os
import shlex
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import final

from annexd.admission import GIT_ANNEX_MIN, GIT_MIN, admit, git_annex_version, git_version
from annexd.errors import AnnexdError
from annexd.features import probe
from annexd.instance import find_holder
from annexd.openfiles import descriptors
from annexd.repository import find_place
from spool.place import Place
from spool.record import escape, make_directory
from workers.roles import ROLES

STALE_S = 600.0
"""A lock file of git's that is older, and that nobody has open, belonged to a killed git."""

FREE_MIN_BYTES = 100 << 20
"""git-annex's own default reserve (annex.diskreserve)."""

FREE_MIN_FILES = 1000

WATCHES_BESIDES = 256
"""Directories that are watched besides those of the work tree: refs, queue, remotes' refs."""

_INOTIFY = Path("/proc/sys/fs/inotify")
_LOCKS = ("index.lock", "HEAD.lock", "config.lock", "packed-refs.lock", "shallow.lock")


@final
@dataclass(frozen=True, slots=True)
class Finding:
    """Something that was looked at."""

    text: str
    is_wrong: bool
    cure: str
    """A command, or what else to do; may be empty."""

    def line(self) -> str:
        """For people."""
        mark = "WRONG " if self.is_wrong else "ok    "
        return escape(f"{mark}{self.text}") + (f"\n      mend it: {self.cure}" if self.cure else "")


def _fine(text: str) -> Finding:
    return Finding(text, is_wrong=False, cure="")


def _wrong(text: str, cure: str = "") -> Finding:
    return Finding(text, is_wrong=True, cure=cure)


def examine(directory: Path | None) -> Iterator[Finding]:
    """Look at everything: first at the machine, then, if there is one, at the repository."""
    yield from _programs()
    yield _instances()
    try:
        place = find_place(directory)
        admit(place)
    except AnnexdError as refusal:
        yield _wrong(str(refusal))
        return
    yield _fine(f"{os.fspath(place.worktree)!r} is a repository that annexd can work in")
    yield _daemon(place)
    yield _watches(place)
    yield from _features(place)
    yield _space(place)
    yield from _stale_locks(place)


def _programs() -> Iterator[Finding]:
    for name, version, least in (
        ("git", git_version, GIT_MIN),
        ("git-annex", git_annex_version, GIT_ANNEX_MIN),
    ):
        try:
            found = version()
        except AnnexdError as missing:
            yield _wrong(str(missing))
            continue
        shown = ".".join(map(str, found))
        if found < least:
            wanted = ".".join(map(str, least))
            yield _wrong(f"{name} {shown} is too old", f"install {name} {wanted} or newer")
        else:
            yield _fine(f"{name} {shown}")


def _instances() -> Finding:
    """Each of annexd's processes needs one, and a user has 128 by default."""
    needed = 1 + sum(role.slots for role in ROLES)
    limit = int((_INOTIFY / "max_user_instances").read_text())
    used = sum(1 for target in descriptors(os.geteuid()) if target == "anon_inode:inotify")
    text = f"inotify instances: {used} used of {limit}, annexd needs {needed} for each repository"
    if used + needed > limit:
        return _wrong(text, f"sudo sysctl fs.inotify.max_user_instances={max(2 * limit, 1024)}")
    return _fine(text)


def _daemon(place: Place) -> Finding:
    holder = find_holder(place)
    if holder is None:
        return _fine("annexd does not run here; start it with: annexd start")
    if holder.is_annexd:
        return _fine(f"{holder} runs here")
    return _wrong(f"{holder} runs here, so annexd cannot", "git annex assistant --stop")


def _watches(place: Place) -> Finding:
    needed = WATCHES_BESIDES + sum(1 for _ in _directories(place.worktree))
    limit = int((_INOTIFY / "max_user_watches").read_text())
    text = f"inotify watches: {needed} needed here, {limit} allowed for all programs of a user"
    if needed > limit // 2:
        more = 1 << (needed * 4).bit_length()
        return _wrong(text, f"sudo sysctl fs.inotify.max_user_watches={more}")
    return _fine(text)


def _directories(worktree: Path) -> Iterator[str]:
    """Every directory of the work tree, without what belongs to nested repositories."""
    for path, names, _ in os.walk(worktree):
        names[:] = [
            name
            for name in names
            if name != ".git" and not os.path.lexists(os.path.join(path, name, ".git"))
        ]
        yield path


def _features(place: Place) -> Iterator[Finding]:
    make_directory(place.tmp)
    for feature in probe(place.tmp):
        text = f"the file system has no {feature.name}: {feature.without}"
        if feature.works:
            yield _fine(f"the file system has {feature.name}")
        elif feature.is_needed:
            yield _wrong(text, "move the repository to a local file system")
        else:
            yield _fine(text)


def _space(place: Place) -> Finding:
    system = os.statvfs(place.annex)
    free = system.f_bavail * system.f_frsize
    # Some file systems (btrfs) have no fixed number of files, and say 0 of 0.
    if free < FREE_MIN_BYTES or (system.f_files and system.f_favail < FREE_MIN_FILES):
        text = f"only {free >> 20} MB and {system.f_favail} files are free"
        return _wrong(text, "free some space; what nobody needs any more: git annex unused")
    return _fine(f"{free >> 20} MB are free")


def _stale_locks(place: Place) -> Iterator[Finding]:
    suspects = [path for path in _git_locks(place) if _age_s(path) > STALE_S]
    opened = set(descriptors(None)) if suspects else set()
    for path in suspects:
        if os.path.realpath(path) not in opened:
            yield _wrong(
                f"a killed git has left {os.fspath(path)!r}, which keeps git from working",
                f"rm {shlex.quote(os.fspath(path))}",
            )


def _git_locks(place: Place) -> Iterator[Path]:
    for directory in {place.gitdir, place.common}:
        yield from (directory / name for name in _LOCKS)
    yield from (place.common / "refs").rglob("*.lock")


def _age_s(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
