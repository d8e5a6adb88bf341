"""Whether one remote can be reached, judged by what is there.

A remote that is a path, or a store in a directory, is looked at.  Of any other the sentry only
knows that nothing speaks against trying: whether it answers is found out by who has something to
send, and a gained network is a reason to try again (``spool.remotes.Reach.since``).

Nothing is ever made at a remote's path.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import assert_never, final

from spool.transfer import UUID
from workers.annex import pathremote, storeplace
from workers.annex.pathremote import Look, State
from workers.annex.remotes import Remote, Unusable
from workers.annex.remoteurl import LocalPath


@final
@dataclass(frozen=True, slots=True)
class Verdict:
    """What the sentry says of a remote."""

    here: bool
    why: str = ""
    uuid: UUID | None = None
    """The repository's that is there, whatever the configuration says."""


def judge_unseen(remote: Remote) -> Verdict:
    """The verdict on a remote without a path."""
    if isinstance(remote.way, Unusable):
        return Verdict(here=False, why=remote.way.reason)
    return Verdict(here=True, uuid=remote.uuid)


def judge(remote: Remote, records: Path) -> Verdict:
    """Look at a remote that has a path.  May hang for as long as its file system does."""
    if isinstance(remote.way, LocalPath):
        return weigh(remote, pathremote.look(remote))
    why = storeplace.missing(remote, records)
    if why:
        return Verdict(here=False, why=why)
    storeplace.remember(remote, records)
    return Verdict(here=True, uuid=remote.uuid)


def weigh(remote: Remote, look: Look) -> Verdict:
    """What a look at a path means.  Pure."""
    match look.state:
        case State.HERE:
            return Verdict(here=True, uuid=look.uuid)
        case State.AWAY:
            return Verdict(here=False, why=f"no repository at {remote.url}")
        case State.IMPOSTOR:
            return Verdict(
                here=False,
                why=f"another repository is at {remote.url}, not {_text(remote.uuid)}",
                uuid=look.uuid,
            )
        case State.UNINITIALISED | State.INITIALISABLE:
            if remote.uuid is not None:
                why = f"a repository unknown to git-annex is at {remote.url}"
                return Verdict(here=False, why=f"{why}, not {_text(remote.uuid)}")
            return Verdict(here=True, why="not a git-annex repository yet")
        case State.REFUSED:
            return Verdict(here=False, why=look.reason)
        case _ as unreachable:
            assert_never(unreachable)


def _text(uuid: UUID | None) -> str:
    return uuid.decode() if uuid is not None else "none"
