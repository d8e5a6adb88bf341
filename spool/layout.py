"""Every path below ``.git/annex`` that annexd uses, spelled once.

All but annexd's own directory, which is ``spool.place``'s.

Paths are bytes.  The methods take parsed values only, so no path is built from a name that a peer
chose.  A tuple of names is a directory below ``annex`` that is to be opened step by step, with no
symlink followed on the way (``spool.directory``); that is how the spool itself is reached.
"""

from dataclasses import dataclass
from typing import Self, final

from spool import key as keys
from spool.key import Key
from spool.transfer import LOCK_PREFIX, Direction, Lane, Transfer, to_name

QUEUE = (b"transfer", b"queue")
QUEUE_TMP = (b"transfer", b"queue", b"tmp")
"""Where every file of the spool is written before it is linked or renamed into place."""
CORRUPT = (b"transfer", b"corrupt")
HOLD = (b"transfer", b"hold")
HOLD_REMOTE = (b"transfer", b"hold", b"remote")
LIMIT = (b"transfer", b"limit")
LIMIT_REMOTE = (b"transfer", b"limit", b"remote")
LIMIT_SPENT = (b"transfer", b"limit", b"spent")
DOWNLOAD_LOCKS = (b"transfer", b"download", b"lck")
"""The first lock of a download, whichever remote it comes from (git-annex since 10.20240227)."""


def queue_lanes(direction: Direction) -> tuple[bytes, ...]:
    """The directory that has a directory of waiting jobs per uuid."""
    return (b"transfer", b"queue", direction.queue_name)


def queue_lane(lane: Lane) -> tuple[bytes, ...]:
    """Waiting jobs of one lane."""
    return (b"transfer", b"queue", lane.direction.queue_name, lane.uuid)


def running_lanes(direction: Direction) -> tuple[bytes, ...]:
    """git-annex's directory that has a directory of running transfers per uuid."""
    return (b"transfer", direction.annex_name)


def running_lane(lane: Lane) -> tuple[bytes, ...]:
    """Info and lock files of running transfers of one lane, git-annex's."""
    return (b"transfer", lane.direction.annex_name, lane.uuid)


def failed_lanes(direction: Direction) -> tuple[bytes, ...]:
    """git-annex's directory that has a directory of failed transfers per uuid."""
    return (b"transfer", b"failed", direction.annex_name)


def failed_lane(lane: Lane) -> tuple[bytes, ...]:
    """Info files of failed transfers of one lane, git-annex's."""
    return (b"transfer", b"failed", lane.direction.annex_name, lane.uuid)


def lock_dirs(lane: Lane) -> tuple[tuple[bytes, ...], ...]:
    """Where the locks of a running transfer are, in git-annex's order; each named ``lck.KEYFILE``.

    The second one of a download is for git-annex before 10.20240227 (Debian 12 has 10.20230126),
    which knows no other.
    """
    own = running_lane(lane)
    return (own,) if lane.direction is Direction.UPLOAD else (DOWNLOAD_LOCKS, own)


@final
@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of one repository, made from its annex directory (``.git/annex``)."""

    annex: bytes

    @classmethod
    def of(cls, git_dir: bytes) -> Self:
        """The layout of the repository with this git directory (``.git``, or a bare one)."""
        return cls(git_dir + b"/annex")

    def below(self, names: tuple[bytes, ...]) -> bytes:
        """The path of a directory that one of the functions above names."""
        return b"/".join((self.annex, *names))

    # The spool, for people, watches and messages; the code that changes it opens step by step.

    @property
    def transfer(self) -> bytes:
        """The spool."""
        return self.annex + b"/transfer"

    def job(self, transfer: Transfer) -> bytes:
        """The file of a waiting transfer."""
        return self.below((*queue_lane(transfer.lane), to_name(transfer.key)))

    def info(self, transfer: Transfer) -> bytes:
        """The info file of a running transfer."""
        return self.below((*running_lane(transfer.lane), to_name(transfer.key)))

    def locks(self, transfer: Transfer) -> tuple[bytes, ...]:
        """The lock files of a running transfer, in the order in which they are taken."""
        name = LOCK_PREFIX + to_name(transfer.key)
        return tuple(self.below((*names, name)) for names in lock_dirs(transfer.lane))

    def failed(self, transfer: Transfer) -> bytes:
        """The file of a failed transfer."""
        return self.below((*failed_lane(transfer.lane), to_name(transfer.key)))

    # Contents

    @property
    def objects(self) -> bytes:
        """Contents, in hashed directories."""
        return self.annex + b"/objects"

    @property
    def tmp(self) -> bytes:
        """Contents that are still arriving."""
        return self.annex + b"/tmp"

    def tmp_object(self, key: Key) -> bytes:
        """The part of a content that has arrived; its size is where to resume."""
        return self.annex + b"/tmp/" + keys.to_file(key)

    # The git-annex branch

    @property
    def journal(self) -> bytes:
        """Log files that are newer than the git-annex branch.  No temporary file belongs here."""
        return self.annex + b"/journal"

    @property
    def journal_private(self) -> bytes:
        """Log lines that are never committed (``annex.private``)."""
        return self.annex + b"/journal-private"

    @property
    def journal_lock(self) -> bytes:
        """Exclusive, for any change of the journal or the git-annex branch."""
        return self.annex + b"/journal.lck"

    @property
    def branch_index(self) -> bytes:
        """The git index of the git-annex branch."""
        return self.annex + b"/index"

    @property
    def branch_index_tip(self) -> bytes:
        """``index.lck``: not a lock, but the commit that ``branch_index`` has."""
        return self.annex + b"/index.lck"

    @property
    def ignored_refs(self) -> bytes:
        """Commits that must not be merged into the git-annex branch."""
        return self.annex + b"/ignoredrefs"

    # git-annex's other files

    @property
    def othertmp(self) -> bytes:
        """Temporary files of any git-annex process that holds ``othertmp_lock``."""
        return self.annex + b"/othertmp"

    @property
    def othertmp_lock(self) -> bytes:
        """Shared, while ``othertmp`` is used: who gets it exclusively empties that directory."""
        return self.annex + b"/othertmp.lck"

    @property
    def smudge_log(self) -> bytes:
        """``KEY PATH`` lines: pointer files that ``git annex smudge --update`` is to fill in."""
        return self.annex + b"/smudge.log"

    @property
    def smudge_lock(self) -> bytes:
        """Exclusive, to append to or consume ``smudge_log``."""
        return self.annex + b"/smudge.lck"

    @property
    def adjust_log(self) -> bytes:
        """How much has come or gone since the adjusted branch was made anew."""
        return self.annex + b"/adjust.log"

    @property
    def adjust_lock(self) -> bytes:
        """Exclusive, to write ``adjust_log``."""
        return self.annex + b"/adjust.lck"

    @property
    def keysdb(self) -> bytes:
        """SQLite: associated files and inode caches."""
        return self.annex + b"/keysdb/db"

    @property
    def daemon_pid(self) -> bytes:
        """Exclusive, for the life of an assistant or of annexd; its text is the pid."""
        return self.annex + b"/daemon.pid"

    @property
    def daemon_log(self) -> bytes:
        """Where users look for the assistant's log."""
        return self.annex + b"/daemon.log"
