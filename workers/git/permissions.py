"""The permissions of files that git, and we, make in a repository: ``core.sharedRepository``.

Sources: git-config(1), core.sharedRepository; git-init(1), --shared.
"""

import os
import stat
from dataclasses import dataclass
from typing import Final, final

_GROUP: Final = 0o660
_EVERYBODY: Final = 0o664
_OWNER: Final = 0o600
_WORDS: Final = {
    b"umask": 0,
    b"false": 0,
    b"no": 0,
    b"off": 0,
    b"group": _GROUP,
    b"true": _GROUP,
    b"yes": _GROUP,
    b"on": _GROUP,
    b"all": _EVERYBODY,
    b"world": _EVERYBODY,
    b"everybody": _EVERYBODY,
}
_NUMBERS: Final = {0: 0, 1: _GROUP, 2: _EVERYBODY}
"""0, 1 and 2 were git's spelling once."""


@final
@dataclass(frozen=True, slots=True)
class Sharing:
    """What ``core.sharedRepository`` adds to a mode, or puts in its place."""

    bits: int = 0
    exact: bool = False

    @classmethod
    def parse(cls, value: bytes | None) -> "Sharing":
        """The setting's value (None: not set); raises ``ValueError`` for nonsense."""
        if value is None:
            return cls()
        word = value.lower()
        if word in _WORDS:
            return cls(_WORDS[word])
        number = int(word, 8)
        if number in _NUMBERS:
            return cls(_NUMBERS[number])
        if number & _OWNER != _OWNER:
            raise ValueError(f"core.sharedRepository {value!r} locks the owner out")
        return cls(number & 0o666, exact=True)

    def of_file(self, mode: int) -> int:
        """What becomes of a file's mode (of the nine bits)."""
        bits = self.bits
        if not mode & stat.S_IWUSR:
            bits &= ~0o222
        if mode & stat.S_IXUSR:
            bits |= (bits & 0o444) >> 2
        return bits if self.exact and bits else mode | bits

    def of_directory(self, mode: int) -> int:
        """What becomes of a directory's mode; the group is inherited where it is shared."""
        bits = self.bits | (self.bits & 0o444) >> 2
        if not bits:
            return mode
        return (bits if self.exact else mode | bits) | stat.S_ISGID


def umask() -> int:
    """This process's umask."""
    # There is no other way to read it without /proc; nobody makes files meanwhile (no threads).
    current = os.umask(0o077)
    os.umask(current)
    return current
