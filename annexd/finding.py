"""What ``annexd doctor`` has to say about one thing: a line, and what mends it."""

import os
import shlex
from dataclasses import dataclass
from typing import final

from spool.record import escape


@final
@dataclass(frozen=True, slots=True)
class Finding:
    """Something that was looked at."""

    text: str
    is_wrong: bool
    cure: str
    """A command, or what else to do; may be empty."""

    def line(self) -> str:
        """The finding as people see it: one line, and perhaps one with the cure."""
        mark = "WRONG " if self.is_wrong else "ok    "
        return escape(f"{mark}{self.text}") + (f"\n      mend it: {self.cure}" if self.cure else "")


def fine(text: str) -> Finding:
    """Nothing to be done."""
    return Finding(text, is_wrong=False, cure="")


def wrong(text: str, cure: str = "") -> Finding:
    """Something to be mended."""
    return Finding(text, is_wrong=True, cure=cure)


def quoted(word: str | bytes | os.PathLike[str]) -> str:
    r"""A word for a shell, on one line and in printable characters only.

    Names come from peers, and a person will paste this: what is not printable is spelled as in
    ``$'a\x1bb'``, which bash, zsh and ksh know.
    """
    text = os.fsdecode(word)
    if text.isprintable():
        return shlex.quote(text)
    return "$'" + "".join(map(_spelled, text)) + "'"


def _spelled(char: str) -> str:
    if char in "'\\":
        return "\\" + char
    if char.isprintable():
        return char
    return "".join(f"\\x{byte:02x}" for byte in os.fsencode(char))
