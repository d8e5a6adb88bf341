"""What a person does to the spool: pause, resume, cancel, retry; just what the commands' help says.

Each changes files as ``touch`` and ``rm`` would, and tells nobody: whoever needs to know watches
them.
"""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence

from annexd.bulletin import Bulletin
from annexd.errors import AnnexdError
from annexd.remotelist import list_remotes
from annexd.requests import make_poke
from spool import failed, hold, key, running
from spool.hold import FOREVER, Hold
from spool.info import Info
from spool.key import Key
from spool.place import Place
from spool.queue import Queue
from spool.record import read
from spool.transfer import UUID, Transfer, parse_uuid

_About = Callable[[Transfer, bytes | None], bool]
"""Whether a transfer, with its associated file, is one that somebody means."""


def pause_transfers(place: Place, remote: str | None, for_s: float | None) -> None:
    """Start nothing more, with one remote or at all; for so long, or until resumed."""
    until = FOREVER if for_s is None else time.time() + for_s
    hold.create(place.layout, Hold(None if remote is None else find_uuid(place, remote), until))


def resume_transfers(place: Place, remote: str | None) -> None:
    """End the pause of one remote, else every pause."""
    uuids: Sequence[UUID | None] = (
        [pause.uuid for pause in hold.listing(place.layout, time.time())]
        if remote is None
        else [find_uuid(place, remote)]
    )
    for uuid in uuids:
        hold.release(place.layout, uuid)


def retry_transfers(place: Place, remote: str | None) -> int:
    """Make due what is put off, and queue again what has failed; returns how many.

    With a poke, as refs may have failed to go there, too.
    """
    now = time.time()
    queue = Queue(place.layout)
    only = None if remote is None else find_uuid(place, remote)
    uuids = {lane.uuid for lane in queue.lanes()} if only is None else {only}
    due = sum(queue.make_due(uuid, now) for uuid in uuids)
    again = [one for one in failed.listing(place.layout) if only in {None, one.transfer.uuid}]
    make_poke(place)
    # They leave the list of the failed when they succeed.
    return due + sum(
        queue.add(one.transfer, Info.begun(now, one.info.associated_file)) for one in again
    )


def cancel_transfers(place: Place, what: Sequence[str]) -> int:
    """Take what is meant out of the queue, and end it if it runs; returns how many."""
    meant = [_meant(place, one) for one in what]
    queue = Queue(place.layout)
    cancelled = set()
    for lane in queue.lanes():
        for job in list(queue.jobs(lane)):
            if any(about(job.transfer, job.info.associated_file) for about in meant):
                queue.cancel(job.transfer)
                cancelled.add(job.transfer)
    # The queue first: a worker that is ended gives its job back, and another one would go on.
    for one in list(running.listing(place.layout)):
        if any(about(one.transfer, one.info.associated_file) for about in meant):
            _end(place, one.pid)
            cancelled.add(one.transfer)
    return len(cancelled)


def _meant(place: Place, what: str) -> _About:
    """What a person means by a word: a remote, a key, a file, or a directory of files."""
    with contextlib.suppress(AnnexdError):
        uuid = find_uuid(place, what)
        return lambda transfer, _file: transfer.uuid == uuid
    with contextlib.suppress(ValueError):
        wanted: Key = key.parse(os.fsencode(what))
        return lambda transfer, _file: transfer.key == wanted
    name = relative(place, what)
    return lambda _transfer, file: file is not None and _is_below(file, name)


def relative(place: Place, path: str) -> bytes:
    """A path from where we stand, as one from the top of the work tree."""
    # The directory is resolved, but not its entry, which may be an annexed file's link.
    directory = os.path.realpath(os.path.dirname(path) or ".")
    whole = os.path.join(directory, os.path.basename(path))
    return os.fsencode(os.path.relpath(whole, place.worktree))


def _is_below(file: bytes, name: bytes) -> bool:
    return name in {file, b"."} or file.startswith(name + b"/")


def _end(place: Place, pid: int) -> None:
    """End a running transfer: its process group if that is a worker of ours, else just its process.

    git-annex's assistant ends a transfer by SIGTERM to the group of the lock's holder; but the
    group of a ``git annex get`` may be a person's script.
    """
    if pid <= 0:  # in another PID namespace
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):  # it has ended; not ours
        group = os.getpgid(pid)
        if group in set(_workers(place)):
            os.killpg(group, signal.SIGTERM)
        else:
            os.kill(pid, signal.SIGTERM)


def _workers(place: Place) -> Iterator[int]:
    with contextlib.suppress(ValueError):  # no bulletin
        for life in Bulletin.parse(read(place.supervisor) or b"").workers:
            if life.pid is not None:
                yield life.pid


def find_uuid(place: Place, remote: str) -> UUID:
    """The repository that a remote leads to; ``AnnexdError`` if there is none."""
    remotes = list_remotes(place)
    found = next((each for each in remotes if each.name == os.fsencode(remote)), None)
    if found is None:
        names = ", ".join(os.fsdecode(each.name) for each in remotes) or "none"
        raise AnnexdError(f"there is no remote {remote!r} here; there are: {names}")
    try:
        return parse_uuid(found.uuid)
    except ValueError:
        raise AnnexdError(
            f"git-annex does not know the repository at remote {remote!r} (yet)"
        ) from None
