"""What a person asks of the daemon by leaving a file."""

from spool import poke
from spool.place import Place
from spool.record import make_directory, replace
from spool.remotes import forgive_transfers
from spool.state import read_states


def make_poke(place: Place) -> int:
    """Ask every role to look again; returns the number by which they will answer.

    What is left alone after failures is tried again, too: a person has asked.
    """
    forgive_transfers(place.remotes)
    said = max((state.seq for state in read_states(place.state).values()), default=0)
    return poke.create(_ours(place).poke, above=said)


def look_at_everything(place: Place) -> int:
    """The same, and at all files, as a file system of the network tells of no change elsewhere.

    The file goes first: whoever sees the poke sees it, too.
    """
    replace(_ours(place).look, b"")
    return make_poke(place)


def accept_deletions(place: Place) -> None:
    """Say yes to the deletions that the watcher holds back."""
    replace(_ours(place).accept, b"")


def _ours(place: Place) -> Place:
    """The place, once our directory is there."""
    make_directory(place.annexd)
    return place
