"""What is run: a case of a scenario."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from benchmarks.files import Batch
from benchmarks.layout import PAIR, Layout
from benchmarks.peers.peer import Peer
from benchmarks.session import Session


@dataclass(frozen=True, slots=True)
class Case:
    """One experiment, to be repeated with each peer."""

    scenario: str
    name: str
    measure: Callable[[Session], None]
    layout: Layout = PAIR
    base: tuple[Batch, ...] = ()
    """What all nodes have before it begins."""

    rounds: int = 3
    warm_up: bool = True
    """Whether a metered round, whose times do not count, comes first."""

    bulky: bool = False
    """Few files and much data: deleted after each round."""

    deletes: bool = False
    """Needs a peer that repeats deletions."""

    yardsticks: Mapping[str, Callable[[Session], None]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    """What the same change costs without any peer, by name; run in every round as peers are."""

    left_out: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Peers that are not run, and why."""

    def unfit(self, peer: type[Peer]) -> str:
        """Why a peer cannot take part; empty if it can."""
        if self.layout.reach not in peer.reaches:
            return f"not over {self.layout.reach.name.lower()}"
        if self.deletes and not peer.deletes:
            return "does not repeat deletions"
        return self.left_out.get(peer.name, "")
