"""The index's cache of trees: which directories are known to be which tree objects.

Whoever changes an entry must mark every directory above it as unknown, or git would commit the old
tree.  Source: gitformat-index(5), "Cache tree".
"""

from collections.abc import Collection

UNKNOWN = b"-1"

_FORGOTTEN = -1
_UNTOUCHED = -2


def invalidate(cached: bytes, changed: Collection[bytes], raw_size: int) -> bytes:
    """The cache without the directories above each changed path; ``b""`` if it cannot be parsed.

    A cached directory that has the name of a changed path is forgotten: there is a file now, or
    nothing.
    """
    if not changed:
        return cached
    above = {b""}
    for path in changed:
        at = path.rfind(b"/")
        while at > 0 and path[:at] not in above:
            above.add(path[:at])
            at = path.rfind(b"/", 0, at)
    try:
        return _rewritten(cached, above, frozenset(changed), raw_size)
    except ValueError:
        return b""


def _rewritten(cached: bytes, above: set[bytes], gone: frozenset[bytes], raw_size: int) -> bytes:
    out: list[bytes] = []
    kept: dict[int, int] = {}  # position in out -> subtrees it keeps, for those in ``above``
    # The directories that enclose the current one: position in out (or one of the two above),
    # path, and how many of its subtrees are still to come.
    open_above: list[tuple[int, bytes, int]] = []
    at = 0
    while at < len(cached):
        start = at
        name, subtrees, at = _node(cached, at, raw_size)
        while open_above and open_above[-1][2] == 0:
            open_above.pop()
        where, parent = _UNTOUCHED, b""
        if open_above:
            where, parent, left = open_above[-1]
            open_above[-1] = (where, parent, left - 1)
        path = parent + b"/" + name if parent else name
        if where == _FORGOTTEN or (where >= 0 and path in gone):
            if where >= 0:
                kept[where] -= 1
            here = _FORGOTTEN
        elif (where >= 0 or start == 0) and path in above:
            here = len(out)
            kept[here] = subtrees
            out.append(name)
        else:
            here = _UNTOUCHED
            out.append(cached[start:at])
        open_above.append((here, path, subtrees))
    for position, count in kept.items():
        out[position] += b"\0%s %d\n" % (UNKNOWN, count)
    return b"".join(out)


def _node(cached: bytes, at: int, raw_size: int) -> tuple[bytes, int, int]:
    """One directory: its name, how many subtrees follow, and where it ends."""
    name_end = cached.index(b"\0", at)
    line_end = cached.index(b"\n", name_end)
    entries, subtrees = cached[name_end + 1 : line_end].split(b" ")
    end = line_end + 1
    if int(entries) >= 0:
        end += raw_size
    if end > len(cached) or int(subtrees) < 0:
        raise ValueError("index: torn cache of trees")
    return cached[at:name_end], int(subtrees), end
