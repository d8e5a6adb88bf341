"""A git-annex repository found by its path: where it is, what it is, and what it allows.

The same for our own repository and for a remote reached by its path, with a work tree or bare.
Nothing here is cached: a caller that keeps a ``Repository`` reads it again when the
configuration may have changed.

DIAGNOSTICS, each a ``RepositoryError`` whose message says what to do:
``NotARepositoryError``; ``BareRepositoryError`` (only from ``find_with_worktree``);
``UninitialisedError`` (git, but no annex); ``UnsupportedRepositoryError`` (another version of the
format, or ``annex.pidlock``); ``NoPermissionError``.
"""

import contextlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import final

from spool.layout import Layout
from spool.transfer import UUID, parse_uuid
from workers.annex.hashdirs import Tuning
from workers.annex.settings import Settings
from workers.annex.sharing import Sharing
from workers.git.objectid import ObjectFormat
from workers.git.run import Git, GitError, run

VERSION = 10
"""The repository version whose formats and locks these packages speak."""


class RepositoryError(Exception):
    """A repository that cannot be used as it is; the message says which, and what to do."""


class NotARepositoryError(RepositoryError):
    """There is no git repository at that path."""


class BareRepositoryError(RepositoryError):
    """A repository without a work tree, where one is needed."""


class UninitialisedError(RepositoryError):
    """A git repository in which ``git annex init`` has not been run."""


class UnsupportedRepositoryError(RepositoryError):
    """Its format or its way of locking is not ours."""


class NoPermissionError(RepositoryError):
    """We may not write there, or git refuses because of who owns it."""


@final
@dataclass(frozen=True, slots=True)
class Repository:
    """Where a git-annex repository is, and what it is."""

    git: Git
    """Its git dir (of this work tree) and work tree."""

    common: Path
    """The git dir that all linked work trees share: refs and objects of git are there."""

    uuid: UUID
    settings: Settings
    sharing: Sharing
    tuning: Tuning

    object_format: ObjectFormat

    crippled: bool
    """On a file system without modes and links (``annex.crippledfilesystem``)."""

    symlinks: bool
    """``core.symlinks``: whether links in the index are links in the work tree."""

    @property
    def bare(self) -> bool:
        """Whether there is no work tree."""
        return self.git.worktree is None

    @property
    def layout(self) -> Layout:
        """The paths below ``.git/annex``, which linked work trees share too."""
        return Layout.of(os.fsencode(self.common))

    @property
    def top(self) -> Path:
        """Where programs are run: the top of the work tree, or the git dir of a bare one."""
        return self.git.worktree or self.git.gitdir

    @property
    def linked(self) -> bool:
        """Whether this is a work tree of a repository that is elsewhere."""
        return self.common != self.git.gitdir

    def hook(self, name: str) -> Path | None:
        """A git-annex hook (``freezecontent-annex``…) that would be run; None if there is none."""
        configured = self.settings.get("core.hookspath")
        directory = (
            self.common / "hooks"
            if configured is None
            else self.top / os.path.expanduser(configured)
        )
        path = directory / name
        return path if os.access(path, os.X_OK) else None


def find(path: Path) -> Repository:
    """The initialised repository that ``path`` is in, or is."""
    path = path.absolute()
    git, common = _located(path)
    settings = Settings.read(git)
    _check(settings, common, shown=os.fsdecode(path))
    return Repository(
        git=git,
        common=common,
        uuid=parse_uuid(os.fsencode(settings.get("annex.uuid") or "")),
        settings=settings,
        sharing=Sharing.parse(settings.get("core.sharedrepository")),
        tuning=Tuning(
            one_level_objects=settings.flag("annex.tune.objecthash1", default=False),
            lower_objects=settings.flag("annex.tune.objecthashlower", default=False),
            one_level_logs=settings.flag("annex.tune.branchhash1", default=False),
        ),
        object_format=ObjectFormat.of(settings.get("extensions.objectformat")),
        crippled=settings.flag("annex.crippledfilesystem", default=False),
        symlinks=settings.flag("core.symlinks", default=True),
    )


def find_with_worktree(path: Path) -> Repository:
    """As ``find``; a bare repository raises ``BareRepositoryError``."""
    repository = find(path)
    if repository.bare:
        raise BareRepositoryError(
            f"{path}: a bare repository has no files to watch; run annexd in a clone of it"
        )
    return repository


def _located(path: Path) -> tuple[Git, Path]:
    """The git dir and work tree that ``path`` is in, and the git dir that all of its share."""
    # Asked in its work tree, git tells of both; in a git dir, only of that.
    asked = path.parent if path.name == ".git" else path
    with contextlib.suppress(NotARepositoryError):
        bare, gitdir, common, top = _asked_all(asked)
        if asked is path or os.path.samefile(gitdir, path):
            if bare:
                return Git(gitdir, None), common
            if top is not None and _leads_to(top, gitdir):
                return Git(gitdir, top), common
    gitdir = _gitdir(path)
    common = Path(os.fsdecode(_ask(path, "--path-format=absolute", "--git-common-dir")))
    bare = _ask(path, "--is-bare-repository") == b"true"
    return Git(gitdir, None if bare else _worktree(path, gitdir)), common


