"""A repository that is reached by its path: what kind it is, and who runs there.

Read by looking, without anything being made or run there but ``git config --list``.
"""

import contextlib
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from spool.daemons import annexd_runs, daemon_runs
from spool.transfer import UUID, parse_uuid
from workers.annex import stockhooks
from workers.annex.settings import Settings
from workers.distant import is_distant
from workers.git import gitdirs
from workers.git.exchange import NO_HOOKS, NO_HOOKS_NO_GC, RECEIVE
from workers.git.gitdirs import common_dir
from workers.git.objectid import ObjectFormat
from workers.git.pruning import guarded
from workers.git.run import Git
from workers.pusher.plain import is_plain

DISTANT_S: Final = 60.0
"""How often a repository is looked at that other machines may change."""


@final
@dataclass(frozen=True, slots=True)
class Peer:
    """What is at a path."""

    gitdir: Path
    common: Path
    uuid: UUID | None
    bare: bool
    hookless: bool
    """Whether a push runs no hook there but git-annex's own."""
    update_instead: bool
    """``receive.denyCurrentBranch``: a push into the checked-out branch changes the files too."""
    knows_us: bool
    """Whether we are a remote of it, so that it will push to us."""
    plain: bool
    """Whether a push or fetch needs nothing there but objects and refs."""
    object_format: ObjectFormat
    distant: bool
    """Whether other machines may change it unheard (``workers.distant``)."""

    def receive_pack(self) -> str:
        """What a push is to run there."""
        command = RECEIVE
        if self.hookless:
            command = NO_HOOKS_NO_GC if self.has_annexd() else NO_HOOKS
        for guard in guarded(self.common, "receive.unpackLimit"):
            command = command.replace("git ", f"git -c {guard} ", 1)
        return command

    def unheard_at(self, now: float) -> float:
        """When there may be news that nobody here was told of; ``now`` is any clock's, s."""
        return now + DISTANT_S if self.distant else math.inf

    def is_tended(self) -> bool:
        """Whether annexd, or the assistant, runs there now."""
        return daemon_runs(self._annex)

    def tells_us(self) -> bool:
        """Whether annexd there brings us its news."""
        return self.knows_us and self.has_annexd()

    def has_annexd(self) -> bool:
        """Whether annexd runs there now."""
        return annexd_runs(self._annex)

    @property
    def _annex(self) -> bytes:
        return os.fsencode(self.common) + b"/annex"


Signature = tuple[object, ...]


def signature(path: Path) -> Signature | None:
    """What changes when a repository there is another one, or is configured anew.

    None if there is none.
    """
    gitdir = gitdirs.find(path)
    if gitdir is None:
        return None
    try:
        common = common_dir(gitdir)
        seen = [os.fsencode(gitdir)]
        stats = [os.stat(gitdir), os.stat(common / "config")]
        with contextlib.suppress(FileNotFoundError):
            stats.append(os.stat(common / "hooks"))
    except OSError:
        return None
    return (*seen, *((stat.st_dev, stat.st_ino, stat.st_mtime_ns) for stat in stats[1:]))


def look(path: Path, here: Path) -> Peer | None:
    """Look at a path; None if no repository is there.  ``here`` is our own common git dir.

    Raises ``GitError`` if git will not work with it, ``ValueError`` if its uuid is none, or
    its objects are named by a hash that nobody here knows, ``OSError`` if it has just gone.
    """
    gitdir = gitdirs.find(path)
    if gitdir is None:
        return None
    common = common_dir(gitdir)
    settings = Settings.read(Git(gitdir, None))
    uuid = settings.get("annex.uuid")
    bare = settings.flag("core.bare", default=False)
    return Peer(
        gitdir=gitdir,
        common=common,
        uuid=parse_uuid(os.fsencode(uuid)) if uuid else None,
        bare=bare,
        hookless=stockhooks.has_nothing_to_say(settings, common),
        update_instead=stockhooks.updates_instead(settings),
        knows_us=_knows(settings, path if bare else gitdir.parent, here),
        plain=is_plain(settings, common),
        object_format=ObjectFormat.of(settings.get("extensions.objectformat")),
        distant=is_distant(common.stat()),
    )


def _knows(settings: Settings, top: Path, here: Path) -> bool:
    for name, value in settings.below("remote"):
        if name.endswith(".url") and ":" not in value.partition("/")[0]:
            found = gitdirs.find(Path(os.path.normpath(top / value)))
            with contextlib.suppress(OSError):
                if found is not None and os.path.samefile(common_dir(found), here):
                    return True
    return False
