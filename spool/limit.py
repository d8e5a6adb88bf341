"""Limits of speed: ``transfer/limit/all`` for all transfers, ``limit/remote/UUID`` for some.

A line for a direction: ``up 500kB``, or ``up 500kB until 1795361274`` (Unix time, s).  What a rate
may be is not decided here (``workers.annex.limits``).  A line whose time has passed, a line that
cannot be understood, and what is no regular file, limit nothing; they stay until the file is
written again.

If killed: docs/SPOOL.md, U1.
"""

import contextlib
import math
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, final

from spool import directory, layout, text
from spool.layout import Layout
from spool.transfer import UUID, Direction

FOREVER: Final = math.inf

_WORDS: Final = {Direction.UPLOAD: "up", Direction.DOWNLOAD: "down"}
_LINE: Final = re.compile(
    r"\s*(up|down)\s+(\S.{0,60}?)(?:\s+until\s+([0-9]{1,15})(?:\.[0-9]*)?)?\s*", re.ASCII
)
_LINES_MAX: Final = 100


@final
@dataclass(frozen=True, slots=True)
class Limit:
    """How fast contents may move in one direction."""

    uuid: UUID | None
    """None: to, or from, all repositories together."""

    direction: Direction
    rate: str
    """As a person has written it: ``1MB``, ``none``, ``auto``."""

    until: float = FOREVER
    """Unix time, s."""

    def format(self) -> str:
        """The line."""
        end = "" if math.isinf(self.until) else f" until {math.ceil(self.until)}"
        return f"{_WORDS[self.direction]} {self.rate}{end}\n"


def listing(paths: Layout, now: float) -> list[Limit]:
    """Every limit in force; that for all repositories first."""
    named = directory.named_uuids(paths.annex, layout.LIMIT_REMOTE)
    uuids = [None, *(uuid for uuid, _entry in named)]
    return [limit for uuid in uuids for limit in of(paths, uuid, now)]


def of(paths: Layout, uuid: UUID | None, now: float) -> list[Limit]:
    """The limits in force for one repository by itself, or for all together (None)."""
    names, name = _place(uuid)
    with directory.opened(paths.annex, names) as fd:
        if fd is None:
            return []
        try:
            data = text.read(name, dir_fd=fd)
        except (FileNotFoundError, PermissionError, ValueError):
            return []  # none; or one that its owner shows to nobody
    return [limit for limit in parse(uuid, data) if limit.until > now]


def parse(uuid: UUID | None, data: bytes) -> list[Limit]:
    """What stands in a file; of two lines for a direction the last one counts."""
    found: dict[Direction, Limit] = {}
    for line in data.decode(errors="replace").split("\n")[:_LINES_MAX]:
        match = _LINE.fullmatch(line)
        if match is not None:
            direction = Direction.UPLOAD if match[1] == "up" else Direction.DOWNLOAD
            until = FOREVER if match[3] is None else float(match[3])
            found[direction] = Limit(uuid, direction, match[2], until)
    return list(found.values())


def put(paths: Layout, limit: Limit, now: float) -> None:
    """Set a limit; that of the other direction stays."""
    _store(paths, limit.uuid, [*_others(paths, limit.uuid, limit.direction, now), limit])


def lift(paths: Layout, uuid: UUID | None, direction: Direction, now: float) -> None:
    """Remove the limit of one direction; that of the other one stays."""
    _store(paths, uuid, _others(paths, uuid, direction, now))


def _others(paths: Layout, uuid: UUID | None, direction: Direction, now: float) -> list[Limit]:
    return [limit for limit in of(paths, uuid, now) if limit.direction is not direction]


def _store(paths: Layout, uuid: UUID | None, limits: Iterable[Limit]) -> None:
    names, name = _place(uuid)
    lines = "".join(limit.format() for limit in limits)
    if lines:
        text.store(paths.annex, names, name, lines.encode())
        return
    with directory.opened(paths.annex, names) as fd, contextlib.suppress(FileNotFoundError):
        if fd is not None:
            os.unlink(name, dir_fd=fd)


def _place(uuid: UUID | None) -> tuple[tuple[bytes, ...], bytes]:
    return (layout.LIMIT, b"all") if uuid is None else (layout.LIMIT_REMOTE, uuid)
