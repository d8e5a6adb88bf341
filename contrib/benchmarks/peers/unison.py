"""unison: watching where unison-fsmonitor is installed, else run for each change."""

import shutil
from typing import final

from benchmarks.arena import Arena
from benchmarks.layout import Reach
from benchmarks.peers.peer import Ground, Peer, populate

OPTIONS = ("-batch", "-silent", "-confirmbigdel=false", "-dumbtty", "-ui", "text")


@final
class Unison(Peer):
    """One unison along each edge.  It keeps an archive of what was equal, and goes both ways."""

    name = "unison"
    needs = ("unison",)

    def __init__(self, ground: Ground) -> None:
        super().__init__(ground)
        self.watches = _can_watch(ground.arena)

    @staticmethod
    def version(arena: Arena) -> str:
        mode = "-repeat watch" if _can_watch(arena) else "run for each change"
        return arena.run(["unison", "-version"]).split()[2] + f", {mode}"

    def setup(self) -> None:
        populate(self.ground)
        self._once()  # it learns what is equal already

    def start(self) -> None:
        if self.watches:
            for edge in self.ground.edges:
                self.ground.start(edge[0], [*self._argv(edge), "-repeat", "watch"])

    def sync(self) -> None:
        if not self.watches:
            self._once()

    def _once(self) -> None:
        for edge in self.ground.edges:
            self.ground.run(edge[0], self._argv(edge))

    def _argv(self, edge: tuple[int, int]) -> list[str]:
        source, target = edge
        there = str(self.ground.nodes[target])
        if self.ground.reach is Reach.SSH:
            there = f"ssh://bench/{there}"
        archives = f"UNISON={self.ground.state}"
        return ["env", archives, "unison", str(self.ground.nodes[source]), there, *OPTIONS]


def _can_watch(arena: Arena) -> bool:
    return shutil.which("unison-fsmonitor", path=arena.environment["PATH"]) is not None
