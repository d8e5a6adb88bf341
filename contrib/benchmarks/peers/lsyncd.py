"""lsyncd with rsync: one-way, from the source of each edge."""

import json
from pathlib import Path
from typing import final

from benchmarks.arena import Arena
from benchmarks.layout import Reach
from benchmarks.peers.peer import Ground, Peer, populate

DELAY_S = 1
"""It gathers changes for this long; the default is 15."""


@final
class Lsyncd(Peer):
    """One lsyncd at each node that files leave."""

    name = "lsyncd"
    needs = ("lsyncd", "rsync")

    def __init__(self, ground: Ground) -> None:
        super().__init__(ground)
        self.sources = sorted({source for source, _ in ground.edges})

    @staticmethod
    def version(arena: Arena) -> str:
        return arena.run(["lsyncd", "--version"]).split()[-1] + f", delay {DELAY_S} s"

    def setup(self) -> None:
        populate(self.ground)
        for source in self.sources:
            targets = [target for here, target in self.ground.edges if here == source]
            blocks = [self._block(source, target) for target in targets]
            self._file(source).write_text("settings { nodaemon = true }\n" + "".join(blocks))

    def _block(self, source: int, target: int) -> str:
        prefix = "bench:" if self.ground.reach is Reach.SSH else ""
        # JSON's strings are Lua's, for names without control characters.
        here = json.dumps(str(self.ground.nodes[source]))
        there = json.dumps(f"{prefix}{self.ground.nodes[target]}")
        return (
            f"sync {{ default.rsync, source = {here}, target = {there}, delay = {DELAY_S},\n"
            "  rsync = { archive = true, whole_file = true } }\n"
        )

    def _file(self, source: int) -> Path:
        return self.ground.state / f"{source}.lua"

    def start(self) -> None:
        for source in self.sources:
            self.ground.start(source, ["lsyncd", "-nodaemon", str(self._file(source))])
