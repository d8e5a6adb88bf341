"""Drives that can be plugged in and pulled out, and disks that are full: real mounts."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import final

import pytest

from tests.processes import attempt, run

ROOT = os.geteuid() == 0

MAY_MOUNT = attempt(["unshare", "--mount", "true"])[0] == 0

may_mount = pytest.mark.skipif(not MAY_MOUNT, reason="mounting is not allowed here")


@final
@dataclass(frozen=True, slots=True)
class Drive:
    """A file system of its own; it keeps its content while it is not plugged in."""

    hidden: Path
    """Where it is always mounted, unseen by any daemon."""

    def plug(self, mountpoint: Path) -> None:
        """Mount it there; the directory must exist."""
        run(["mount", "--bind", self.hidden, mountpoint])

    def resize(self, megabytes: int) -> None:
        """Give it another size."""
        run(["mount", "-o", f"remount,size={megabytes}m", self.hidden])


def unplug(mountpoint: Path) -> None:
    """Pull it out, whoever is using it."""
    run(["umount", "-l", mountpoint])


def plugged(mountpoint: Path) -> bool:
    """Whether something is mounted there."""
    return mountpoint.is_mount()


@contextmanager
def mounted_read_only(path: Path) -> Iterator[None]:
    """A directory that nobody may write to, for as long as the block lasts."""
    run(["mount", "--bind", path, path])
    try:
        run(["mount", "-o", "remount,ro,bind", path])
        yield
    finally:
        unplug(path)


@contextmanager
def drive(place: Path, name: str, megabytes: int = 200) -> Iterator[Drive]:
    """A new, empty drive; at the end it and every mount of it are gone."""
    hidden = place / f".{name}"
    hidden.mkdir()
    run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", f"annexd-test-{name}", hidden])
    try:
        # A bind mount must not spread to the hidden place, or unplugging would too.
        run(["mount", "--make-private", hidden])
        yield Drive(hidden)
    finally:
        for line in reversed(Path("/proc/self/mountinfo").read_text().splitlines()):
            mountpoint = line.split()[4].encode().decode("unicode_escape")
            if Path(mountpoint).is_relative_to(place) and f"annexd-test-{name}" in line:
                attempt(["umount", "-l", mountpoint])
