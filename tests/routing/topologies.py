"""The networks of docs/TESTING.md (Y), and some that chance makes."""

import random
from itertools import combinations, pairwise

from tests.routing.nodes import Kind, Shape, Way

PATH, LAN, FAR = 100.0, 200.0, 1000.0
CLIENT = Kind(group="client")
HUB = Kind(acts=False)
STORE = Kind(acts=False, git=False)
TRANSFER = Kind(acts=False, git=False, group="transfer")


def both(one: str, other: str, cost: float) -> tuple[Way, Way]:
    """Each is the other's remote."""
    return Way(one, other, cost), Way(other, one, cost)


def line(count: int, cost: float = LAN) -> Shape:
    """Each knows its neighbours only."""
    names = "abcdefghijklmnopqrstuvwxyz"[:count]
    ways = [way for one, other in pairwise(names) for way in both(one, other, cost)]
    return Shape({name: Kind() for name in names}, tuple(ways))


def ring(count: int, cost: float = LAN) -> Shape:
    """A line whose ends meet."""
    shape = line(count, cost)
    names = list(shape.kinds)
    return Shape(shape.kinds, (*shape.ways, *both(names[0], names[-1], cost)))


def clique(count: int, cost: float = LAN) -> Shape:
    """Everybody knows everybody."""
    names = "abcdefghijklmnopqrstuvwxyz"[:count]
    ways = [way for pair in combinations(names, 2) for way in both(*pair, cost)]
    return Shape({name: Kind() for name in names}, tuple(ways))


def star(clients: int) -> Shape:
    """A bare hub, and clients that know nothing else."""
    names = [f"c{number}" for number in range(clients)]
    kinds = {"hub": HUB} | {name: Kind() for name in names}
    return Shape(kinds, tuple(Way(name, "hub", LAN) for name in names))


def laptops(cloud: Kind = TRANSFER) -> Shape:
    """efficiency.mdwn: three laptops in a row, and a cloud that all of them share."""
    kinds = dict.fromkeys("abc", CLIENT) | {"cloud": cloud}
    ways = (*both("a", "b", PATH), *both("b", "c", PATH))
    return Shape(kinds, (*ways, *(Way(name, "cloud", FAR) for name in "abc")))


def near_cloud() -> Shape:
    """Three on a LAN, and a store that one of them has cheaper than the others."""
    ways = [way for pair in combinations("abc", 2) for way in both(*pair, PATH)]
    costs = {"a": FAR, "b": LAN, "c": FAR}
    stores = (Way(name, "cloud", cost) for name, cost in costs.items())
    return Shape(dict.fromkeys("abc", Kind()) | {"cloud": STORE}, (*ways, *stores))


def two_lans() -> Shape:
    """Two LANs that only a cloud connects."""
    ways = [*both("a", "b", PATH), *both("c", "d", PATH)]
    ways += [Way(name, "cloud", FAR) for name in "abcd"]
    return Shape(dict.fromkeys("abcd", Kind()) | {"cloud": HUB}, tuple(ways))


def courier() -> Shape:
    """Two halves between which a drive is carried."""
    ways = [*both("a", "b", LAN), *both("c", "d", LAN)]
    ways += [Way("b", "drive", PATH), Way("c", "drive", PATH)]
    return Shape(dict.fromkeys("abcd", Kind()) | {"drive": HUB}, tuple(ways))


def one_way() -> Shape:
    """Each pushes to the next one, which cannot reach it; and some can only pull."""
    ways = (Way("a", "b", LAN), Way("b", "c", LAN), Way("d", "c", LAN), Way("d", "e", FAR))
    return Shape(dict.fromkeys("abcde", Kind()), ways)


def by_chance(seed: int) -> Shape:
    """Up to eight repositories of all kinds, connected somehow, some of them in one direction."""
    chance = random.Random(f"shape {seed}")
    names = "abcdefgh"[: chance.randint(3, 8)]
    kinds = {}
    for name in names:
        acts = name == "a" or chance.random() < 0.75
        kinds[name] = Kind(
            acts=acts,
            git=acts or chance.random() < 0.6,
            group=chance.choice(["", "", "client", "client", "" if acts else "transfer"]),
        )
    ways = []
    for place, name in enumerate(names[1:], start=1):
        ways += _some_way(chance, kinds, chance.choice(names[:place]), name)
    for pair in combinations(names, 2):
        if chance.random() < 0.35:
            ways += _some_way(chance, kinds, *pair)
    return Shape(kinds, tuple({way[:2]: way for way in ways}.values()))


def _some_way(chance: random.Random, kinds: dict[str, Kind], one: str, other: str) -> list[Way]:
    cost = chance.choice([PATH, PATH, LAN, LAN, FAR])
    ways = [way for way in both(one, other, cost) if kinds[way.owner].acts]
    return ways if chance.random() < 0.8 else ways[:1]
