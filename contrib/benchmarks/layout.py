"""The nodes of a run, and how they are connected."""

from dataclasses import dataclass
from enum import Enum, auto


class Reach(Enum):
    """How the nodes reach each other."""

    PATH = auto()
    SSH = auto()


@dataclass(frozen=True, slots=True)
class Layout:
    """Files are written at node 0."""

    nodes: int = 2
    edges: tuple[tuple[int, int], ...] = ((0, 1),)
    """Who exchanges with whom, in the direction of the flow of files."""

    reach: Reach = Reach.PATH
    daemon_everywhere: bool = True
    """If not, peers whose daemon also serves plain remotes run one at node 0 only."""


PAIR = Layout()
