r"""Globs as git-annex's expressions use them: over whole paths, ``*`` and ``?`` crossing ``/``.

git-annex turns a glob into a regular expression that works line by line, so of a path with a
newline it is enough that one line matches.  Characters are Unicode's, and case counts.  A
backslash is an ordinary character.

A class (``[a-z]``, ``[!x]``, ``[^x]``) is read here when its members are plain; git-annex's
reading of ``[[:space:]]``, ``[]]`` and classes with a backslash has oddities (a backslash
becomes a member), so those are left to it.  A class that is not closed, or a range that runs
backwards, is worse: evaluating it makes ``git annex find`` of 10.20261026 hang.

Pure.  Source: the observed behaviour of ``git annex find --want-get-by``, see the tests.
"""

import re
from collections.abc import Callable
from typing import Final

_MEMBER: Final = r"[\w.,+=@%~ ]"
_MEMBERS: Final = re.compile(rf"-?(?:{_MEMBER}-{_MEMBER}|{_MEMBER})*-?")
"""Of a class whose meaning is beyond doubt."""

_ITEM: Final = re.compile(rf"{_MEMBER}-{_MEMBER}|.")


class ExoticGlobError(ValueError):
    """A glob that git-annex must read itself."""


class BrokenGlobError(ValueError):
    """A glob that git-annex cannot read either, and dies or hangs over."""


def matcher(glob: str) -> Callable[[bytes], bool]:
    """The question whether a path matches; raises ``ExoticGlobError`` or ``BrokenGlobError``."""
    regex = to_regex(glob)
    if regex == "^.*$":
        return lambda _path: True
    if glob.isascii() and "?" not in glob and "[" not in glob:
        in_bytes = re.compile(regex.encode(), re.MULTILINE).search
        return lambda path: in_bytes(path) is not None
    # What stands for one character must see characters, not bytes.
    in_text = re.compile(regex, re.MULTILINE).search
    return lambda path: in_text(path.decode(errors="surrogateescape")) is not None


def to_regex(glob: str) -> str:
    """The regular expression, for ``re.MULTILINE`` and ``search``.

    What stands between two stars is looked for once, from the left, and never again (an atomic
    group): so a hostile glob of many stars takes no longer than an honest one.
    """
    pieces = [""]
    at = 0
    while at < len(glob):
        char = glob[at]
        at += 1
        if char == "*":
            pieces.append("")
        elif char == "?":
            pieces[-1] += "."
        elif char == "[":
            members, at = _class(glob, at)
            pieces[-1] += members
        else:
            pieces[-1] += re.escape(char)
    first, *middle = pieces
    if not middle:
        return f"^{first}$"
    last = middle.pop()
    return f"^{first}{''.join(f'(?>.*?{piece})' for piece in middle if piece)}.*{last}$"


def _class(glob: str, at: int) -> tuple[str, int]:
    """The class whose bracket is before ``at``, and where the glob goes on."""
    negated = glob[at : at + 1] in {"!", "^"}
    start = at + negated
    # A "]" that comes first is a member: "[]" and "[!]" are not closed.
    end = glob.find("]", start + 1)
    if end < 0:
        raise BrokenGlobError(f"a class is not closed: {glob}")
    members = glob[start:end]
    if _MEMBERS.fullmatch(members) is None:
        raise ExoticGlobError(f"a class with odd members: {glob}")
    regex = "".join(_members(item, glob) for item in _ITEM.findall(members))
    # A newline is in no class, negated or not: the pattern works line by line.
    return (f"[^\n{regex}]" if negated else f"[{regex}]"), end + 1


def _members(item: str, glob: str) -> str:
    if len(item) == 1:
        return re.escape(item)
    if item[0] > item[2]:
        raise BrokenGlobError(f"a range runs backwards: {glob}")
    return f"{re.escape(item[0])}-{re.escape(item[2])}"
