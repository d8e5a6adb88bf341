"""What repositories are called: ``uuid.log``, and the message of commits made in them.

Pure.  Source: git-annex-formats.md §4.1.  Descriptions come from peers: bytes, not for a terminal.
"""

import re
from typing import Final

from spool.transfer import UUID
from workers.annex import presence

LINE: Final = re.compile(
    rb"(\S+) (.*?)(?: timestamp=([+-]?[0-9]{1,30})(?:\.([0-9]{1,60}))?s?)?", re.DOTALL
)


def describe(uuid_log: bytes, uuid: UUID) -> bytes:
    """The description of a repository; empty if it has none."""
    newest = (-1, b"")
    for line in uuid_log.splitlines():
        match = LINE.fullmatch(line)
        if match is None or match[1] != uuid:
            continue
        clock = presence.clock(match[3], match[4]) if match[3] else 0
        if clock >= newest[0]:  # of equal clocks the last line counts
            newest = (clock, match[2])
    return newest[1]


def commit_message(uuid_log: bytes, uuid: UUID) -> bytes:
    """The message that git-annex gives to commits of a work tree."""
    return b"git-annex in " + (describe(uuid_log, uuid) or uuid)