def _asked_all(path: Path) -> tuple[bool, Path, Path, Path | None]:
    """The answers of one git: bare, git dir, common git dir, top of the work tree.

    Raises ``NotARepositoryError`` also if they cannot be told apart.
    """
    questions = ("--is-bare-repository", "--absolute-git-dir", "--git-common-dir")
    argv = ("git", "-C", os.fspath(path), "rev-parse", "--path-format=absolute", *questions)
    try:
        said = run((*argv, "--show-toplevel"), cwd=Path("/"))
    except GitError as failure:
        said = failure.stdout  # in a git dir the last question has no answer
    lines = said.split(b"\n")[:-1]
    if len(lines) not in {len(questions), len(questions) + 1}:
        raise NotARepositoryError(f"{path}: no repository, or one whose path has more than a line")
    bare, gitdir, common, *top = lines
    return (
        bare == b"true",
        Path(os.fsdecode(gitdir)),
        Path(os.fsdecode(common)),
        Path(os.fsdecode(top[0])) if top else None,
    )


def _leads_to(top: Path, gitdir: Path) -> bool:
    """Whether git, asked at ``top``, finds that git dir there."""
    dotgit = top / ".git"
    if dotgit.is_dir():
        return os.path.samefile(dotgit, gitdir)
    return _gitdir(top) == gitdir


def _ask(path: Path, *args: str) -> bytes:
    try:
        return run(("git", "-C", os.fspath(path), "rev-parse", *args), cwd=Path("/"))[:-1]
    except GitError as failure:
        if b"dubious ownership" in failure.stderr:
            raise NoPermissionError(
                f"{path}: belongs to another user; run annexd as that user, "
                "or see safe.directory in git-config(1)"
            ) from failure
        if b"Permission denied" in failure.stderr:
            raise NoPermissionError(f"{path}: permission denied") from failure
        raise NotARepositoryError(f"{path}: not a git repository ({failure})") from failure


def _worktree(path: Path, gitdir: Path) -> Path:
    """The top of the work tree that ``path`` is in; ``path`` may also be its git dir."""
    for inside in (path, gitdir.parent):
        with contextlib.suppress(NotARepositoryError):  # asked inside a git dir, git refuses
            top = Path(os.fsdecode(_ask(inside, "--show-toplevel")))
            if _gitdir(top) == gitdir:
                return top
    elsewhere = configured_worktree(gitdir)
    if elsewhere is not None:
        raise NotARepositoryError(f"{path}: {elsewhere}")
    raise NotARepositoryError(f"{path}: neither in a work tree nor a bare repository")


def configured_worktree(gitdir: Path) -> str | None:
    """What to say where ``core.worktree`` is all that leads from a git dir to its files."""
    argv = ("git", "config", "--file", os.fspath(gitdir / "config"), "core.worktree")
    try:
        said = run(argv, cwd=Path("/")).removesuffix(b"\n")
    except (GitError, OSError):
        return None
    top = Path(os.path.normpath(gitdir / os.fsdecode(said)))
    return (
        f"its files are in {os.fspath(top)!r} (core.worktree), where nothing leads back; "
        f"write into {os.fspath(top / '.git')!r}: gitdir: {gitdir}"
    )


def _gitdir(path: Path) -> Path:
    return Path(os.fsdecode(_ask(path, "--absolute-git-dir")))


def _to_version(found: str | None) -> str:
    """What a person is to do about a version of the repository that is not ours."""
    number = int(found) if found and re.fullmatch("[0-9]{1,9}", found) else 0
    if number > VERSION:
        return "a newer annexd may know it"
    if number == 0:
        return "run `git annex upgrade` there"
    # From 9 to 10 git-annex goes only a year later, unless it is told to.
    return (
        "run `git annex upgrade --force` there, while no git-annex from before 2022 is at work in "
        "it (without --force it stays at 9 for a year)"
    )


def _check(settings: Settings, common: Path, shown: str) -> None:
    uuid = settings.get("annex.uuid")
    if not uuid:
        raise UninitialisedError(f"{shown}: run `git annex init` there first")
    try:
        parse_uuid(os.fsencode(uuid))
    except ValueError as wrong:
        raise UninitialisedError(f"{shown}: annex.uuid in its configuration: {wrong}") from wrong
    version = settings.get("annex.version")
    if version != str(VERSION):
        raise UnsupportedRepositoryError(
            f"{shown}: repository version {version}, not {VERSION}; {_to_version(version)}"
        )
    if settings.flag("annex.pidlock", default=False):
        raise UnsupportedRepositoryError(
            f"{shown}: annex.pidlock is set, and a pid lock cannot be shared with annexd; if the "
            "file system has record locks, run `git config --unset annex.pidlock` there"
        )
    for directory in (common, common / "annex", common / "refs" / "heads"):
        if directory.is_dir() and not os.access(directory, os.W_OK | os.X_OK):
            raise NoPermissionError(f"{directory}: not writable")
