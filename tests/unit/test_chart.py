"""The map: what is kept of other repositories, and the graph that it makes."""

import os
from pathlib import Path

from spool.place import Place
from spool.transfer import UUID
from workers.routing import chart
from workers.routing.chart import Charted
from workers.routing.graph import Link, Pace

A, B, C = UUID(b"a"), UUID(b"b"), UUID(b"c")
LINK = Link(C, "c", 100.0, sends=True, fetches=False, up=Pace(1e6, 0.5), down=None)
CHARTED = Charted(B, 5.0, "path", tended=True, links=(LINK,))


def place(tmp_path: Path) -> Place:
    (tmp_path / ".git/annex").mkdir(parents=True)
    return Place(tmp_path, tmp_path / ".git", tmp_path / ".git")


def test_it_is_kept_and_may_be_lost(tmp_path: Path) -> None:
    at = place(tmp_path)
    chart.store(at, {B: CHARTED})

    assert chart.load(at) == {B: CHARTED}
    path = at.cache / "map"
    path.write_bytes(path.read_bytes()[:-1])
    assert chart.load(at) == {}
    os.unlink(path)
    assert chart.load(at) == {}


def test_only_who_runs_a_daemon_acts() -> None:
    own = [LINK._replace(uuid=B)]

    found = chart.graph(A, own, {B: CHARTED}, {})
    edge = found.between(B, C)
    assert edge is not None
    assert edge.pushed
    assert not edge.pulled
    assert edge.pace == Pace(1e6, 0.5)
    assert chart.graph(A, own, {B: CHARTED}, {B: False}).between(B, C) is None


def test_our_own_remotes_are_as_they_are_now_and_not_as_on_the_map() -> None:
    old = Charted(A, 5.0, "path", tended=True, links=(LINK,))

    assert chart.graph(A, [], {A: old}, {A: True}).between(A, C) is None
