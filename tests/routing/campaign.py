"""Trials of a network: once by tree, once by flood, with the same fault at the same time."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, final

from tests.routing import topologies
from tests.routing.nodes import Shape
from tests.routing.world import World
from workers.routing.duty import SLACK_S

SIZE: Final = 20_000_000
FAULTS: Final = ("kill", "cut", "silence")
DAY_S: Final = 86400.0
MORE: Final = 0.2
"""So much more than by the best tree may be spent: by a flood that was lucky, that is."""


@final
@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong, and for how long."""

    what: str
    at_s: float
    who: tuple[str, ...]
    lasts_s: float

    def strike(self, world: World) -> None:
        """Have it happen in time."""
        world.after(self.at_s, lambda: self._begin(world))
        if self.lasts_s < DAY_S:
            world.after(self.at_s + self.lasts_s, lambda: self._end(world))

    def _begin(self, world: World) -> None:
        match self.what:
            case "kill":
                world.kill(*self.who)
            case "cut":
                world.cut(*self.who)
            case _:
                world.silent.add((self.who[0], self.who[1]))

    def _end(self, world: World) -> None:
        match self.what:
            case "kill":
                world.revive(*self.who)
            case "cut":
                world.mend(*self.who)
            case _:
                world.silent.discard((self.who[0], self.who[1]))


def lived(shape: Shape, seed: int, origin: str, *faults: Fault, floods: bool = False) -> World:
    """What becomes of one content."""
    world = World(shape, seed, floods=floods)
    for fault in faults:
        fault.strike(world)
    world.add(origin, SIZE)
    world.run()
    return world


def some_fault(chance: random.Random, shape: Shape, *, forever: bool) -> Fault:
    """One of all that can go wrong."""
    what = chance.choice(FAULTS)
    who: tuple[str, ...] = chance.choice(shape.ways)[:2]
    if what == "kill":
        who = (chance.choice([name for name in shape.kinds if shape.kinds[name].acts]),)
    lasts = DAY_S if forever else chance.uniform(1, 300)
    return Fault(what, chance.uniform(0, 30), who, lasts)


def trial(seed: int) -> Iterator[str]:
    """One network of chance, and what is wrong with how it fares with a fault."""
    chance = random.Random(f"trial {seed}")
    shape = topologies.by_chance(seed)
    origin = chance.choice([name for name in shape.kinds if shape.kinds[name].acts])
    yield from _compare(shape, seed, origin, ())
    yield from _compare(shape, seed, origin, (some_fault(chance, shape, forever=True),))
    many = tuple(some_fault(chance, shape, forever=False) for _ in range(4))
    yield from _compare(shape, seed, origin, many)


def _compare(shape: Shape, seed: int, origin: str, faults: tuple[Fault, ...]) -> Iterator[str]:
    tree = lived(shape, seed, origin, *faults)
    flood = lived(shape, seed, origin, *faults, floods=True)
    again = lived(shape, seed, origin, *faults)
    key = next(iter(tree.nodes[origin].log))
    told = f"seed {seed} from {origin} {faults}:"
    if again.trace != tree.trace:
        yield f"{told} not the same twice"
    # Of equal trees one may be left for the other while things are on their way.
    if not faults and tree.price(tree.bytes) > flood.price(flood.bytes) * (1 + MORE):
        yield f"{told} dearer than a flood: {dict(tree.bytes)}, {dict(flood.bytes)}"
    spread = max(flood.at.values()) - 1000.0
    for (name, _key), at in tree.at.items():
        late = at - flood.at.get((name, key), at)
        if len(faults) < 2 and late > tree.longest_hold_s + spread + SLACK_S:
            yield f"{told} {name} waited {late:.0f} s longer"
    # A flood is faster, so it may bring what cannot be brought any more when a tree's turn comes:
    # what counts is that nothing is left which could be.
    lacking = tree.wanting(key)
    tree.flood()
    if lost := lacking - tree.wanting(key):
        yield f"{told} not delivered to {lost}"
