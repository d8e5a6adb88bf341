"""Which transfers are left to others: a table of small networks."""

import math
from itertools import pairwise

import pytest

from spool.key import Key
from spool.transfer import UUID, Direction, Transfer
from workers.routing.duty import LONGEST_S, SLACK_S, Question, holds
from workers.routing.graph import Graph, Link, Pace
from workers.routing.reserve import BAD_S, Reserve

HERE, B, C, CLOUD = UUID(b"a"), UUID(b"b"), UUID(b"c"), UUID(b"z")
KEY = Key(b"SHA256-s3--x")


def yes(_transfer: Transfer) -> bool:
    return True


def no(_transfer: Transfer) -> bool:
    return False


def link(uuid: UUID, cost: float, *, sends: bool = True, fetches: bool = True) -> Link:
    return Link(uuid, uuid.decode(), cost, sends, fetches, None, None)


NEAR_B = Graph.of(
    {
        HERE: [link(B, 100), link(C, 100), link(CLOUD, 1000)],
        B: [link(HERE, 100), link(C, 100), link(CLOUD, 200)],
        C: [link(HERE, 100), link(B, 100), link(CLOUD, 1000)],
    }
)

SMALL = Question(HERE, (HERE,), frozenset((B, CLOUD)), 1)


def ask(graph: Graph = NEAR_B, holders: str = "a", takers: str = "bcz", **more: object) -> set[str]:
    question = Question(
        HERE,
        tuple(UUID(each.encode()) for each in holders),
        frozenset(UUID(each.encode()) for each in takers),
        1 << 20,
        **more,  # type: ignore[arg-type]
    )
    return {uuid.decode() for uuid in holds(graph, question, {})}


@pytest.mark.parametrize("size", [0, 1 << 20, 10**19 - 1])
@pytest.mark.parametrize("speed", [1e-320, 1e-10, 1e6, math.inf])
@pytest.mark.parametrize("delay", [1.0, 1e308])
def test_whatever_others_say_of_their_ways_something_is_decided(
    size: int, speed: float, delay: float
) -> None:
    """Their configurations, and how fast they say they are, are read as they stand.

    Observed: networkx finds no tree among such numbers, and the scanner was a crash loop.
    """
    pace = Pace(speed, delay)
    graph = Graph.of(
        {
            who: [link(other, cost)._replace(up=pace, down=pace) for other, cost in ways]
            for who, ways in (
                (HERE, ((B, 200.0), (C, 200.0), (CLOUD, 1000.0))),
                (B, ((HERE, 200.0), (C, -1.0), (CLOUD, -1.0))),
                (C, ((HERE, 200.0), (B, 200.0), (CLOUD, 999_999_999.0))),
            )
        }
    )
    takers = frozenset((B, C, CLOUD))

    assert holds(graph, Question(HERE, (HERE,), takers, size), {}).keys() <= takers


def test_an_expensive_way_is_left_to_who_has_it_cheaper() -> None:
    assert ask() == {"z"}


def test_nothing_cheap_is_ever_held_back() -> None:
    graph = Graph.of(
        {HERE: [link(B, 100), link(C, 140)], B: [link(C, 1)], C: [link(B, 1), link(HERE, 1)]}
    )

    assert ask(graph, takers="bc") == set()


def test_only_what_is_expensive_is_thought_about() -> None:
    up, down = Direction.UPLOAD, Direction.DOWNLOAD

    assert NEAR_B.is_dear(HERE, Transfer(up, CLOUD, KEY))
    assert NEAR_B.is_dear(HERE, Transfer(down, CLOUD, KEY))
    assert not NEAR_B.is_dear(HERE, Transfer(up, B, KEY))
    assert not NEAR_B.is_dear(HERE, Transfer(down, UUID(b"unknown"), KEY))


def test_not_for_a_little_saving() -> None:
    graph = Graph.of({HERE: [link(B, 100), link(CLOUD, 250)], B: [link(CLOUD, 200)]})

    assert ask(graph, takers="bz") == set()


def test_who_runs_no_daemon_passes_nothing_on() -> None:
    own = [link(B, 100), link(CLOUD, 1000)]

    assert ask(Graph.of({HERE: own}), takers="bz") == set()
    assert ask(Graph.of({HERE: own, B: [link(CLOUD, 200)]}), takers="bz") == {"z"}


def test_who_does_not_want_it_passes_nothing_on() -> None:
    assert ask(takers="cz") == set()


def test_a_broken_edge_is_not_counted_on() -> None:
    assert ask(NEAR_B.without({(B, CLOUD)})) == set()


def test_two_copies_first() -> None:
    """Nobody but b could pass it on, and b is not reached: the cloud is the second copy."""
    assert ask(takers="bz", copies=3) == set()
    assert ask(takers="bcz", copies=3) == {"z"}


def test_the_first_who_had_it_sends_it() -> None:
    ring = Graph.of({HERE: [link(C, 200), link(B, 200)], B: [link(C, 200), link(HERE, 200)], C: []})

    assert ask(ring, holders="ba", takers="c") == {"c"}
    assert ask(ring, holders="ab", takers="c") == set()


def test_what_will_not_be_wanted_in_the_end_is_not_sent_by_an_expensive_way() -> None:
    """A transfer repository wants it only until all clients have it."""

    def wants(who: UUID, where: frozenset[UUID]) -> bool:
        return who != CLOUD or not where >= {HERE, B, C}

    lan = Graph.of({HERE: [link(B, 100), link(CLOUD, 1000)], B: [link(C, 100), link(CLOUD, 1000)]})
    assert ask(lan, wants=wants) == {"z"}

    only_by_cloud = Graph.of(
        {HERE: [link(B, 100), link(CLOUD, 1000)], C: [link(CLOUD, 1000, sends=False)], B: []}
    )
    assert ask(only_by_cloud, wants=wants) == set()


