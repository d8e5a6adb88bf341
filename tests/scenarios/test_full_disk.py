"""A full disk stops everything that writes, damages nothing, and when there is room, goes on."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemons import Fleet
from tests.processes import stays, wait_until
from tests.repo import Repo
from tests.scenarios.topology import join
from tests.synced import synced
from tests.system.drives import Drive, drive, may_mount

pytestmark = may_mount

MEGABYTE = 1_000_000


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Drive]:
    """A disk of 20 MB, plugged in at ``disk``."""
    (tmp_path / "disk").mkdir()
    with drive(tmp_path, "small", megabytes=20) as small:
        small.plug(tmp_path / "disk")
        yield small


@pytest.fixture
def cramped(tmp_path: Path, small: Drive) -> tuple[Repo, Repo]:
    """``a`` with plenty of room, and ``b`` on the small disk."""
    assert (tmp_path / "disk").stat().st_dev == small.hidden.stat().st_dev
    a = Repo.create(tmp_path / "a")
    a.git("commit", "-q", "--allow-empty", "-m", "start")
    b = a.clone(tmp_path / "disk/b")
    b.git("remote", "remove", "origin")
    join(a, b)
    for repo in (a, b):
        repo.config("annex.diskreserve", "1mb")
    return a, b


def test_filled_by_a_peer_it_recovers_when_there_is_room(
    cramped: tuple[Repo, Repo], fleet: Fleet, small: Drive
) -> None:
    """RT-17."""
    a, b = cramped
    daemons = fleet.serve(a, b)
    synced(a, b)

    for number in range(30):
        a.write(f"large/{number}", b"%02d" % number * (MEGABYTE // 2))
    wait_until(lambda: len(b.objects()) >= 3 or len(a.tree()) == 30, 60)
    stays(lambda: all(each.running() for each in fleet.daemons), 8)

    said = [line.split("]: ")[1] for line in daemons[1].log().splitlines() if "pause: " in line]
    assert len(said) == len(set(said)) > 0  # once each, however long it lasts
    b.git("fsck", "--full", "--strict", "--no-dangling")
    small.resize(200)
    synced(a, b, within_s=90)
    assert len(b.objects()) == 30
    fleet.settle()
    fleet.stop()
    b.check()
    fleet.stop()


def test_filled_by_somebody_else_it_recovers_when_there_is_room(
    cramped: tuple[Repo, Repo], fleet: Fleet, tmp_path: Path
) -> None:
    a, b = cramped
    fleet.serve(a, b)
    synced(a, b)

    filler = tmp_path / "disk/filler"
    with filler.open("wb") as file:
        fill_up(file.fileno())
    for number in range(10):
        a.write(f"while full/{number}", b"%d" % number * 10_000)
    synced(a)
    stays(lambda: all(each.running() for each in fleet.daemons), 8)
    b.git("fsck", "--full", "--strict", "--no-dangling")

    filler.unlink()
    b.write("mine", b"and now there is room")

    synced(a, b, within_s=90)
    fleet.settle()
    fleet.stop()
    a.check()
    b.check()
    fleet.stop()


def test_what_is_too_large_for_a_drive_keeps_nobody_waiting_when_it_is_deleted(
    cramped: tuple[Repo, Repo], fleet: Fleet
) -> None:
    a, b = cramped
    fleet.serve(a, b)
    synced(a, b)
    a.write("too large", b"1" * 30 * MEGABYTE)
    job = a.path / ".git/annex/transfer/queue/to" / b.uuid()
    wait_until(lambda: job.is_dir() and any(job.iterdir()), 60)

    (a.path / "too large").unlink()

    synced(a, b, within_s=60)
    fleet.settle()
    fleet.stop()
    a.check()
    b.check()


def fill_up(fd: int) -> None:
    """Write until there is no room for one byte."""
    for size in (MEGABYTE, 4096, 1):
        try:
            while True:
                os.write(fd, bytes(size))
        except OSError as error:
            assert error.errno == errno.ENOSPC  # noqa: PT017 -- every write but the last succeeds
