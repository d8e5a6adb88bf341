"""A walk through all files of a commit, for the lanes that there is something to be found for."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import final

from spool.transfer import Lane
from workers.scanner.contents import File
from workers.scanner.lanes import Lanes


@final
@dataclass(slots=True)
class Sweep:
    """One that is under way, in steps between which other things are done."""

    batches: Iterator[list[File]]
    lanes: frozenset[Lane]
    """Those it is made for, less those that have got enough."""

    at: bytes
    """The path that it has come to."""

    is_whole: bool = field(init=False)
    """Whether it began at the first file; and has come to the last one, when there are no more."""

    def __post_init__(self) -> None:
        self.is_whole = not self.at

    def take(self, lanes: Lanes) -> list[File] | None:
        """The next files; None if there are no more, or no lane has room for what they need.

        Of a lane that is full it is noted from where on it has to be looked for again.
        """
        files = next(self.batches, None)
        if files is None:
            return None
        self.at = files[-1].path if files else self.at
        for lane in [lane for lane in self.lanes if lanes.is_full(lane)]:
            lanes.fall_behind(lane, files[0].path if files else b"")
            self.lanes -= {lane}
        if not self.lanes:
            self.is_whole = False
            return None
        return files
