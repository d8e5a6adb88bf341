"""``annexd demo``: two repositories, both with annexd, and a file on its way from one to the other.

What is shown is observed from outside, with inotify and git: nothing in annexd knows of the demo.
"""

import os
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from annexd.admission import find_programs
from annexd.errors import TemporaryError
from annexd.launch import begin
from annexd.repository import find_place
from annexd.show import show_status
from annexd.stopping import stop
from spool.layout import lock_dirs, queue_lane
from spool.place import Place
from spool.transfer import Direction, Lane, parse_uuid
from workers.git.run import run
from workers.wakeup import ENTRIES, Wakeup

TIMEOUT_S = 60.0
FILE = "holiday.jpg"
SIZE_BYTES = 1 << 20

LOOK_S = 0.25
"""The longest time between two looks, should inotify miss something."""


@final
@dataclass(slots=True)
class Journey:
    """What has been seen of the file so far."""

    here: Place
    there: Place
    content: bytes
    head: bytes
    names: set[bytes] = field(default_factory=set)
    """Of spool files, below ``transfer`` of either side, that are or have been there."""

    def committed(self) -> bool:
        """The branch has moved."""
        return _head(self.here) != self.head

    def queued(self) -> bool:
        """A job for it has been in a queue."""
        return any(name.startswith((b"queue/to/", b"queue/from/")) for name in self.names)

    def transferred(self) -> bool:
        """Somebody has held the lock of its transfer."""
        return any(b"/lck." in name for name in self.names)

    def arrived(self) -> bool:
        """Its content is in the other work tree."""
        try:
            return (self.there.worktree / FILE).read_bytes() == self.content
        except FileNotFoundError:
            return False

    def logged(self) -> bool:
        """git-annex says that both have it; it is asked once that may be so."""
        if not (self.committed() and self.arrived()):
            return False
        said = run(("git-annex", "whereis", "--json", "--", FILE), cwd=self.here.worktree)
        return said.count(b'"uuid":') >= 2  # noqa: PLR2004 -- both


def run_demo() -> None:
    """Show it; raises ``AnnexdError`` if it does not work."""
    find_programs()
    folder = Path(tempfile.mkdtemp(prefix="annexd-demo-"))
    _say(f"Two repositories in {folder}: here and there, each a remote of the other.")
    try:
        _show(folder)
    finally:
        for name in ("here", "there"):
            if (folder / name / ".git/annex").is_dir():
                stop(find_place(folder / name))
        _remove(folder)
        _say("Both are stopped, and everything is removed.")


def _show(folder: Path) -> None:
    here, there = _make_pair(folder)
    _make_lanes(here, there)
    begin(here).finish()
    begin(there).finish()
    _say("annexd runs in both.  Now a file of 1 MiB is written here:")
    journey = Journey(here, there, os.urandom(SIZE_BYTES), _head(here))
    wakeup = Wakeup()
    watched: dict[int, bytes] = {}
    _watch(wakeup, watched, journey)
    started = time.monotonic()
    (here.worktree / FILE).write_bytes(journey.content)
    _say(f"  {0:6.3f} s  here/{FILE} is written and closed")
    milestones = _milestones(journey)
    while milestones:
        now = time.monotonic()
        reached = [each for each in milestones if each[1]()]
        for text, _ in reached:
            _say(f"  {now - started:6.3f} s  {text}")
        milestones = [each for each in milestones if each not in reached]
        if wakeup.stopping:
            raise KeyboardInterrupt
        if now - started > TIMEOUT_S:
            _explain(folder, milestones[0][0])
        woken = wakeup.wait(now + LOOK_S)
        journey.names |= {
            watched[event.wd] + event.name for event in woken.events if event.wd in watched
        }
        _watch(wakeup, watched, journey)
    _say(f"Both work trees have the file, and git-annex knows it: git annex whereis {FILE}")


def _milestones(journey: Journey) -> list[tuple[str, Callable[[], bool]]]:
    return [
        ("it is in a commit on this side's branch", journey.committed),
        ("its transfer is queued: a file in .git/annex/transfer/queue", journey.queued),
        ("it is transferred, under git-annex's own lock", journey.transferred),
        (f"there/{FILE} has the content", journey.arrived),
        ("the location log says that both have it", journey.logged),
    ]


def _watch(wakeup: Wakeup, watched: dict[int, bytes], journey: Journey) -> None:
    """Watch both spools, with the directories they have now, and what else shows a milestone."""
    for place in (journey.here, journey.there):
        transfer = place.layout.transfer
        for path, _, names in os.walk(transfer):
            below = path[len(transfer) + 1 :] + b"/"
            wd = wakeup.watch(path, ENTRIES)
            if wd is not None:
                watched[wd] = below
            journey.names |= {below + name for name in names}
    refs, journal = journey.here.common / "refs/heads", journey.here.annex / "journal"
    for directory in (journey.there.worktree, refs, journal):
        wakeup.watch(os.fsencode(directory), ENTRIES)


def _make_lanes(here: Place, there: Place) -> None:
    """The spool's directories between the two, so that nothing in them comes and goes unseen."""
    for place, other in ((here, there), (there, here)):
        uuid = parse_uuid(_git(other.worktree, "config", "annex.uuid").strip())
        for lane in (Lane(direction, uuid) for direction in Direction):
            for names in (queue_lane(lane), *lock_dirs(lane)):
                os.makedirs(place.layout.below(names), exist_ok=True)


def _explain(folder: Path, missing: str) -> None:
    for name in ("here", "there"):
        show_status(folder / name)
        _say((folder / name / ".git/annex/annexd/log").read_text(errors="backslashreplace"))
    raise TemporaryError(f"not within {TIMEOUT_S:.0f} s: {missing}; see above, and: annexd doctor")


def _make_pair(folder: Path) -> tuple[Place, Place]:
    """Two clones with a commit in common, each a remote of the other."""
    here, there = folder / "here", folder / "there"
    _git(folder, "init", "-q", "-b", "main", os.fspath(here))
    _identify(here)
    _git(here, "commit", "-q", "--allow-empty", "-m", "start")
    _git(folder, "clone", "-q", "--origin", "here", os.fspath(here), os.fspath(there))
    _identify(there)
    _git(here, "remote", "add", "there", os.fspath(there))
    for path in (here, there):
        run(("git-annex", "init", "-q", path.name), cwd=path)
    for path in (there, here):
        run(("git-annex", "sync", "-q", "--no-content"), cwd=path)
    return find_place(here), find_place(there)


def _identify(path: Path) -> None:
    """An empty HOME has no git identity."""
    _git(path, "config", "user.name", "annexd demo")
    _git(path, "config", "user.email", "demo@localhost")


def _git(cwd: Path, *args: str) -> bytes:
    return run(("git", *args), cwd=cwd)


def _head(place: Place) -> bytes:
    return _git(place.worktree, "rev-parse", "HEAD")


def _remove(folder: Path) -> None:
    """Remove everything; git-annex write-protects the directories of its objects."""
    for path, names, _ in os.walk(folder):
        for name in names:
            below = os.path.join(path, name)
            if not os.path.islink(below):
                os.chmod(below, stat.S_IRWXU)
    shutil.rmtree(folder)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
