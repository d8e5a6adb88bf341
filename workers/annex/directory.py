"""One directory of the git-annex branch, as git has it: names, and what they lead to.

Nothing here fails, whatever a peer has put there: what is no entry is left out.

Source: git-mktree(1); the format of a tree object: mode in octal, space, name, NUL, binary id.
"""

import re
from bisect import bisect_left
from typing import Final, final

from workers.git.stream import Found

DIRECTORY: Final = b"40000"

_ENTRY: Final = {
    2 * size: re.compile(rb"([0-7]+) ([^\0]+)\0(.{%d})" % size, re.DOTALL) for size in (20, 32)
}
"""By the length of the repository's object names, in hexadecimal digits."""

_WHOLE: Final = {
    2 * size: re.compile(rb"[0-7]+ [^\0]+\0.{%d}" % size, re.DOTALL) for size in (20, 32)
}

Entry = tuple[bytes, bytes, bytes]
"""Mode, name, object in binary."""

LARGE: Final = 16 << 10
"""Bytes of a tree object: from here on it is not taken apart."""


@final
class LargeDirectory:
    """A directory with very many entries, each looked up in what git has of it.

    A dict of 4,096 of them takes 1.2 MB, this 0.3.
    """

    def __init__(self, found: Found) -> None:
        self._raw_size = len(found.oid) // 2
        self._entries: list[bytes] = _WHOLE[len(found.oid)].findall(found.data)

    def get(self, name: bytes) -> Entry | None:
        """What has that name; git sorts a directory's as if it ended in a slash."""
        for key in (name, name + b"/"):
            at = bisect_left(self._entries, key, key=self._key)
            if at < len(self._entries) and self._key(self._entries[at]) == key:
                mode = self._entries[at].partition(b" ")[0]
                return mode, name, self._entries[at][-self._raw_size :]
        return None

    def _key(self, entry: bytes) -> bytes:
        mode, _, rest = entry[: -self._raw_size - 1].partition(b" ")
        return rest + b"/" if mode == DIRECTORY else rest


Directory = dict[bytes, Entry] | LargeDirectory
"""By name."""


def parse_tree(found: Found) -> Directory:
    """The entries of a tree object."""
    if len(found.data) >= LARGE:
        return LargeDirectory(found)
    return {entry[1]: entry for entry in _ENTRY[len(found.oid)].findall(found.data)}
