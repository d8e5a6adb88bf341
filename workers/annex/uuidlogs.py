"""What the git-annex branch says about each repository: trust, groups, name, configuration.

Every function takes a log's bytes and gives what counts in it now (``maplog``).

Pure.  Source: git-annex-formats.md §4.1; ``git annex find --want-get-by`` is the oracle.
"""

import re
from collections.abc import Mapping
from enum import Enum
from typing import Final

from spool.transfer import UUID
from workers.annex import maplog


class Trust(Enum):
    """How far the location log is believed about a repository."""

    TRUSTED = "trusted"
    SEMITRUSTED = "semitrusted"
    UNTRUSTED = "untrusted"
    DEAD = "dead"


_TRUST: Final = {
    b"1": Trust.TRUSTED,
    b"": Trust.TRUSTED,  # lines of 2011 have the uuid only
    b"0": Trust.UNTRUSTED,
    b"X": Trust.DEAD,
}
_ESCAPED: Final = re.compile(rb"&([0-9]{1,7});")
_UNICODE_END: Final = 0x110000


def descriptions(log: bytes) -> dict[UUID, bytes]:
    """``uuid.log``: what people call the repositories."""
    return maplog.by_uuid(log)


def commit_message(log: bytes, uuid: UUID) -> bytes:
    """The message of a commit in a work tree, as git-annex writes it: the repository's name."""
    return b"git-annex in " + (descriptions(log).get(uuid) or uuid)


def trust(log: bytes) -> dict[UUID, Trust]:
    """``trust.log``.  A level that git-annex does not know is the default."""
    return {
        uuid: _TRUST.get(level, Trust.SEMITRUSTED) for uuid, level in maplog.by_uuid(log).items()
    }


def groups(log: bytes) -> dict[UUID, frozenset[bytes]]:
    """``group.log``: the groups that a repository is in."""
    return {
        uuid: frozenset(filter(None, words.split(b" ")))
        for uuid, words in maplog.by_uuid(log).items()
    }


def remote_settings(log: bytes) -> dict[UUID, Mapping[bytes, bytes]]:
    """``remote.log``: how special remotes were set up (``type=``, ``name=``, ``encryption=``…)."""
    return {
        uuid: dict(_setting(word) for word in words.split(b" ") if b"=" in word)
        for uuid, words in maplog.by_uuid(log).items()
    }


def _setting(word: bytes) -> tuple[bytes, bytes]:
    name, _, value = word.partition(b"=")
    return name, _ESCAPED.sub(_unescape, value)


def _unescape(match: re.Match[bytes]) -> bytes:
    """``&32;`` is the character with that code point."""
    code = int(match[1])
    return chr(code).encode(errors="surrogatepass") if code < _UNICODE_END else match[0]
