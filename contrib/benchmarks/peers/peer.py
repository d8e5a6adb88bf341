"""What a peer is: a program that keeps directories in sync, seen through a few verbs."""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from benchmarks.arena import Arena, CommandError
from benchmarks.files import Batch
from benchmarks.keeper import Keeper
from benchmarks.layout import Reach


@dataclass(frozen=True, slots=True)
class Ground:
    """What a peer is set up on.  Files are written at node 0."""

    arena: Arena
    nodes: tuple[Path, ...]
    """The work trees; they exist and are empty."""

    edges: tuple[tuple[int, int], ...]
    """Who exchanges with whom, in the direction of the flow of files."""

    daemons_at: tuple[int, ...]
    """Nodes that run a daemon, if the peer does not need one at each."""

    keepers: tuple[Keeper, ...]
    """One for each node: its daemon and all that it starts run below it."""

    state: Path
    """For configurations, archives and logs of the peer."""

    reach: Reach
    base: tuple[Batch, ...]
    """Files that all nodes have in common before the peer is started."""

    def run(self, node: int, argv: Sequence[str]) -> None:
        """Run a command of the peer's at a node, to its end; raises ``CommandError``."""
        status = self.keepers[node].run(argv, cwd=str(self.nodes[node]))
        if status != 0:
            raise CommandError(f"{' '.join(argv)}: status {status}")

    def start(self, node: int, argv: Sequence[str]) -> None:
        """Start a daemon of the peer's that stays in the foreground."""
        self.keepers[node].start(argv, cwd=str(self.nodes[node]))


class Peer:
    """One program on one ground, for one run.

    The verbs that do nothing here are right for a command that is run when something has changed;
    a daemon has ``start`` and ``stop`` instead of ``sync``.
    """

    name: ClassVar[str]
    needs: ClassVar[tuple[str, ...]]
    """Programs that must be installed."""

    annexed: ClassVar[bool] = False
    """Whether it keeps contents in git-annex's objects."""

    deletes: ClassVar[bool] = True
    """Whether it repeats deletions and renames at the other side."""

    reaches: ClassVar[frozenset[Reach]] = frozenset(Reach)

    def __init__(self, ground: Ground) -> None:
        self.ground = ground

    @staticmethod
    def version(arena: Arena) -> str:
        """One line: the version, and what is special about how it is run."""
        raise NotImplementedError

    def setup(self) -> None:
        """Make repositories, configurations and so on; start nothing that stays."""
        populate(self.ground)

    def start(self) -> None:
        """Start the daemons."""

    def sync(self) -> None:
        """Files have changed: what the user runs then, to its end."""

    def is_synced(self) -> bool:
        """Whether it says itself that it has nothing left to do; true if it cannot say."""
        return True

    def allow_mass_change(self) -> None:
        """What the user does so that thousands of deletions are believed."""

    def diagnosis(self) -> str:
        """What it says of itself; asked when it did not come to the end."""
        return ""

    def stop(self) -> None:
        """Stop the daemons as the user would; SIGTERM comes from their keepers."""


def missing(peer: type[Peer], environment: Mapping[str, str]) -> str:
    """Which programs of a peer are not installed; empty if all are."""
    path = environment["PATH"]
    absent = [name for name in peer.needs if shutil.which(name, path=path) is None]
    return f"{', '.join(absent)} not installed" if absent else ""


def populate(ground: Ground) -> None:
    """Write the base into every node, with equal times, as copies in sync have them."""
    first, *others = ground.nodes
    for batch in ground.base:
        batch.write(first)
        for node in others:
            batch.write(node)
            for path in batch.paths():
                found = os.stat(first / path)
                os.utime(node / path, ns=(found.st_atime_ns, found.st_mtime_ns))
