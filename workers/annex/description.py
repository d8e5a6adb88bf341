"""The message of commits that are made in a work tree.

Pure.  A description comes from a peer: bytes, not for a terminal.
"""

from spool.transfer import UUID
from workers.annex.uuidlogs import descriptions


def commit_message(uuid_log: bytes, uuid: UUID) -> bytes:
    """What git-annex would write: which repository it was, as ``uuid.log`` calls it."""
    return b"git-annex in " + (descriptions(uuid_log).get(uuid) or uuid)
