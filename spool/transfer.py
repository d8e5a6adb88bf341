"""What a transfer is: one key, one direction, one other repository."""

import re
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from typing import NewType, final

from spool import key as keys
from spool.key import Key

UUID = NewType("UUID", bytes)
"""The identity of a repository.  Made only by ``parse_uuid``."""

LOCK_PREFIX = b"lck."
"""What git-annex's lock files begin with; the rest is the key's file name (Logs/Transfer.hs)."""

_UUID = re.compile(rb"(?![.-])[!-.0-~]{1,128}")  # printable ASCII, no blank, no slash


class Direction(StrEnum):
    """Seen from the repository whose spool it is; the values are git-annex's directory names."""

    UPLOAD = "upload"
    DOWNLOAD = "download"

    @property
    def queue_name(self) -> bytes:
        """The directory of waiting transfers.

        Not ``upload`` and ``download``: the assistant takes any path that ends in
        ``{upload,download}/X/KEY``, anywhere below ``transfer``, for a running transfer.
        """
        return b"to" if self is Direction.UPLOAD else b"from"

    @property
    def annex_name(self) -> bytes:
        """The directory of running transfers, git-annex's."""
        return b"upload" if self is Direction.UPLOAD else b"download"


class Outcome(Enum):
    """How an attempt ended."""

    DONE = auto()
    """The content is there, durably, and the location log says so."""
    TEMPFAIL = auto()
    """Not now.  The job is put off."""
    PERMFAIL = auto()
    """Not until something changes.  The job leaves the queue for ``failed``."""


@final
@dataclass(frozen=True, slots=True)
class Lane:
    """All transfers in one direction with one repository: a directory of jobs."""

    direction: Direction
    uuid: UUID

    def __str__(self) -> str:
        return f"{self.direction.queue_name.decode()}/{self.uuid.decode()}"


@final
@dataclass(frozen=True, slots=True)
class Transfer:
    """Enough to identify a transfer; what is known about it is its ``Info``."""

    direction: Direction
    uuid: UUID
    key: Key

    @property
    def lane(self) -> Lane:
        """The transfers of which this is one."""
        return Lane(self.direction, self.uuid)

    def __str__(self) -> str:
        return f"{self.lane}/{self.key!r}"


def parse_uuid(data: bytes) -> UUID:
    """A repository's uuid from an untrusted source; ``ValueError`` if it is not fit for a path.

    git-annex takes any word for a uuid, so this is about safety and not about RFC 9562.  ``lck`` is
    not one: ``download/lck`` is where git-annex keeps the locks of downloads.
    """
    if _UUID.fullmatch(data) is None or data == b"lck":
        raise ValueError(f"not a uuid: {data[:128]!r}")
    return UUID(data)


def to_name(key: Key) -> bytes:
    """The key's file name in the spool; ``ValueError`` if it cannot be transferred.

    git-annex cannot transfer a key if ``lck.`` and its file name are longer than a name may be; and
    a key that begins with ``lck.`` has an info file that another key has as its lock.
    """
    name = keys.to_file(key)
    _check(name)
    return name


def from_name(name: bytes) -> Key:
    """The key of a file in the spool; ``ValueError`` if no transfer has that name."""
    _check(name)
    return keys.from_file(name)


def _check(name: bytes) -> None:
    if name.startswith(LOCK_PREFIX) or len(name) > keys.FILE_MAX_BYTES - len(LOCK_PREFIX):
        raise ValueError(f"cannot be transferred: {name[: keys.FILE_MAX_BYTES]!r}")
