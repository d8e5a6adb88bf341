"""``annexd doctor``: what may keep annexd from working here, and the command that mends it.

Looks only; the features of the file system are tried in a directory of annexd's own.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path

from annexd.admission import GIT_ANNEX_MIN, GIT_MIN, admit, git_annex_version, git_version
from annexd.errors import AnnexdError
from annexd.features import probe
from annexd.finding import Finding, fine, quoted, wrong
from annexd.instance import find_holder
from annexd.openfiles import descriptors
from annexd.repository import find_place
from spool.place import Place
from spool.record import make_directory
from workers.annex.space import RESERVE
from workers.roles import ROLES
from workers.wakeup import Hints

STALE_S = 600.0
"""A lock file of git's that is older, and that nobody has open, belonged to a killed git."""

FREE_MIN_FILES = 1000

WATCHES_BESIDES = 256
"""Directories that are watched besides those of the work tree: refs, queue, remotes' refs."""

_INOTIFY = Path("/proc/sys/fs/inotify")
_LOCKS = ("index.lock", "HEAD.lock", "config.lock", "packed-refs.lock", "shallow.lock")


def examine(directory: Path | None) -> Iterator[Finding]:
    """Look at everything: first at the machine, then, if there is one, at the repository."""
    yield from _programs()
    yield _instances()
    try:
        place = find_place(directory)
        admit(place)
    except AnnexdError as refusal:
        yield wrong(str(refusal))
        return
    yield fine(f"{os.fspath(place.worktree)!r} is a repository that annexd can work in")
    yield _daemon(place)
    yield _confinement(place)
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
            yield wrong(str(missing))
            continue
        shown = ".".join(map(str, found))
        if found < least:
            wanted = ".".join(map(str, least))
            yield wrong(f"{name} {shown} is too old", f"install {name} {wanted} or newer")
        else:
            yield fine(f"{name} {shown}")


def _instances() -> Finding:
    """Each of annexd's processes that hears of names needs one, and a user has 128 by default."""
    needed = sum(role.slots for role in ROLES if role.hints is Hints.NAMED)
    limit = int((_INOTIFY / "max_user_instances").read_text())
    used = sum(1 for target in descriptors(os.geteuid()) if target == "anon_inode:inotify")
    text = f"inotify instances: {used} used of {limit}, annexd needs {needed} for each repository"
    if used + needed > limit:
        return wrong(text, f"sudo sysctl fs.inotify.max_user_instances={max(2 * limit, 1024)}")
    return fine(text)


def _daemon(place: Place) -> Finding:
    holder = find_holder(place)
    if holder is None:
        return fine("annexd does not run here; start it with: annexd start")
    if holder.is_annexd:
        return fine(f"{holder} runs here")
    return wrong(f"{holder} runs here, so annexd cannot", "git annex assistant --stop")


def _confinement(place: Place) -> Finding:
    """Whether whoever started annexd has it confined: it confines nothing by itself."""
    holder = find_holder(place)
    confined = []
    if holder is not None:
        try:
            lines = Path(f"/proc/{holder.pid}/status").read_text(errors="replace").splitlines()
        except (FileNotFoundError, ProcessLookupError):  # it has just ended
            lines = []
        said = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
        confined += ["no new privileges"] if said.get("NoNewPrivs") == "1" else []
        confined += ["a filter of system calls"] if said.get("Seccomp") == "2" else []
    if confined:
        return fine(f"annexd is confined by what has started it: {', '.join(confined)}")
    return fine("annexd has no sandbox: its workers have all rights of their user (SECURITY.md)")


def _watches(place: Place) -> Finding:
    needed = WATCHES_BESIDES + sum(1 for _ in _directories(place.worktree))
    limit = int((_INOTIFY / "max_user_watches").read_text())
    text = f"inotify watches: {needed} needed here, {limit} allowed for all programs of a user"
    if needed > limit // 2:
        more = 1 << (needed * 4).bit_length()
        return wrong(text, f"sudo sysctl fs.inotify.max_user_watches={more}")
    return fine(text)


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
            yield fine(f"the file system has {feature.name}")
        elif feature.is_needed:
            yield wrong(text, "move the repository to a local file system")
        else:
            yield fine(text)


def _space(place: Place) -> Finding:
    system = os.statvfs(place.annex)
    free = system.f_bavail * system.f_frsize
    # Some file systems (btrfs) have no fixed number of files, and say 0 of 0.
    if free < RESERVE or (system.f_files and system.f_favail < FREE_MIN_FILES):
        text = f"only {free >> 20} MB and {system.f_favail} files are free"
        return wrong(text, "free some space; what nobody needs any more: git annex unused")
    return fine(f"{free >> 20} MB are free")


def _stale_locks(place: Place) -> Iterator[Finding]:
    suspects = [path for path in _git_locks(place) if _age_s(path) > STALE_S]
    opened = set(descriptors(None)) if suspects else set()
    for path in suspects:
        if os.path.realpath(path) not in opened:
            yield wrong(
                f"a killed git has left {os.fspath(path)!r}, which keeps git from working",
                f"rm {quoted(path)}",
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
