"""Merging several contents of one file of the git-annex branch.

The union of their lines, as git-annex's union merge makes it, less the lines that no longer count
where the format is known.  It does not depend on the order of the contents, and merging what has
been merged changes nothing: so repositories that merge the same come to the same.

Pure.  Source: git-annex-formats.md §4.1, §4.3, §4.5.
"""

import re
from collections.abc import Iterable
from typing import Final

from workers.annex import clock, presence

PRESENCE: Final = re.compile(rb"[0-9a-f]{3}/.*\.log(?:\.web)?", re.DOTALL)

BY_UUID: Final = frozenset(
    (
        b"uuid.log",
        b"trust.log",
        b"remote.log",
        b"group.log",
        b"preferred-content.log",
        b"required-content.log",
        b"schedule.log",
    )
)
"""Logs that have one value for each uuid, with the clock at the end of the line."""

VALUE: Final = re.compile(rb"(\S+) .*timestamp=(\S+)")


def merge(path: bytes, contents: Iterable[bytes]) -> bytes:
    """What the file at ``path`` says if it is to say all that the contents do."""
    if PRESENCE.fullmatch(path):
        return presence.merge(contents)
    lines = presence.lines(contents)
    if path in BY_UUID:
        lines = _newest(lines)
    return b"".join(line + b"\n" for line in sorted(lines))


def is_known(path: bytes) -> bool:
    """Whether we know which lines of that file no longer count."""
    return path in BY_UUID or PRESENCE.fullmatch(path) is not None


def restore(path: bytes, content: bytes, old: Iterable[bytes]) -> bytes:
    """The content, with what older versions said and it should not have lost; else unchanged."""
    restored = merge(path, (content, *old))
    return content if restored == merge(path, (content,)) else restored


def _newest(lines: set[bytes]) -> set[bytes]:
    """For each uuid the line that counts, and every line that we cannot read.

    Of equal clocks the last line counts, as git-annex reads these logs.
    """
    newest: dict[bytes, tuple[int, bytes]] = {}
    kept = set()
    for line in lines:
        match = VALUE.fullmatch(line)
        at = None if match is None else clock.parse(match[2])
        if match is None or at is None:
            kept.add(line)
        else:
            newest[match[1]] = max((at, line), newest.get(match[1], (at, line)))
    return kept.union(line for _clock, line in newest.values())
