"""Contents that no file has needed for long: found, and removed, by git-annex.

``annex.expireunused`` says how long that is; ``false``, or nothing, keeps them for ever.  git-annex
notes in ``annex/unused`` when it first saw that a content is unused, and keeps that note for as
long as it stays so.

``1m`` is a month here, as git-annex(1) has it for this setting, although git-annex reads it as a
minute: of the two, that loses nothing.

DIAGNOSTICS: ``GitError``.  Source: git-annex(1), annex.expireunused; git-annex-unused(1); the file
as git-annex 10.20261026 writes it: ``NUMBER KEY SECONDSs``.
"""

import os
import re
import time
from typing import Final

from workers.annex.repository import Repository
from workers.annex.run_annex import run_annex
from workers.annex.settings import Settings

SETTING: Final = "annex.expireunused"
LONGEST_S: Final = 6 * 3600.0
"""For looking at all that is there, and for removing it."""

_DAY_S: Final = 86_400.0
_DAYS: Final = {"s": 1 / _DAY_S, "h": 1 / 24, "d": 1.0, "w": 7.0, "m": 30.0, "y": 365.0}
_TIME: Final = re.compile("(?:[0-9]{1,6}[shdwmy])+")
_PART: Final = re.compile("([0-9]{1,6})([shdwmy])")
_LINE: Final = re.compile(rb"([0-9]{1,9}) \S+ ([0-9]{1,12})(?:\.[0-9]+)?s", re.MULTILINE)
_AT_ONCE: Final = 1000
"""Numbers on one command line."""


def kept_for(settings: Settings) -> float | None:
    """How long unused contents are kept (s); None: for ever."""
    said = settings.get(SETTING, "")
    if not _TIME.fullmatch(said):
        return None
    return _DAY_S * sum(int(number) * _DAYS[unit] for number, unit in _PART.findall(said))


def expire(here: Repository, keep_s: float) -> int:
    """Remove what has been unused for so long, the last copies too; how many that were."""
    run_annex(here, "unused", "--quiet", timeout_s=LONGEST_S)
    with open(os.path.join(here.layout.annex, b"unused"), "rb") as file:
        numbers = expired(file.read(), time.time() - keep_s)
    for start in range(0, len(numbers), _AT_ONCE):
        some = numbers[start : start + _AT_ONCE]
        run_annex(here, "dropunused", "--quiet", "--force", *some, timeout_s=LONGEST_S)
    return len(numbers)


def expired(unused: bytes, before: float) -> list[str]:
    """The numbers, in git-annex's file, of what was known to be unused at that time (Unix s)."""
    return [match[1].decode() for match in _LINE.finditer(unused) if int(match[2]) <= before]
