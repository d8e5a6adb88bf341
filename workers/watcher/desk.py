"""What all parts of the watcher have at hand: one repository, and the means to read and change it.

One per process.  What is opened lazily (git children, the index) is opened by who needs it first.
``reload`` is for a changed configuration; everything else here is read anew when it has changed, or
is never cached.
"""

import contextlib
import math
import os
import time
from enum import IntEnum
from typing import Final, final

from spool.key import Key
from spool.record import make_directory
from workers.abandoned import REF_S, Abandoned
from workers.annex.branch import Branch
from workers.annex.commit import identity
from workers.annex.objects import Objects
from workers.annex.pointer import POINTER_MAX, parse_link, parse_pointer
from workers.annex.repository import Repository, find_with_worktree
from workers.annex.swapping import swapper
from workers.filesystems import Filesystems
from workers.foreign import Others
from workers.git.commit import Commits
from workers.git.conventions import Conventions
from workers.git.index import Identity, Index, read_index, reread
from workers.git.index_compare import differ_in_content
from workers.git.index_entry import LINK, Entry
from workers.git.index_format import UnsupportedIndexError
from workers.git.index_git import flatten
from workers.git.index_install import sweep
from workers.git.objectreader import ObjectReader
from workers.git.refs import Head, Refs
from workers.git.run import DURABLE, Git
from workers.git.settings import Settings
from workers.git.syscalls import sync_file_system
from workers.git.update_refs import UpdateRefs
from workers.ownrefs import PRIVATE
from workers.process import Worker
from workers.trouble import TroubleError
from workers.watcher.casefold import Casefold
from workers.watcher.nameless import Nameless

_ALLOWING: Final = (b"warn", b"ignore", b"updateInstead", b"false", b"no", b"0")
"""Values of receive.denyCurrentBranch with which a push moves the checked-out branch."""
_MESSAGE: Final = "annexd"
"""For the reflog."""


class Rewritten(IntEnum):
    """What somebody else has done to the index."""

    NOT = 0
    FOR_A_LOOK = 1
    """git writes it for a mere look, too: at each, where a file is dated in the future."""
    OTHERWISE = 2
    """Something may be staged now that was not before."""


