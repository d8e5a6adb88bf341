"""Whole daemons beside remotes at paths that do not answer: their drives, or server, have gone."""

import contextlib
import os
from pathlib import Path

import pytest

from tests.daemons import Fleet
from tests.hanging import hanging, needs_fuse
from tests.processes import wait_until
from tests.repo import Repo

DEAD = 3


@needs_fuse
@pytest.mark.timeout(120)
def test_a_remote_gets_contents_though_the_disks_of_all_others_are_dead(
    fleet: Fleet, pair: tuple[Repo, Repo], tmp_path: Path
) -> None:
    """One at a path holds one transferrer, and there are no fewer of these than that."""
    a, b = pair
    clones = [a.clone(tmp_path / f"clone{number}") for number in range(DEAD)]
    for clone in clones:
        a.git("remote", "add", clone.path.name, clone.path)
    a.annex("sync", "-q", "--no-content")  # only now it knows their uuids
    with contextlib.ExitStack() as disks:
        for clone in clones:
            disks.enter_context(hanging(tmp_path / f"{clone.path.name}-mnt"))
            a.config(f"remote.{clone.path.name}.url", f"{clone.path}-mnt")
            a.config(f"remote.{clone.path.name}.annex-cost", "50")
        fleet.annexd(a)

        key = a.add("file", b"content")

        found = b.path / ".git/annex/objects"
        wait_until(lambda: any(found.glob(f"*/*/*/{os.fsdecode(key)}")))
