"""Which repository a command is about: the one that a directory is in.

Looked up here rather than by git, as most commands only read files and are to answer at once, also
where git is missing; whether annexd can work there is ``annexd.admission``'s question.
"""

import os
from pathlib import Path

from annexd.errors import AnnexdError
from spool.place import Place
from workers.annex.repository import configured_worktree, find_with_worktree
from workers.git.gitdirs import common_dir


class NotARepositoryError(AnnexdError):
    """There is no repository with a work tree here."""


class UnreadableError(NotARepositoryError):
    """Whether there is one cannot be told."""


def find_place(directory: Path | None = None) -> Place:
    """The repository whose work tree ``directory`` (else: where we stand) is in."""
    try:
        start = Path(os.path.realpath(directory or Path()))
    except FileNotFoundError:
        raise NotARepositoryError(
            "the directory you stand in has been removed; go to another one"
        ) from None
    try:
        start.stat()
        found = next((at for at in (start, *start.parents) if _is_repository(at)), None)
    except OSError as failure:
        raise UnreadableError(f"cannot look into {str(start)!r}: {failure.strerror}") from None
    if found is None:
        raise NotARepositoryError(
            f"{str(start)!r} is not in a git repository; go to one, or make one: "
            "git init && git annex init"
        )
    if found.name == ".git":
        raise NotARepositoryError(
            f"{str(start)!r} is not in a work tree; go up: {str(found.parent)!r}"
        )
    if not os.path.lexists(found / ".git"):
        elsewhere = configured_worktree(found)
        if elsewhere is not None:
            raise NotARepositoryError(f"{str(found)!r}: {elsewhere}")
        raise NotARepositoryError(
            f"{str(found)!r} is a bare repository; annexd needs a work tree: run it in a clone"
        )
    gitdir = _gitdir(found / ".git")
    return Place(found, gitdir, common_dir(gitdir))


def find_annex(directory: Path | None = None) -> Place:
    """The same, where it is used with git-annex."""
    place = find_place(directory)
    if not place.annex.is_dir():
        raise NotARepositoryError(
            f"{os.fspath(place.worktree)!r} is not used with git-annex; run there: git annex init"
        )
    if os.geteuid() == 0 and place.annex.stat().st_uid != 0:
        # Nothing keeps root from making files that the owner cannot change; git has a rule.
        find_with_worktree(place.worktree)
    return place


def _is_repository(directory: Path) -> bool:
    """Whether this is the top of a work tree, or a bare repository (or the inside of a .git)."""
    return (directory / ".git").exists() or _is_gitdir(directory)


def _is_gitdir(directory: Path) -> bool:
    return all((directory / name).exists() for name in ("HEAD", "objects", "refs"))


def _gitdir(dotgit: Path) -> Path:
    """Where ``.git`` leads: itself, a link, or a file that names it (gitrepository-layout(5))."""
    if dotgit.is_dir():
        return Path(os.path.realpath(dotgit))
    text = dotgit.read_bytes()
    if not text.startswith(b"gitdir: "):
        raise NotARepositoryError(f"{str(dotgit)!r} is neither a directory nor names one")
    target = os.fsdecode(text.removeprefix(b"gitdir: ").rstrip(b"\n"))
    return Path(os.path.realpath(dotgit.parent / target))