@final
class Desk:
    """Everything of the repository that the watcher owns, and its tools."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.place = worker.place
        self.git = find_with_worktree(self.place.worktree).git
        self.refs = Refs(self.git)
        self.others = Others(self.place)
        """Users' git and git-annex, which must not fail because of us."""
        gitdirs = {os.fsencode(self.place.gitdir), os.fsencode(self.place.common)}
        self.abandoned = Abandoned({os.fsencode(self.place.worktree), *gitdirs}, gitdirs)
        """What dead gits have left."""
        self.top = os.fsencode(self.place.worktree)
        self.gitdir = os.fsencode(self.place.gitdir)
        self.filesystems = Filesystems(self.top)
        self.reader = ObjectReader(self.git)
        """Reads objects; ``forget`` it if it raises ``StreamEndedError``."""
        self._index: Index | None = None
        self.installed: Identity | None = None
        """The last version of the index that we have installed ourselves."""
        self._rewritten = Rewritten.NOT
        self._tmp = os.fsencode(self.place.tmp)
        self._token = b"%b-%d-%d" % (worker.name.encode(), os.getpid(), time.monotonic_ns())
        self._temporaries = 0
        self.nameless = Nameless()
        """Contents that become objects with the next ``sync``."""
        self._is_begun = False
        self._cleared = -math.inf
        self._has_locks = True
        read = self._read()
        self.commits = Commits(self.git, read[2], PRIVATE, self.sync)
        """One for the whole life of the process: blobs wait in it for their commit, whatever is
        reloaded meanwhile."""
        self._open(*read)

    def clear_up(self) -> None:
        """Remove what killed processes have left: our predecessor, at first; and our own git.

        Raises ``GitError``, for a lock that a dead git has left, too: try again.
        """
        now = time.monotonic()
        if now >= self.clear_due():
            self._cleared, self._has_locks = now, self.abandoned.sweep()
        if not self._is_begun:
            self.commits.start()
            sweep(os.path.join(self.gitdir, b"index"))
            self._remove_temporaries()
            self._is_begun = True

    def _remove_temporaries(self) -> None:
        """Remove the temporary files of workers that had our name before us."""
        with contextlib.suppress(FileNotFoundError), os.scandir(self._tmp) as entries:
            for entry in entries:
                name = entry.name.rpartition(b"-")[0]
                own = name.startswith(self.worker.name.encode() + b"-") and name != self._token
                if own and entry.is_file(follow_symlinks=False):
                    os.unlink(entry.path)

    def suspect_locks(self) -> None:
        """A git has failed: perhaps another one was killed, and its locks have to be looked for."""
        self._has_locks = True

    def clear_due(self) -> float:
        """When ``clear_up`` may have something to do again (monotonic, s)."""
        has_locks = self._has_locks or os.path.lexists(self.gitdir + b"/HEAD.lock")
        return self._cleared + REF_S if has_locks else math.inf

    def reload(self) -> None:
        """Read the configuration again; raises what ``repository.find`` and ``Settings`` do.

        Then everything is as it was before.
        """
        read = self._read()
        self.close()
        self._open(*read)

    def close(self) -> None:
        """End the git processes; the next use starts them again."""
        self.update_refs.close()
        self.commits.close()
        self.branch.close()
        self.forget()

    def forget(self) -> None:
        """End the process that reads objects: one that died, or is not needed for a while."""
        self.reader.close()

    def _read(self) -> tuple[Repository, Settings, Conventions]:
        settings = Settings.read(self.git)
        try:
            conventions = Conventions.of(settings)
        except ValueError as odd:
            raise TroubleError(str(odd)) from odd
        return find_with_worktree(self.place.worktree), settings, conventions

    def _open(self, repository: Repository, settings: Settings, conventions: Conventions) -> None:
        self.repository = repository
        self.settings = settings
        """As ``workers.git`` reads them; ``repository.settings`` are the same for ``annex``."""
        self.conventions = conventions
        self.others.may_be_pushed_to = settings.get("receive.denycurrentbranch") in _ALLOWING
        folds = settings.flag("core.ignorecase") is True
        self.casefold = Casefold(self.top) if folds else None
        """Which names lead to one file; None: each leads to its own."""
        self.objects = Objects(repository)
        self.branch = Branch(repository)
        """The git-annex branch."""
        durable = Git(self.git.gitdir, self.git.worktree, (*self.git.settings, *DURABLE))
        swap = swapper(repository, identity(self.git), _MESSAGE)
        self.update_refs = UpdateRefs(durable, _MESSAGE, swap)
        """Of branches."""

    def index(self) -> Index:
        """The current version of the index.

        A split or sparse one becomes an ordinary one first.  Raises ``UnsupportedIndexError`` if
        that has to wait, ``GitError``, ``ValueError`` for a torn one.
        """
        known = self._index
        try:
            self._index = self._read_index() if known is None else reread(known)
        except UnsupportedIndexError:
            if flatten(self.git, os.path.join(self.gitdir, b"index")) is not None:
                raise
            self._index = self._read_index()
        if self._index is not known:
            is_same = known is not None and not differ_in_content(known, self._index)
            rewritten = Rewritten.FOR_A_LOOK if is_same else Rewritten.OTHERWISE
            self._rewritten = max(self._rewritten, rewritten)
        return self._index

    def take_rewritten(self) -> Rewritten:
        """Whether somebody else has written the index since this was last asked, and what for.

        Also if we have written it since: a hook may stage something in the middle of a commit.
        """
        rewritten, self._rewritten = self._rewritten, Rewritten.NOT
        return rewritten

    def _read_index(self) -> Index:
        return read_index(os.path.join(self.gitdir, b"index"), self.conventions.object_format)

    def adopt(self, index: Index) -> None:
        """We have installed this version of the index ourselves."""
        self._index = index
        self.installed = index.identity

    def head(self) -> Head:
        """HEAD's branch and commit, now."""
        return self.refs.head()

    def key_of(self, entry: Entry) -> Key | None:
        """The key that the index has at a path; None if what it has there is git's, or not here."""
        found = self.reader.get_small(entry.oid.encode(), POINTER_MAX)
        if found is None:
            return None
        return (parse_link if entry.mode == LINK else parse_pointer)(found.data)

    def full(self, path: bytes) -> bytes:
        """The absolute path of a path relative to the work tree; b"" is the work tree itself."""
        return self.top + b"/" + path if path else self.top

    def lstat(self, path: bytes) -> os.stat_result | None:
        """The lstat of a path in the work tree; None if it is not there, or cannot be looked at."""
        try:
            return os.lstat(self.top + b"/" + path)
        except OSError:
            return None

    def temporary(self) -> bytes:
        """An absolute name that nothing has, on the file system of the objects."""
        self._temporaries += 1
        if not os.path.isdir(self._tmp):  # all of annexd/ may be deleted at any time
            make_directory(self.place.tmp)
        return b"%b/%b-%d" % (self._tmp, self._token, self._temporaries)

    def sync(self) -> None:
        """Make durable whatever was written to the repository's file system; then name contents."""
        sync_file_system(os.fsencode(self.place.common))
        self.nameless.name_all(self.objects, self.repository.layout.annex)

    def name_contents(self) -> None:
        """Have no content wait for its name any more."""
        if len(self.nameless):
            self.sync()