def test_what_spares_a_dear_way_is_used_though_it_will_not_be_wanted_in_the_end() -> None:
    """The store is cheap for both, and what they have between them is slow."""

    def wants(who: UUID, where: frozenset[UUID]) -> bool:
        return who != CLOUD or not where >= {HERE, B, C}

    graph = Graph.of(
        {
            HERE: [link(B, 100), link(C, 1000), link(CLOUD, 200)],
            B: [],
            C: [link(CLOUD, 200, sends=False)],
        }
    )

    assert ask(graph, wants=wants) == {"c"}


def test_all_who_have_it_find_the_same_ones_needless() -> None:
    """Else one leaves the store out, and the other counts on what comes by it."""
    c, d, e = (UUID(each) for each in (b"c", b"d", b"e"))

    def wants(who: UUID, where: frozenset[UUID]) -> bool:
        return who != CLOUD or not where >= {HERE, c, d, e}

    graph = Graph.of(
        {
            HERE: [link(CLOUD, 100), link(d, 160)],
            c: [link(CLOUD, 1000)],
            d: [link(HERE, 200)],
            e: [link(d, 1000)],
        }
    )
    takers, size = frozenset((HERE, d, CLOUD)), 1 << 20
    held = [set(holds(graph, Question(w, (c, e), takers, size, wants=wants), {})) for w in (c, e)]

    assert held == [{CLOUD}, set()]


def test_who_leave_it_to_the_same_one_do_not_send_it_all_at_once_when_he_does_not() -> None:
    a, b, c, d = (UUID(each) for each in (b"a", b"b", b"c", b"d"))
    graph = Graph.of({who: [link(CLOUD, 200)] for who in (a, b, c, d)})
    seconds = []
    for who in (b, c, d):
        (hold,) = holds(
            graph, Question(who, (a, b, c, d), frozenset((CLOUD,)), 1 << 20), {}
        ).values()
        seconds.append(hold.seconds)

    transfer_s = graph.ways[CLOUD][a].seconds(1 << 20)
    assert all(later - sooner > transfer_s for sooner, later in pairwise(seconds))


def test_one_of_a_lan_fetches_from_afar_and_the_other_waits() -> None:
    lan = Graph.of(
        {
            HERE: [link(B, 100), link(CLOUD, 1000)],
            B: [link(HERE, 100), link(CLOUD, 1000)],
        }
    )

    # By uuid: here comes first.
    assert ask(lan, holders="z", takers="ab") == set()
    other = Graph.of({UUID(b"A"): [link(HERE, 100), link(CLOUD, 1000)], HERE: lan_links()})
    assert ask(other, holders="z", takers="aA") == {"a"}


def lan_links() -> list[Link]:
    return [link(UUID(b"A"), 100), link(CLOUD, 1000)]


@pytest.mark.parametrize(("misses", "seconds"), [(0, SLACK_S), (1, SLACK_S / 2)])
def test_it_is_waited_for_as_long_as_it_deserves(misses: int, seconds: float) -> None:
    question = Question(HERE, (HERE,), frozenset((B, C, CLOUD)), 1)

    hold = holds(NEAR_B, question, {(B, CLOUD): misses})[CLOUD]

    assert seconds < hold.seconds < seconds + 15
    huge = Question(HERE, (HERE,), frozenset((B, C, CLOUD)), 1 << 60)
    assert holds(NEAR_B, huge, {})[CLOUD].seconds == LONGEST_S


def test_a_hold_is_kept_and_not_prolonged_then_counted_as_a_miss() -> None:
    reserve, hold = Reserve(HERE, no), holds(NEAR_B, SMALL, {})
    to_cloud = Transfer(Direction.UPLOAD, CLOUD, KEY)

    first = reserve.judge(KEY, [to_cloud], hold, 0.0).held[to_cloud]
    again = reserve.judge(KEY, [to_cloud], hold, 5.0).held[to_cloud]
    assert first == again

    assert not reserve.expired(first)
    assert reserve.misses == {(B, CLOUD): 1}
    assert KEY not in reserve


def test_a_hold_without_a_reason_ends_at_once() -> None:
    reserve, hold = Reserve(HERE, no), holds(NEAR_B, SMALL, {})
    to_cloud = Transfer(Direction.UPLOAD, CLOUD, KEY)
    reserve.judge(KEY, [to_cloud], hold, 0.0)

    assert reserve.judge(KEY, [to_cloud], {}, 1.0).released == [to_cloud]
    reserve.judge(KEY, [to_cloud], hold, 2.0)
    assert reserve.judge(KEY, [], hold, 3.0).needless == [to_cloud]
    reserve.judge(KEY, [to_cloud], hold, 4.0)
    assert reserve.arrived(KEY, [CLOUD]) == [to_cloud]


def test_three_misses_and_the_edge_rests_for_an_hour() -> None:
    reserve = Reserve(HERE, no)
    for number in range(3):
        hold = holds(NEAR_B, SMALL, reserve.misses)
        reserve.judge(KEY, [Transfer(Direction.UPLOAD, CLOUD, KEY)], hold, 0.0)
        assert reserve.expired(1e6) == (number == 2)

    assert reserve.broken(1e6) == {(B, CLOUD)}
    assert not reserve.broken(1e6 + BAD_S)


def test_what_is_queued_already_is_not_held_back() -> None:
    reserve, hold = Reserve(HERE, yes), holds(NEAR_B, SMALL, {})
    to_cloud = Transfer(Direction.UPLOAD, CLOUD, KEY)

    assert reserve.judge(KEY, [to_cloud], hold, 0.0).now == [to_cloud]
    assert not reserve
