"""Parts of the work tree that are file systems of their own: merged, filled, and waited for."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.desks import nothing, paths
from tests.merging.steps import arrive, follows, merged, note, push, save
from tests.processes import run
from tests.repo import Repo
from tests.system.drives import Drive, drive, may_mount, unplug
from tests.watching import watched
from workers.inplace import Done, Name, look, put, replace, take_away
from workers.watcher.desk import Desk
from workers.watcher.fill import Fill
from workers.watcher.footing import Footing
from workers.watcher.joining import PASSING_S, Joining
from workers.watcher.merging import Merging
from workers.watcher.outcome import Held

pytestmark = may_mount


@pytest.fixture
def stick(pair: tuple[Repo, Repo], tmp_path: Path) -> Iterator[Drive]:
    """A drive that is mounted at ``d`` in ``b``."""
    with drive(tmp_path, "stick") as stick:
        (pair[1].path / "d").mkdir()
        stick.plug(pair[1].path / "d")
        yield stick


def send_elsewhere(a: Repo, b: Repo, name: str) -> None:
    """Have something new arrive for ``b`` that is not what was pushed to it before."""
    a.git("checkout", "-q", "-b", "other", "HEAD~")
    note(a, name, b"free")
    a.git("push", "-q", b.path, "other:refs/synced/other/main")
    a.git("checkout", "-q", "main")


@pytest.mark.usefixtures("stick")
def test_all_changes_reach_a_mount(pair: tuple[Repo, Repo], merging: Merging) -> None:
    a, b = pair
    save(a, "d/annexed", b"content")
    a.add("d/locked", b"locked content")
    for name in ("d/edited", "d/renamed", "d/e/gone", "inside"):
        note(a, name, b"first " + name.encode())
    push(a)
    merged(merging)
    follows(a, b)
    note(a, "d/edited", b"second")
    a.git("mv", "d/renamed", "outside")
    a.git("mv", "inside", "d/inside")
    a.git("mv", "d/locked", "d/deeper")
    a.git("rm", "-q", "d/e/gone")
    a.git("commit", "-qam", "changes")
    push(a)

    merged(merging)

    follows(a, b)
    assert paths(b) == {"d/annexed", "d/deeper", "d/edited", "d/inside", "outside"}
    assert b.read("d/edited") == b"second"
    assert not os.listdir(b.path / ".git/annex/annexd/tmp")


@pytest.mark.usefixtures("stick")
def test_contents_appear_on_a_mount(pair: tuple[Repo, Repo], merging: Merging, desk: Desk) -> None:
    a, b = pair
    save(a, "d/f", b"content")
    push(a)
    merged(merging)
    fill = Fill(desk, nothing)
    arrive(a, b, "d/f")

    fill.turn()

    assert b.read("d/f") == b"content"
    assert b.git("diff-files", "--name-only") == b""
    assert paths(b) == {"d/f"}


@pytest.mark.usefixtures("stick")
def test_what_a_user_has_changed_on_a_mount_stays(pair: tuple[Repo, Repo], tmp_path: Path) -> None:
    directory = os.open(pair[1].path / "d", os.O_RDONLY)
    name, temporary = Name(directory, b"f"), os.fsencode(tmp_path / "watcher-1-2-3")
    try:
        (pair[1].path / "d/f").write_bytes(b"seen")
        seen = look(name)
        assert seen is not None
        (pair[1].path / "d/f").write_bytes(b"another size")
        Path(os.fsdecode(temporary)).write_bytes(b"ours")

        assert replace(temporary, name, seen) is Done.CHANGED
        assert put(temporary, name) is Done.CHANGED
        assert take_away(temporary, name, seen) is Done.CHANGED
    finally:
        os.close(directory)

    assert paths(pair[1]) == {"d/f"}
    assert pair[1].read("d/f") == b"another size"


@pytest.mark.usefixtures("stick")
def test_links_on_a_mount_are_mended_and_leftovers_swept(pair: tuple[Repo, Repo]) -> None:
    b = pair[1]
    b.config("annex.assistant.allowunlocked", "true")
    b.write("d/.annexd-tmp-watcher-1-2-3", b"of a killed process")
    with watched(b) as watcher:
        b.write("d/locked", b"content")
        watcher.settle()
        (b.path / "d/e").mkdir()
        (b.path / "d/locked").rename(b.path / "d/e/locked")
        watcher.settle()

        assert b.tree().keys() == {b"d/e/locked"}
        assert b.read("d/e/locked") == b"content"
        assert paths(b) == {"d/e/locked"}


def test_what_is_mounted_below_dot_git_is_no_part_of_the_work_tree(
    pair: tuple[Repo, Repo], tmp_path: Path
) -> None:
    b = pair[1]
    inside = b.path / ".git/annex/transfer"
    with drive(tmp_path, "inside") as stick, watched(b) as watcher:
        (stick.hidden / "file").write_bytes(b"of git's")
        inside.mkdir(exist_ok=True)
        stick.plug(inside)
        b.write("file", b"content")
        watcher.settle()

        assert b.tree().keys() == {b"file"}
        assert "skip " not in watcher.log.read_text()
        assert not watcher.state().note("skipped")
        unplug(inside)
        watcher.settle()


@pytest.mark.usefixtures("stick")
def test_a_read_only_mount_holds_up_only_what_leads_there(
    pair: tuple[Repo, Repo], merging: Merging
) -> None:
    a, b = pair
    note(a, "first", b"first")
    note(a, "d/f", b"f")
    push(a)
    send_elsewhere(a, b, "free")
    run(["mount", "-o", "remount,ro", b.path / "d"])

    outcome = merged(merging)

    assert b.exists("free")
    assert not b.exists("d/f")
    assert outcome.passing
    assert "d/f" in outcome.held[0]
    assert "read-only" in outcome.held[0]
    assert isinstance(merging.merge(), Held)
    run(["mount", "-o", "remount,rw", b.path / "d"])
    merged(merging)
    assert b.read("d/f") == b"f"


def test_what_is_not_mounted_is_said_and_waited_for(
    pair: tuple[Repo, Repo], desk: Desk, stick: Drive
) -> None:
    a, b = pair
    joining = Joining(desk, Footing(desk), nothing)
    note(a, "d/f", b"before")
    push(a)
    now = time.monotonic()
    joining.merge(now)
    assert b.read("d/f") == b"before"
    note(a, "d/f", b"after")
    push(a)
    send_elsewhere(a, b, "free")
    unplug(b.path / "d")

    assert joining.merge(now) is None

    assert b.exists("free")
    assert not b.exists("d/f")
    assert "out of sight" in joining.held[0]
    assert "synced/main" in joining.held[0]
    assert joining.merge(joining.due()) is None  # synced/main, which does not follow
    assert joining.due() == now + PASSING_S
    stick.plug(b.path / "d")
    assert joining.merge(joining.due()) is None
    assert b.read("d/f") == b"after"
    assert not joining.held
