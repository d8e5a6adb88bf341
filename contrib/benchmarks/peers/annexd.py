"""annexd, driven through its command line only."""

import os
from typing import final

from benchmarks.arena import Arena, CommandError
from benchmarks.layout import Reach
from benchmarks.peers import repositories
from benchmarks.peers.peer import Peer

TAIL_BYTES = 4000


class Annexd(Peer):
    """One daemon in each repository; git-annex-shell at the other end of ssh."""

    name = "annexd"
    needs = ("annexd", "git-annex")
    annexed = True

    @staticmethod
    def version(arena: Arena) -> str:
        return arena.run(["annexd", "--version"]).strip()

    def setup(self) -> None:
        repositories.make(self.ground)

    def start(self) -> None:
        for node in self.ground.daemons_at:
            tree = str(self.ground.nodes[node])
            self.ground.run(node, ["annexd", "start", tree])

    def is_synced(self) -> bool:
        # Asked below no keeper, so that the question is not counted as work of the daemon.
        try:
            for node in self.ground.daemons_at:
                tree = str(self.ground.nodes[node])
                self.ground.arena.run(["annexd", "wait", "--timeout", "1", tree])
        except CommandError:
            return False
        return True

    def allow_mass_change(self) -> None:
        # It holds a commit that deletes more than a tenth of the files until a person has
        # accepted it; who does so just before is heard, too.
        for node in self.ground.daemons_at:
            (self.ground.nodes[node] / ".git/annex/annexd/accept").touch()

    def diagnosis(self) -> str:
        said = []
        for node in self.ground.daemons_at:
            tree = self.ground.nodes[node]
            log = tree / ".git/annex/annexd/log"
            try:
                said.append(self.ground.arena.run(["annexd", "status", "--json", str(tree)]))
                said.append(log.read_text(errors="backslashreplace")[-TAIL_BYTES:])
            except (CommandError, FileNotFoundError) as failure:
                said.append(str(failure))
        return "\n".join(said)

    def stop(self) -> None:
        for node in self.ground.daemons_at:
            tree = str(self.ground.nodes[node])
            self.ground.run(node, ["annexd", "stop", tree])


@final
class AnnexdShell(Annexd):
    """The same, with ``annexd shell`` at the other end of ssh."""

    name = "annexd-shell"
    reaches = frozenset({Reach.SSH})

    def setup(self) -> None:
        script = self.ground.arena.bin / "annexd-shell"
        script.write_text('#!/bin/sh\nexec annexd shell "$@"\n')
        os.chmod(script, 0o755)  # noqa: S103 -- a program
        super().setup()
        repositories.use_shell(self.ground, "annexd-shell")
