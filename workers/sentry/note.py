"""A verdict is written down where everybody reads it: ``remotes/NAME/reach``.

``since`` says when it became so.  It is also the signal to try again: whoever had put a remote off
compares it with his last attempt.  So when a remote was away and back between two looks, or the
network was, the same verdict gets a new ``since``.
"""

import contextlib
import logging
import os
import time
from collections.abc import Collection
from pathlib import Path

from spool.place import Place
from spool.record import escape
from spool.remotes import Reach, directory_name, read_reach, write_reach
from spool.transfer import UUID, parse_uuid
from workers.annex import pathremote, repository, uuidlogs
from workers.annex.branch import Branch
from workers.annex.remotes import Remote
from workers.annex.uuidlogs import Trust
from workers.git.run import Git, GitError
from workers.git.stream import StreamEndedError
from workers.sentry.verdict import Verdict, judge

log = logging.getLogger(__name__)


def note(place: Place, remote: Remote, verdict: Verdict, away_at: float) -> None:
    """Write it, if it is new, or if ``away_at`` (Unix s) is later than it was noted.

    Raises ``OSError``.
    """
    name = os.fsencode(remote.name)
    old = read_reach(place.remotes, name)
    now = time.time()
    new = Reach(verdict.here, now, verdict.why, (verdict.uuid or b"").decode())
    if old is not None and (old.here, old.why, old.uuid) == (new.here, new.why, new.uuid):
        if away_at < old.since <= now:  # ahead of now: the clock was set back
            return
    elif verdict.here:
        log.info("here %s", escape(remote.name))
    else:
        log.info("away %s: %s", escape(remote.name), escape(verdict.why))
    write_reach(place.remotes, name, new)


def look_and_note(place: Place, remote: Remote, away_at: float) -> bool:
    """Judge a remote that has a path, and write the verdict down; False if that cannot be done.

    For a child (``workers.errand``): it may hang.
    """
    try:
        verdict = judge(remote, place.remotes)
    except OSError as failure:
        verdict = Verdict(here=False, why=str(failure))
    if not verdict.here and verdict.uuid is not None and verdict.uuid in _annexes(place):
        # Two drives that are mounted at the same place by turns are one remote with two uuids;
        # git-annex too then writes down the uuid that it finds.  A stranger is left alone.
        verdict = Verdict(here=True, uuid=verdict.uuid)
    try:
        note(place, remote, verdict, away_at)
    except OSError as failure:
        log.warning("skip the verdict on %s: %s", escape(remote.name), failure.strerror)
        return False
    return True


def learn(place: Place, remote: Remote) -> bool:
    """Write down a uuid that was found where ``remote`` leads; False if that cannot be done now.

    Not for a child: two that change the configuration would be in each other's way.
    """
    reach = read_reach(place.remotes, os.fsencode(remote.name))
    if reach is None or not (reach.here and reach.uuid):
        return True
    uuid = parse_uuid(reach.uuid.encode())
    if uuid == remote.uuid:
        return True
    try:
        pathremote.record(remote.name, uuid, Git(place.gitdir, place.worktree))
    except GitError as failure:
        log.warning("skip the uuid of %s: %s", escape(remote.name), failure)
        return False
    log.info("learnt %s is %s", escape(remote.name), uuid.decode())
    return True


def forget(place: Place, remotes: Collection[str]) -> None:
    """Remove what is known of remotes that are not among ``remotes``.

    The records of others too: another remote may get the name one day.
    """
    kept = {directory_name(os.fsencode(name)) for name in remotes}
    for directory in _directories(place.remotes):
        if directory.name not in kept:
            for name in ("reach", "store", "push", "tree", "transfer"):
                with contextlib.suppress(OSError):  # there is none; or a directory is in its place
                    (directory / name).unlink()
            with contextlib.suppress(OSError):  # locks of somebody's are still in it
                directory.rmdir()


def _annexes(place: Place) -> frozenset[UUID]:
    """The repositories that this annex knows and that are not dead; none if nobody can tell."""
    try:
        with Branch(repository.find(place.worktree)) as branch:
            logs = branch.read_all((b"uuid.log", b"trust.log"))
    except (repository.RepositoryError, GitError, StreamEndedError):
        return frozenset()  # other roles say so
    described, trust = uuidlogs.descriptions(logs[b"uuid.log"]), uuidlogs.trust(logs[b"trust.log"])
    return frozenset(uuid for uuid in described if trust.get(uuid) is not Trust.DEAD)


def _directories(remotes: Path) -> list[Path]:
    try:
        return [path for path in remotes.iterdir() if path.is_dir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
