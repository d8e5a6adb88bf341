"""The remotes that are configured now; told when a configuration file changes.

Each file is watched itself, not its directory, where every command of git's would wake us.  git
replaces a file by renaming: the old one then says that it has lost its name.  Editors do not: while
one writes, half of the file is there.  So that remotes are gone is believed when it stays so.
"""

import logging
import math
import os
import time
from pathlib import Path
from typing import Final, final

from spool.place import Place
from workers.annex.remotes import Remote, builtin, parse
from workers.annex.settings import Settings
from workers.git import settings as git_settings
from workers.git.run import Git, GitError
from workers.sentry.trail import TEXT
from workers.wakeup import Wakeup

log = logging.getLogger(__name__)

CONFIRM_S: Final = 1.0
"""How long remotes must have been gone."""

RETRY_S: Final = 20.0
"""After git could not read it."""


@final
class Configured:
    """What git's configuration says of remotes."""

    def __init__(self, place: Place, wakeup: Wakeup) -> None:
        self._place = place
        self._wakeup = wakeup
        self._files = {place.common / "config"}
        self.remotes: dict[str, Remote] = {}
        """By name; those that git-annex has without configuration are left out."""

        self.names: frozenset[str] | None = None
        """Every name that has any setting, a usable remote or not; None before the first read."""

        self.window = ""
        """``annexd.transfer-window``."""

        self._doubted_at = math.inf
        """When remotes were first seen to be gone (monotonic clock)."""

    def read(self) -> float:
        """Read it; returns how long it may be kept, if nothing is told of it (s).

        If git cannot read it, what was known holds on.
        """
        try:
            found = self._found()
        except (GitError, OSError) as failure:  # a process, too, may be lacking
            log.warning("skip the configuration: %s", failure)
            return RETRY_S
        self.window = os.fsdecode(found.get("annexd.transfer-window") or b"")
        now = time.monotonic()
        names = frozenset(os.fsdecode(name) for name in found.subsections("remote"))
        if self.names is not None and not self.names <= names:
            self._doubted_at = min(self._doubted_at, now)
            if now < self._doubted_at + CONFIRM_S:
                return CONFIRM_S
        self._doubted_at = math.inf
        self.names = names
        self._take(found)
        return math.inf

    def _found(self) -> git_settings.Settings:
        while True:
            self._watch()
            found = git_settings.Settings.read(Git(self._place.gitdir, self._place.worktree))
            if self._files.issuperset(found.files):
                return found
            # A file that is included was not yet watched while it was read.
            self._files |= set(found.files)

    def _watch(self) -> None:
        for file in self._files:
            # What is replaced, or no longer included, ends its watch by itself.
            self._wakeup.watch(os.fsencode(file), TEXT)

    def _take(self, found: git_settings.Settings) -> None:
        values = {
            os.fsdecode(name): tuple(
                "true" if each.value is None else os.fsdecode(each.value) for each in settings
            )
            for name, settings in found.values.items()
        }
        top, home = self._place.worktree, Path(os.path.expanduser("~"))
        unconfigured = builtin()
        # What a special remote's kind is does not matter here, so none is described.
        self.remotes = {
            remote.name: remote
            for remote in parse(Settings(values), {}, top=top, home=home)
            if remote not in unconfigured
        }
