"""rsync and cp: what moving the bytes costs, without knowing anything about them."""

import os
from typing import final

from benchmarks.arena import Arena
from benchmarks.layout import Reach
from benchmarks.peers.peer import Peer


@final
class Rsync(Peer):
    """``rsync -a`` along each edge, run when something has changed."""

    name = "rsync"
    needs = ("rsync",)

    @staticmethod
    def version(arena: Arena) -> str:
        return arena.run(["rsync", "--version"]).split()[2]

    def sync(self) -> None:
        for source, target in self.ground.edges:
            there = str(self.ground.nodes[target])
            if self.ground.reach is Reach.SSH:
                there = f"bench:{there}"
            argv = ["rsync", "-a", "--whole-file", "--delete", "-e", "ssh"]
            argv += [f"{self.ground.nodes[source]}/", f"{there}/"]
            self.ground.run(source, argv)


@final
class Cp(Peer):
    """``cp -r`` of what is new, along each edge."""

    name = "cp"
    needs = ("cp",)
    deletes = False
    reaches = frozenset({Reach.PATH})

    @staticmethod
    def version(arena: Arena) -> str:
        return arena.run(["cp", "--version"]).splitlines()[0].split()[-1]

    def sync(self) -> None:
        for source, target in self.ground.edges:
            tree = self.ground.nodes[source]
            # --update: the whole tree again for every file would be a straw man.
            argv = ["cp", "-r", "--update", *os.listdir(tree), str(self.ground.nodes[target])]
            self.ground.run(source, argv)
