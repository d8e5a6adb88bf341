"""What each role says of itself: ``.git/annex/annexd/state/ROLE``.

First line ``idle SEQ`` or ``busy SEQ``: every poke up to SEQ was there before the role began its
last look at everything; when it is idle, that look is over and what it found is done.  Then
``name value`` lines for people, and for ``annexd wait`` one of them: ``pending N`` counts what
the role still means to do of its own accord, even though it is idle now (a file that must settle
first, a push to try again).  Three more notes are read by programs: ``YIELDS`` by the
pusher, ``SCANNED`` by pushers (a neighbour's, too), and ``BEHIND`` by commands.

One writer: the worker of that name.  The file outlives its writer, so an ``idle 7`` may have been
said by a worker that is dead; whoever needs an answer asks with a new poke (``spool.poke``).
"""

import enum
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from spool.record import Fields, format_record, parse_record, read, replace

SCANNED: Final = "tree"
"""The scanner's note: it has decided about the files of this commit.  Not said on an adjusted
branch: nobody else has its commits."""

YIELDS: Final = "yields"
"""The watcher's note while it leaves a merge of what has arrived to others, or lets more arrive."""

BEHIND: Final = "behind"
"""The scanner's note of a remote that is reached through another: its uuid, a space, and its name,
which begins with that of the other and a dash.  No configuration has it."""


@final
class Activity(enum.StrEnum):
    """Whether a role is at work."""

    IDLE = "idle"
    BUSY = "busy"


@final
@dataclass(frozen=True, slots=True)
class State:
    """One role's state."""

    activity: Activity
    seq: int
    """The highest poke that was there before the role began its last look."""

    notes: Fields = ()

    def note(self, name: str) -> str | None:
        """The first note of that name."""
        return next((value for key, value in self.notes if key == name), None)

    @property
    def pending(self) -> int:
        """How many things the role still means to do."""
        value = self.note("pending")
        return int(value) if value is not None and value.isdecimal() else 0

    def settled(self, seq: int) -> bool:
        """Whether the role has looked since poke ``seq`` and has nothing left to do."""
        return self.activity is Activity.IDLE and self.seq >= seq and self.pending == 0

    def format(self) -> bytes:
        """The text of the file."""
        return format_record(((self.activity.value, str(self.seq)), *self.notes))

    @classmethod
    def parse(cls, data: bytes) -> "State":
        """The inverse of ``format``; raises ``ValueError``."""
        (activity, seq), *notes = parse_record(data) or (("", ""),)
        if not (seq.isascii() and seq.isdigit()):
            raise ValueError(f"not a number: {seq!r}")
        return cls(Activity(activity), int(seq), tuple(notes))


def write_state(directory: Path, worker: str, state: State) -> None:
    """Say it, in one step."""
    replace(directory / worker, state.format())


def read_state(directory: Path, worker: str) -> State | None:
    """What ``worker`` has said; None if nothing that can be understood."""
    try:
        data = read(directory / worker)
        return State.parse(data) if data is not None else None
    except ValueError:  # not ours: as good as silence, since its worker writes it again
        return None


def read_states(directory: Path) -> dict[str, State]:
    """What every worker has said."""
    try:
        names = sorted(path.name for path in directory.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    found = {name: read_state(directory, name) for name in names if not name.startswith(".")}
    return {name: state for name, state in found.items() if state is not None}
