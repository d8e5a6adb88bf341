"""From a key, and what everybody wants, to the question that ``duty`` answers.  Pure."""

from collections.abc import Callable, Mapping
from typing import Final

from spool.key import parts
from spool.transfer import UUID
from workers.annex.uuidlogs import Trust
from workers.routing.duty import COPIES, Question
from workers.routing.graph import Graph
from workers.wanted import Item, Plan

Ages = Callable[[], Mapping[UUID, float]]
"""Since when who has it (Unix time, s), as its location log says, which all share."""

FRESH_S: Final = 60.0
DOUBT_S: Final = 2.0
"""Logs have whole seconds, and clocks differ.  Who has just got content from somebody may seem to
have had it as long: so while it is fresh, others are given that much."""


def question(plan: Plan, graph: Graph, item: Item, ages: Ages, now: float) -> Question:
    """What is to be asked about one key.

    Who is not trusted is not waited for.  Who is dead wants nothing; nor does anybody of whom only
    git-annex knows what he wants.
    """
    preferences = plan.preferences
    alive = preferences.alive(item.locations)
    since = dict(ages()) if len(alive) > 1 else {}
    if now - since.get(plan.here, 0.0) < FRESH_S:
        since[plan.here] += DOUBT_S
    holders = sorted(
        (uuid for uuid in alive if preferences.level(uuid) is not Trust.UNTRUSTED),
        key=lambda uuid: (since.get(uuid, 0), uuid),
    )
    return Question(
        here=plan.here,
        holders=tuple(holders),
        takers=frozenset(
            uuid
            for uuid in graph.ways
            if uuid not in item.locations
            and uuid not in preferences.dead
            and plan.wants(uuid, item, alive)
        ),
        # Rounded up: many contents are alike, and their trees are remembered.
        size=1 << (parts(item.key).size or 0).bit_length(),
        copies=max(COPIES, preferences.numcopies),
        wants=lambda uuid, where: plan.wants(uuid, item, where) is not False,
    )
