"""All refs below a prefix, natively: what ``for-each-ref`` lists, for the price of a few looks.

The loose files, and those lines of ``packed-refs`` that have no loose file.  Loose first, as git
reads them: packing writes the packed file before it removes the loose one.

Sources: gitrepository-layout(5), "refs", "packed-refs"; git-pack-refs(1).
"""

import contextlib
import os
from collections.abc import Iterator
from typing import Final, final

TEXT_MAX: Final = 4096
DIRECTORIES_MAX: Final = 2_000
"""A peer can push any number of refs; more are left to git."""

_LOCK: Final = b".lock"


@final
class TooManyError(Exception):
    """More than are listed here."""


def listed(common: bytes, prefix: bytes) -> dict[bytes, bytes]:
    """Name -> what its file says, or the object that ``packed-refs`` says; for ``refs/…/``.

    Raises ``TooManyError``; ``OSError`` if it cannot be read.
    """
    found = dict(_loose(common, prefix))
    with contextlib.suppress(FileNotFoundError), open(common + b"/packed-refs", "rb") as packed:
        for line in packed:
            oid, _, name = line.rstrip(b"\n").partition(b" ")
            if name.startswith(prefix) and not line.startswith((b"#", b"^")):
                found.setdefault(name, oid)
    return found


def _loose(common: bytes, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
    ahead, seen = [prefix], 0
    while ahead:
        directory = ahead.pop()
        seen += 1
        if seen > DIRECTORIES_MAX:
            raise TooManyError(os.fsdecode(prefix))
        try:
            entries = list(os.scandir(os.path.join(common, directory)))
        except (FileNotFoundError, NotADirectoryError):  # deleted just now
            continue
        for entry in entries:
            name = directory + entry.name
            if entry.is_dir(follow_symlinks=False):
                ahead.append(name + b"/")
            elif not name.endswith(_LOCK):
                with contextlib.suppress(FileNotFoundError), open(entry.path, "rb") as file:
                    yield name, file.read(TEXT_MAX)
