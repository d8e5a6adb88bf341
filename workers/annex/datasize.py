"""Amounts of data as people write them for git-annex: ``100kb``, ``1.5 GiB``, ``20 megabytes``.

Units are those of SI (``kb`` is 1000 bytes) and of IEC (``kib`` is 1024), in any case, abbreviated
to any length from one letter; ``kbit`` and so on count eighths.  Rounding is half to even.
git-annex reads more than this (``1e3``, ``0x10``, ``1kbfoo``); that is left to it.

Pure.  Source: the observed behaviour of ``git annex find --want-get-by``, see the tests.
"""

import re
from typing import Final

_SIZE: Final = re.compile(r"([0-9]{1,40}(?:\.[0-9]{1,40})?) *([A-Za-z]*)")

_SI: Final = ("kilo", "mega", "giga", "tera", "peta", "exa", "zetta", "yotta")
_IEC: Final = ("kibi", "mebi", "gibi", "tebi", "pebi", "exbi", "zebi", "yobi")


def _units() -> dict[str, float]:
    units: dict[str, float] = dict.fromkeys(("", "b", "byte", "bytes"), 1)
    for power, (si, iec) in enumerate(zip(_SI, _IEC, strict=True), start=1):
        letter = si[0]
        for name in (letter, f"{letter}b", f"{si}byte", f"{si}bytes"):
            units[name] = 1000**power
        for name in (f"{letter}i", f"{letter}ib", f"{iec}byte", f"{iec}bytes"):
            units[name] = 1024**power
        for name in (f"{letter}bit", f"{si}bit", f"{si}bits"):
            units[name] = 1000**power / 8
    return units


UNITS: Final = _units()
"""Name in lower case -> bytes."""


def parse(text: str) -> int:
    """Bytes; ``ValueError`` if this is none of the forms above."""
    match = _SIZE.fullmatch(text)
    unit = None if match is None else UNITS.get(match[2].lower())
    if match is None or unit is None:
        raise ValueError(f"not a size: {text}")
    return round(float(match[1]) * unit)
