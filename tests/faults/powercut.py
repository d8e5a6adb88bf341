"""Power cuts (class D): what is on the disk at any moment of a transaction, mounted again.

An ext4 lies in a file in memory, and is mounted by a loop device: what it has not written yet is
not in the file, so a copy of that is the disk after a power cut.  Two are taken before a change:
one as it is; and one after somebody else has synced a file of his own, which takes all names to the
disk (ext4 commits its journal) but not the contents that are still to be written.  That is the
state in which a name leads to nothing.
"""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, final

from tests.faults.campaign import Campaign, undisturbed
from tests.faults.intercept import GO_ON
from tests.faults.names import Call
from tests.faults.oracle import Oracle
from tests.faults.standing import stand
from tests.faults.transactions import Transaction
from tests.faults.world import make_canary
from tests.processes import attempt, run
from workers.git.syscalls import sync_file_system

MEGABYTES: Final = 320
MEMORY: Final = "/dev/shm"  # noqa: S108 -- directories of our own are made in it
"""Where the disks are."""
_OTHER: Final = "somebody else's"


@final
@dataclass(frozen=True, slots=True)
class Cut:
    """One moment."""

    number: int
    """Before which call."""
    names_first: bool
    """Whether all names have got to the disk, and contents have not."""

    def __str__(self) -> str:
        return f"cut{'-names-first' if self.names_first else ''}@{self.number}"

    @classmethod
    def parse(cls, text: str) -> "Cut":
        """The inverse of ``str``."""
        how, _, number = text.partition("@")
        return cls(int(number), how.endswith("-names-first"))


def why_not() -> str | None:
    """Why there are no power cuts here; None if there are."""
    if os.geteuid() != 0:
        return "only root can mount"
    with TemporaryDirectory(dir=MEMORY) as home:
        try:
            with _mounted(_format(Path(home) / "image", 8), Path(home)):
                return None
        except AssertionError as failure:
            return f"no ext4 on a loop device here: {failure}"


@final
class PowerCuts:
    """One transaction, on a disk of its own, in a directory in memory."""

    def __init__(self, transaction: Transaction, home: Path) -> None:
        self._image = home / "image"
        self._pristine = home / "pristine"
        self._home = home
        self.campaign = Campaign(transaction, home / "disk")
        self._oracle: Oracle | None = None

    @property
    def calls(self) -> list[Call]:
        """What an undisturbed run changes."""
        return self.campaign.calls

    def prepare(self) -> None:
        """Build the world, and see what the transaction comes to."""
        campaign, disk = self.campaign, self.campaign.home
        with _mounted(_format(self._image, MEGABYTES), disk):
            campaign.place.mkdir()
            (disk / _OTHER).touch()
            make_canary(campaign.place)
            campaign.transaction.build(campaign.place)
        _copy(self._image, self._pristine)
        with _mounted(self._image, disk):
            trace = campaign.run(undisturbed)
            assert trace.status == 0, trace.said
            campaign.calls = trace.calls
            campaign.recover()
            after = stand(campaign.place)
        _copy(self._pristine, self._image)
        with _mounted(self._image, disk):
            self._oracle = Oracle.ask(campaign.place, after)

    def cuts(self) -> Iterator[Cut]:
        """All there are."""
        for call in self.calls:
            yield Cut(call.number, names_first=False)
            yield Cut(call.number, names_first=True)

    def check(self, cuts: Iterable[Cut]) -> Iterator[tuple[Cut, list[str]]]:
        """Cut the power at each of those moments of one run; what is wrong after the next start."""
        wanted: dict[int, list[Cut]] = {}
        for cut in cuts:
            wanted.setdefault(cut.number, []).append(cut)
        calls: dict[int, Call] = {}

        def photograph(call: Call) -> int:
            for cut in sorted(wanted.get(call.number, ()), key=str):  # as it is, first
                calls[call.number] = call
                if cut.names_first:
                    _sync_other(self.campaign.home / _OTHER)
                _copy(self._image, self._photo(cut))
            return GO_ON

        _copy(self._pristine, self._image)
        with _mounted(self._image, self.campaign.home):
            self.campaign.run(photograph)
        for cut in (cut for number in sorted(calls) for cut in wanted[number]):
            self._photo(cut).rename(self._image)
            with _mounted(self._image, self.campaign.home):
                told = [f"{cut} {calls[cut.number]}: {problem}" for problem in self._judge()]
            yield cut, told

    def _photo(self, cut: Cut) -> Path:
        return self._home / str(cut)

    def _judge(self) -> list[str]:
        """Recover, twice, and ask."""
        assert self._oracle is not None, "prepare first"
        place = self.campaign.place
        try:
            self.campaign.recover()
            problems = self._oracle.at_rest(place)
            once = stand(place)
            self.campaign.recover()
        except AssertionError as failed:
            return [f"I2 {failed}"]
        return [*problems, *(f"I10 {told}" for told in once.differences(stand(place)))]


@contextlib.contextmanager
def cut_after(
    home: Path,
    build: Callable[[Path], None],
    work: Callable[[Path], None],
    *,
    btrfs: bool = False,
) -> Iterator[Path]:
    """A disk whose power was cut just after ``work(disk)``.

    What ``build(disk)`` makes is there, whole.  Of the rest all names have got to the disk (ext4);
    or, of ``btrfs``, only what was synced: there, to sync one file takes no other's name along.
    """
    image, photo, disk = home / "image", home / "photo", home / "disk"
    with _mounted(_format(image, MEGABYTES, btrfs=btrfs), disk):
        # By themselves they would write names down every 5, or 30 s; and ext4 alone would write the
        # contents of what replaces another file.
        more = "" if btrfs else ",noauto_da_alloc"
        run(["mount", "-o", f"remount,commit=300{more}", disk])
        (disk / _OTHER).touch()
        build(disk)
        sync_file_system(os.fsencode(disk))
        work(disk)
        if not btrfs:
            _sync_other(disk / _OTHER)
        _copy(image, photo)
    with _mounted(photo, disk):
        yield disk


def _format(image: Path, megabytes: int, *, btrfs: bool = False) -> Path:
    with image.open("wb") as file:
        file.truncate(megabytes << 20)
    run(["mkfs.btrfs", "-q", image] if btrfs else ["mkfs.ext4", "-q", "-F", "-m", "0", image])
    return image


@contextlib.contextmanager
def _mounted(image: Path, at: Path) -> Iterator[None]:
    at.mkdir(exist_ok=True)
    run(["mount", "-o", "loop", image, at])
    try:
        yield
    finally:
        if attempt(["umount", at])[0] != 0:  # something still runs there: say so by the next mount
            run(["umount", "-l", at])


def _copy(image: Path, to: Path) -> None:
    run(["cp", "--sparse=always", image, to])


def _sync_other(path: Path) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        os.write(fd, b"x")
        os.fsync(fd)
    finally:
        os.close(fd)
