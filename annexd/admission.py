"""Whether annexd can work in a repository, asked once, before anything is touched.

DIAGNOSTICS: ``RefusedError``, one line that says what is wrong and what to do.
"""

import os
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from annexd.errors import AnnexdError
from annexd.programs import Wish
from spool.place import Place
from workers.annex import remotes
from workers.annex.remotes import Unusable
from workers.annex.remoteurl import LocalPath
from workers.annex.repository import RepositoryError, find_with_worktree
from workers.annex.settings import Settings
from workers.git import settings as git_settings
from workers.git.conventions import Conventions
from workers.git.run import Git, GitError, run
from workers.transferrer.gate import slots

GIT_MIN = (2, 38)
"""The first with ``git merge-tree --write-tree``."""

GIT_ANNEX_MIN = (10, 20230126)
"""Debian 12's, the oldest that this is tried with."""


class RefusedError(AnnexdError):
    """annexd cannot work here until somebody changes something."""


JOBS: Final = 3
JOBS_FEW: Final = 2
REMOTES_FEW: Final = 2
"""Of one remote more than two transfers at once are seldom of use, and each worker costs 7 MB."""

JOBS_MOST: Final = 8
"""No more for the sake of those that may hang."""


@final
@dataclass(frozen=True, slots=True)
class Admission:
    """What annexd's parent process needs to know of a repository that it can work in."""

    jobs: int
    """How many transfers at once: ``annex.jobs``, else as many as the remotes can make use of."""

    debug: bool
    """``annex.debug``."""

    debugged: tuple[str, ...]
    """``annex.debugfilter``: of which modules; empty: of all."""

    wish: Wish
    """``annex.autoupgrade``."""


def admit(place: Place) -> Admission:
    """Ask all questions, those first that need no program."""
    _check_permissions(place)
    find_programs()
    try:
        repository = find_with_worktree(place.worktree)
        Conventions.of(git_settings.Settings.read(repository.git))
        return _admission(repository.settings)
    except (RepositoryError, ValueError) as refusal:
        raise RefusedError(str(refusal)) from None
    except GitError as failure:
        raise RefusedError(f"git cannot read the repository: {failure}") from None


def read_admission(place: Place) -> Admission:
    """The settings alone, as they are now; raises ``RefusedError``."""
    try:
        return _admission(Settings.read(Git(place.gitdir, place.worktree)))
    except (GitError, ValueError) as failure:
        raise RefusedError(f"git cannot read the repository: {failure}") from None


def find_programs() -> None:
    """Refuse a machine where git or git-annex is missing or too old.

    A git-annex in our own environment (``pip install annexd[git-annex]``) is put on PATH, at its
    end, so that git finds it too when it runs its filters.
    """
    if shutil.which("git-annex") is None:
        beside = Path(sys.prefix, "bin")
        if (beside / "git-annex").exists():
            os.environ["PATH"] = f"{os.environ.get('PATH', os.defpath)}:{beside}"
    git = ".".join(map(str, GIT_MIN))
    if git_version() < GIT_MIN:
        raise RefusedError(f"git {_shown(git_version())} is too old: install git {git} or newer")
    annex = ".".join(map(str, GIT_ANNEX_MIN))
    if git_annex_version() < GIT_ANNEX_MIN:
        raise RefusedError(
            f"git-annex {_shown(git_annex_version())} is too old: install {annex} or newer, "
            "for example with: pip install git-annex"
        )


def git_version() -> tuple[int, ...]:
    """The version of the git on PATH."""
    return _version("git", ("git", "version"), f"install git {GIT_MIN[0]}.{GIT_MIN[1]} or newer")


def git_annex_version() -> tuple[int, ...]:
    """The version of the git-annex on PATH."""
    return _version(
        *("git-annex", ("git-annex", "version", "--raw")),
        "install it: apt install git-annex, or pip install git-annex",
    )


def _version(program: str, argv: tuple[str, ...], advice: str) -> tuple[int, ...]:
    try:
        said = run(argv, cwd=Path("/")).decode(errors="replace")
    except (FileNotFoundError, PermissionError):
        raise RefusedError(f"there is no {program} on PATH; {advice}") from None
    except GitError as failure:
        raise RefusedError(f"{program} does not run ({failure}); {advice}") from None
    found = re.search(r"([0-9]+)\.([0-9]+)", said)
    if found is None:
        raise RefusedError(f"cannot tell the version of {program} from {said!r}; {advice}")
    return tuple(map(int, found.groups()))


def _shown(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _check_permissions(place: Place) -> None:
    if os.statvfs(place.gitdir).f_flag & os.ST_RDONLY:
        raise RefusedError(f"{os.fspath(place.gitdir)!r} is mounted read-only; mount it read-write")
    for path in (place.worktree, place.gitdir, place.annex):
        if path.exists() and not os.access(path, os.R_OK | os.W_OK | os.X_OK):
            raise RefusedError(
                f"no permission to write in {os.fspath(path)!r}; run annexd as its owner, "
                f"or: sudo chown -R {os.geteuid()} {os.fspath(path)!r}"
            )


def _admission(settings: Settings) -> Admission:
    if settings.get("annex.jobs") in {"cpus", "cpu"}:
        jobs = len(os.sched_getaffinity(0))
    else:
        jobs = settings.number("annex.jobs", 0) or _jobs(settings)
    modules = map(str.strip, settings.get("annex.debugfilter", "").split(","))
    return Admission(
        jobs=jobs,
        debug=settings.flag("annex.debug", default=False),
        debugged=tuple(filter(None, modules)),
        wish=Wish.of(settings),
    )


def _jobs(settings: Settings) -> int:
    """As many transfers as the remotes can make use of, and one more than can hang at once.

    A dead line is noticed only after 40 s (ssh) or two minutes (git-annex).  Until then it may
    occupy all the workers that its remotes are given, and other remotes must not wait for that.  A
    dead disk holds one worker until it is unmounted, and no second one: before that goes there, it
    has asked whether the disk answers (``workers.transferrer.gate``).
    """
    known = remotes.parse(settings, {}, top=Path("/"), home=Path("/"))
    used = [
        remote
        for remote in known
        if not remote.ignored and remote.uuid not in {remotes.WEB, remotes.BITTORRENT}
    ]
    few = JOBS_FEW if len(used) <= REMOTES_FEW else JOBS
    if len(used) == 1:  # there are no others
        return few
    usable = (remote for remote in used if not isinstance(remote.way, Unusable))
    hanging = sum(1 if isinstance(remote.way, LocalPath) else slots(remote) for remote in usable)
    return max(few, min(hanging + 1, JOBS_MOST))
