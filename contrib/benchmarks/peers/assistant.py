"""git-annex's own: the assistant (a daemon), and assist (a command)."""

from typing import final

from benchmarks.arena import Arena
from benchmarks.peers import repositories
from benchmarks.peers.peer import Peer


@final
class Assistant(Peer):
    """``git annex assistant`` in each repository.

    It has no way to say whether it is done; the benchmark waits until it uses no more processor
    time.
    """

    name = "assistant"
    needs = ("git-annex",)
    annexed = True

    @staticmethod
    def version(arena: Arena) -> str:
        return git_annex_version(arena)

    def setup(self) -> None:
        repositories.make(self.ground)

    def start(self) -> None:
        for node in self.ground.daemons_at:
            self.ground.run(node, ["git-annex", "assistant"])

    def stop(self) -> None:
        for node in self.ground.daemons_at:
            self.ground.run(node, ["git-annex", "assistant", "--stop"])


@final
class Assist(Peer):
    """``git annex assist`` at each node in turn, as from cron, but at the right moment."""

    name = "assist"
    needs = ("git-annex",)
    annexed = True

    @staticmethod
    def version(arena: Arena) -> str:
        return git_annex_version(arena)

    def setup(self) -> None:
        repositories.make(self.ground, ("annex.addunlocked", "true"))

    def sync(self) -> None:
        for node in self.ground.daemons_at:
            self.ground.run(node, ["git-annex", "assist"])


def git_annex_version(arena: Arena) -> str:
    """The bare version of git-annex."""
    return arena.run(["git", "annex", "version", "--raw"]).strip()
