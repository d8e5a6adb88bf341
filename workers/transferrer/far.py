"""A remote that is a path, opened to move contents to it or from it.

What is known of it is kept between batches, but nothing is kept open: a drive can be unmounted
whenever no batch runs.  Before each use, and before anything gets its name or is logged, it is
asked whether it still is the repository that it was: an empty mount point, or another drive at the
same place, has not the same configuration file.

DIAGNOSTICS: ``AwayError`` (nothing there, or another repository); ``repository.RepositoryError``
and ``GitError`` if it is there and cannot be used natively.
"""

import contextlib
import logging
import os
import sqlite3
from collections.abc import Mapping
from typing import final

from spool.daemons import annexd_runs
from spool.key import Key
from workers.abandoned import Abandoned
from workers.annex import repository
from workers.annex.branch import Branch
from workers.annex.failures import FAILURES
from workers.annex.fold import commit_journal
from workers.annex.keysdb import associated_files
from workers.annex.objects import Objects
from workers.annex.remotes import Remote
from workers.annex.remoteurl import LocalPath
from workers.annex.repository import UninitialisedError
from workers.annex.smudge import fill
from workers.git import gitdirs
from workers.git.run import GitError
from workers.git.stream import StreamEndedError
from workers.pointing import read_key

log = logging.getLogger(__name__)

Identity = tuple[int, ...]


class AwayError(Exception):
    """The remote is not there; the text says what is."""


@final
class Far:
    """One path remote."""

    def __init__(self, remote: Remote) -> None:
        """Look for it and read its configuration: a few git processes."""
        if not isinstance(remote.way, LocalPath):
            raise TypeError(f"{remote.name} is not a path")
        gitdir = gitdirs.find(remote.way.path)
        if gitdir is None:
            raise AwayError(f"no repository at {os.fspath(remote.way.path)}")
        self.remote = remote
        try:
            self.repository = repository.find(gitdir)
        except UninitialisedError as no_annex:
            raise AwayError(str(no_annex)) from no_annex
        if self.repository.uuid != remote.uuid:
            raise AwayError(f"another repository, {self.repository.uuid.decode()}")
        self.objects = Objects(self.repository)
        self.branch = Branch(self.repository)
        self._seen = self._look()
        if self._seen is None:
            raise AwayError("it has gone")
        common = os.fsencode(self.repository.common)
        self._abandoned = Abandoned({os.fsencode(self.repository.top), common}, {common})
        # Of a git that was ours, and was killed with us: where no annexd runs nobody else looks.
        self._abandoned.sweep()

    def is_same(self) -> bool:
        """Whether it is there, and nobody has changed its configuration since."""
        return self._seen is not None and self._look() == self._seen

    def fills_itself(self) -> bool:
        """Whether an annexd runs there, which fills the files that want what arrives."""
        return annexd_runs(self.repository.layout.annex)

    def fill(self, arrived: Mapping[Key, bytes | None]) -> None:
        """Fill the pointer files of keys that have come; which files they were sent for.

        git-annex there may not have heard of a file yet that its assistant has just merged, and
        its assistant never looks again.
        """
        if self.repository.bare:
            return
        try:
            files = associated_files(self.repository, arrived)
            for key, sent_for in arrived.items():
                if sent_for and sent_for not in files.get(key, ()) and self._wants(sent_for, key):
                    files.setdefault(key, []).append(sent_for)
            fill(self.repository, ((key, path) for key, paths in files.items() for path in paths))
        except (GitError, OSError, sqlite3.Error) as failure:
            # The contents are there and logged; the next git-annex that looks fills the files.
            log.warning("unfilled %s: %s", self.remote.name, failure)

    def _wants(self, path: bytes, key: Key) -> bool:
        return read_key(os.path.join(os.fsencode(self.repository.top), path)) == key

    def fold(self, now: float) -> None:
        """Commit what the journal there has."""
        try:
            commit_journal(self.branch, now)
        except (*FAILURES, StreamEndedError, OSError) as failure:
            log.debug("unfolded %s: %s", self.remote.name, failure)  # the next git-annex does it
            self._abandoned.sweep()

    def close(self) -> None:
        """Let go of it, so that it can be unmounted."""
        self.branch.close()

    def _look(self) -> Identity | None:
        common = os.fsencode(self.repository.common)
        with contextlib.suppress(OSError):
            config, annex = os.stat(common + b"/config"), os.stat(common + b"/annex")
            own = (config.st_dev, config.st_ino, config.st_size, config.st_mtime_ns)
            return (*own, annex.st_dev, annex.st_ino)
        return None
