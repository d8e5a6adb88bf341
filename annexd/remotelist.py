"""The remotes of a repository, as git's configuration names them."""

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from spool.place import Place
from spool.state import BEHIND, read_state
from workers.git.run import Git, GitError
from workers.git.settings import Settings

READ_S: Final = 5.0
"""How long what was read is believed, if the files are still the same: ``annexd wait`` looks
whenever anything has changed.  A configuration file that is new is noticed after that."""


@final
@dataclass(frozen=True, slots=True)
class Remote:
    """A way to reach another repository."""

    name: bytes
    uuid: bytes
    """Empty while git-annex has not found out, or when it is none of its repositories."""

    url: bytes
    """Empty for most special remotes."""

    gateway: bytes = b""
    """The name of the remote through which it is reached, if it is through one."""

    @property
    def reached_as(self) -> bytes:
        """The name of the remote that must be there for this one to be."""
        return self.gateway or self.name


@final
@dataclass(frozen=True, slots=True)
class _Read:
    remotes: tuple[Remote, ...]
    files: dict[Path, object]
    """Each with what changes when somebody writes it."""
    until: float
    """Of the monotonic clock, s."""


_last: dict[Path, _Read] = {}


def list_remotes(place: Place) -> tuple[Remote, ...]:
    """Every remote, by name, then those that are reached through one of them.

    There are none if git is missing, or cannot read its configuration.
    """
    configured = _configured(place)
    return (*configured, *_behind(place, configured))


def _behind(place: Place, configured: Iterable[Remote]) -> Iterator[Remote]:
    """Remotes behind remotes, by the word of the scanner, which has read the git-annex branch."""
    state = read_state(place.state, "scanner")
    for note in () if state is None else state.notes:
        uuid, _, name = os.fsencode(note[1]).partition(b" ")
        through = [remote.name for remote in configured if name.startswith(remote.name + b"-")]
        if note[0] == BEHIND and through:
            yield Remote(name, uuid, b"", max(through, key=len))


def _configured(place: Place) -> tuple[Remote, ...]:
    known = _last.get(place.gitdir)
    if known and time.monotonic() < known.until and known.files == _stamps(known.files):
        return known.remotes
    before = time.monotonic()
    stamps = _stamps((place.common / "config",))
    try:
        settings = Settings.read(Git(place.gitdir, place.worktree))
    except (GitError, FileNotFoundError):
        return ()
    # Of the repository's own file as it was before it was read: others are written seldom.
    files = _stamps(settings.files) | stamps
    _last[place.gitdir] = _Read(_remotes(settings), files, before + READ_S)
    return _last[place.gitdir].remotes


def _stamps(files: Iterable[Path]) -> dict[Path, object]:
    return {file: _stamp(file) for file in files}


def _stamp(file: Path) -> object:
    try:
        status = os.stat(file)
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _remotes(settings: Settings) -> tuple[Remote, ...]:
    return tuple(
        Remote(
            name,
            settings.get(b"remote.%s.annex-uuid" % name) or b"",
            settings.get(b"remote.%s.url" % name) or b"",
        )
        for name in sorted(settings.subsections("remote"))
    )
