"""Where a repository keeps annexd's own state, each path spelled once.

docs/ARCHITECTURE.md has the table: who writes what.  All of it may be deleted at any time.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import final

from spool.layout import Layout


@final
@dataclass(frozen=True, slots=True)
class Place:
    """A repository, by its absolute paths."""

    worktree: Path
    gitdir: Path
    """Of this work tree: HEAD and the index are there."""

    common: Path
    """The git dir that all linked work trees share, mostly the same: it has refs and ``annex``."""

    def has_linked(self) -> bool:
        """Whether there are several work trees, of which a daemon may be in another."""
        return self.gitdir != self.common or (self.common / "worktrees").exists()

    @property
    def annex(self) -> Path:
        """git-annex's directory."""
        return self.common / "annex"

    @property
    def layout(self) -> Layout:
        """The paths of the spool, and of git-annex."""
        return Layout(os.fsencode(self.annex))

    @property
    def annexd(self) -> Path:
        """Our own directory; mode 0700."""
        return self.annex / "annexd"

    @property
    def lock(self) -> Path:
        """Held while annexd, and not the assistant, runs here."""
        return self.annexd / "lock"

    @property
    def log(self) -> Path:
        """The log; the generation before it is ``log.1``."""
        return self.annexd / "log"

    @property
    def supervisor(self) -> Path:
        """What the supervisor says of its workers."""
        return self.annexd / "supervisor"

    @property
    def state(self) -> Path:
        """What each role says of itself (``spool.state``)."""
        return self.annexd / "state"

    @property
    def died(self) -> Path:
        """Why each worker died last, if it crashed."""
        return self.annexd / "died"

    @property
    def poke(self) -> Path:
        """Requests to look again (``spool.poke``)."""
        return self.annexd / "poke"

    @property
    def look(self) -> Path:
        """A person says: look at all files, also where the kernel has told of nothing."""
        return self.annexd / "look"

    @property
    def rest(self) -> Path:
        """Which workers may rest (``spool.rest``)."""
        return self.annexd / "rest"

    @property
    def remotes(self) -> Path:
        """What is known of each remote (``spool.remotes``)."""
        return self.annexd / "remotes"

    @property
    def cache(self) -> Path:
        """What roles have worked out and can work out again."""
        return self.annexd / "cache"

    @property
    def tmp(self) -> Path:
        """Unfinished files, on the objects' file system; emptied at start."""
        return self.annexd / "tmp"

    @property
    def adjusting(self) -> Path:
        """What git is making of the work tree of an adjusted branch (``workers.watcher.torn``)."""
        return self.annexd / "adjusting"

    @property
    def merging(self) -> Path:
        """Files of a merge are being changed (``workers.watcher.apply``): it goes on first."""
        return self.annexd / "merging"

    @property
    def hold(self) -> Path:
        """No automatic commits while it stands: expiry (Unix s), then a pid."""
        return self.annexd / "hold"

    @property
    def accept(self) -> Path:
        """A person says: commit the many deletions you are holding back."""
        return self.annexd / "accept"
