"""Where the entries of a newer version of an index are, told from an older one.

One file more, in an index of 100,000, moves the entries behind it, and changes nothing else.  So
what is the same bytes at the beginning and at the end is not looked into: comparing costs a tenth
of what ``index_format.scan`` does.

Pure.  Source: gitformat-index(5).
"""

from array import array
from collections.abc import Iterable, Iterator
from struct import Struct
from typing import Final, NamedTuple

from workers.git.index_format import Data, Layout, scan, scan_on
from workers.git.objectid import ObjectFormat

BLOCK: Final = 1024
"""Entries that are compared at once."""

STEP: Final = 1 << 20
"""Bytes that are."""

TRIES: Final = 16
"""Entries looked into, one by one, before all that are left are."""

_MTIME: Final = Struct(">8xI")


class Version(NamedTuple):
    """One version of an index, in the form of version 3, and where its entries are."""

    data: Data
    layout: Layout
    recent_s: int
    """The second that its ``recent`` entries are not older than."""


def follow(
    old: Version, data: Data, object_format: ObjectFormat, count: int, recent_s: int
) -> Layout:
    """What ``scan`` would find in the newer one.  Raises ``ValueError``."""
    if recent_s < old.recent_s:  # entries count as recent now that did not
        return scan(data, object_format, count, recent_s)
    layout = _beginning(old, data, count, recent_s)
    for number in range(len(layout.offsets), min(len(layout.offsets) + TRIES, count)):
        if _ends_alike(old, data, layout.end, count - number):
            layout = _with_end(old, data, layout, count - number, recent_s)
            break
        layout = scan_on(layout, data, object_format, number + 1, recent_s)
    return scan_on(layout, data, object_format, count, recent_s)


def _beginning(old: Version, data: Data, count: int, recent_s: int) -> Layout:
    """The entries at the beginning that are the same."""
    offsets = old.layout.offsets
    end = min(len(offsets), count)
    same = 0
    for step in (BLOCK, 1):
        while same + step <= end:
            here = slice(offsets[same], _start(old.layout, same + step))
            if old.data[here] != data[here]:
                break
            same += step
    recent = (number for number in old.layout.recent if number < same)
    unmerged = array("I", (number for number in old.layout.unmerged if number < same))
    known = Layout(offsets[:same], _start(old.layout, same), array("I"), unmerged)
    known.recent.extend(_still_recent(recent, data, known, recent_s))
    return known


def _start(layout: Layout, number: int) -> int:
    """Where an entry starts, or the last one ends."""
    return layout.offsets[number] if number < len(layout.offsets) else layout.end


def _still_recent(
    numbers: Iterable[int], data: Data, layout: Layout, recent_s: int
) -> Iterator[int]:
    offsets = layout.offsets
    return (each for each in numbers if _MTIME.unpack_from(data, offsets[each])[0] >= recent_s)


def _ends_alike(old: Version, data: Data, at: int, left: int) -> bool:
    """Whether what starts here is the last ``left`` entries of the old version."""
    first = len(old.layout.offsets) - left
    if first < 0:
        return False
    start, end = _start(old.layout, first), old.layout.end
    return all(
        old.data[there : min(there + STEP, end)]
        == data[there - start + at : min(there + STEP, end) - start + at]
        for there in range(start, end, STEP)
    )


def _with_end(old: Version, data: Data, known: Layout, left: int, recent_s: int) -> Layout:
    """What is known, and the last entries of the old version, wherever they are now."""
    start = len(old.layout.offsets) - left
    moved = known.end - _start(old.layout, start)
    number = len(known.offsets) - start
    ends = old.layout.offsets[start:]
    known.offsets.extend(ends if not moved else array("I", map(moved.__add__, ends)))
    known.unmerged.extend(each + number for each in old.layout.unmerged if each >= start)
    recent = (each + number for each in old.layout.recent if each >= start)
    known.recent.extend(_still_recent(recent, data, known, recent_s))
    return known._replace(end=old.layout.end + moved)
