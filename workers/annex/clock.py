"""The clocks in git-annex's logs: ``SECONDS[.FRACTION][s]``, maybe negative.

As numbers they are picoseconds, as fine as git-annex's, so that they compare exactly.
Source: git-annex-formats.md §4.2; what git-annex does not take for a clock is none here.
"""

import re
from typing import Final

SECOND: Final = 10**12

NEVER: Final = -(10**60)
"""Before every clock that can be written: the age of a line that has none."""

_DIGITS: Final = 12
_CLOCK: Final = re.compile(rb"([+-]?)([0-9]{1,30})(?:\.([0-9]{1,60}))?s?")


def parse(word: bytes) -> int | None:
    """Picoseconds since 1970; None if the word is not a clock."""
    match = _CLOCK.fullmatch(word)
    if match is None:
        return None
    sign, seconds, fraction = match.groups()
    clock = int(seconds) * SECOND
    if fraction is not None:
        clock += int(fraction[:_DIGITS].ljust(_DIGITS, b"0"))
    return -clock if sign == b"-" else clock
