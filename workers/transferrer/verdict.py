"""How an attempt ended, and what becomes of its job.

``settle`` is the whole policy.  A verification that fails is tried three times (half a minute and
a minute apart, by the queue's rule), because the source may have been changed while it was read;
then it is given up.
"""

import contextlib
import logging
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, final

from spool.claim import Claim
from spool.errnos import FULL
from spool.queue import Queue
from spool.record import escape
from spool.transfer import Direction, Outcome
from workers.annex.p2p import ChangedError
from workers.copying import UNREADABLE

log = logging.getLogger(__name__)

WRONG_MAX_S: Final = 60.0
"""A job that has waited as long when its content is wrong again is given up: the third time."""


class StoppedError(Exception):
    """A batch is to end now; what has been copied stays, to be resumed."""


class End(Enum):
    """How an attempt ended."""

    DONE = auto()
    """The content is there, durably, and logged."""

    UNDONE = auto()
    """Not tried: something else stopped the batch, or the job was cancelled.  It is as it was."""

    NEEDLESS = auto()
    """There is nothing to send: the content has been dropped here."""

    BUSY = auto()
    """Somebody else transfers it."""

    FULL = auto()
    """There is no room for it."""

    FAILED = auto()
    """Another time."""

    WRONG = auto()
    """What was read is not the content of the key."""

    MISSING = auto()
    """The remote has not got it."""

    TAKEN = auto()
    """Somebody else moves it, and the other side has ended the connection for that."""

    ANNEX = auto()
    """Only git-annex can do it."""


OUTCOMES: Final = {
    End.DONE: Outcome.DONE,
    End.FAILED: Outcome.TEMPFAIL,
    End.MISSING: Outcome.PERMFAIL,
}
PUT_OFF_S: Final = {End.BUSY: 2.0, End.FULL: 20.0}
"""These waits do not grow: what is waited for is not the remote."""

TAKEN_MIN_S: Final = 2.0
TAKEN_MAX_S: Final = 300.0
"""``TAKEN`` waits grow: git-annex-shell may keep the lock for hours, for a client that is gone."""


class AttemptEndedError(Exception):
    """One attempt ended other than well; the batch goes on."""

    def __init__(self, end: End, why: str = "") -> None:
        super().__init__(why)
        self.end = end
        self.why = why


@final
@dataclass(frozen=True, slots=True)
class Verdict:
    """The end of one attempt."""

    claim: Claim
    end: End
    why: str = ""


class BrokenOffError(Exception):
    """An attempt ended in the middle of a content, for a reason at this side.

    Only the end of the connection ends that; but the remote is as good as it was.
    """

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.why)
        self.verdict = verdict


@contextlib.contextmanager
def on_our_side(claim: Claim) -> Iterator[None]:
    """Move a content in the block: what cannot be read, or written, here is no fault of theirs.

    Nor is it that ``annex.thin`` made it a user's file, and he has changed it meanwhile.
    """
    try:
        yield
    except ChangedError as changed:
        raise BrokenOffError(Verdict(claim, End.FAILED, f"here: {changed}")) from changed
    except OSError as failure:
        if failure.errno not in FULL | UNREADABLE:
            raise
        end = End.FULL if failure.errno in FULL else End.FAILED
        raise BrokenOffError(Verdict(claim, end, f"here: {failure.strerror}")) from failure


def settle(queue: Queue, remote: str, verdicts: Iterable[Verdict], now: float) -> None:
    """Settle the jobs; those of ``UNDONE`` and ``ANNEX`` keep their claims.

    ``remote`` is the name of the other repository.
    """
    by_end: dict[End, list[Verdict]] = {}
    for verdict in verdicts:
        by_end.setdefault(verdict.end, []).append(verdict)
    for end, group in by_end.items():
        _tell(remote, end, group)
        claims = [verdict.claim for verdict in group]
        if end in OUTCOMES:
            queue.settle(claims, OUTCOMES[end], now)
        for claim in claims:
            if end in PUT_OFF_S:
                claim.put_off(now + PUT_OFF_S[end])
            elif end is End.TAKEN:
                claim.put_off(now + taken_for_s(claim, now))
            elif end is End.WRONG:
                queue.settle([claim], _after_wrong(claim, now), now)
            elif end is End.NEEDLESS:
                claim.remove()


def taken_for_s(claim: Claim, now: float) -> float:
    """How long to leave a content to who has its lock over there: half as long as it has waited."""
    waited_s = now - float(claim.info.started or now)
    return min(max(TAKEN_MIN_S, waited_s / 2), TAKEN_MAX_S)


def _after_wrong(claim: Claim, now: float) -> Outcome:
    waited_s = now - float(claim.info.started or now)
    return Outcome.TEMPFAIL if waited_s < WRONG_MAX_S else Outcome.PERMFAIL


def _tell(remote: str, end: End, group: list[Verdict]) -> None:
    """One line for a batch: whatever is wrong fails hundreds of jobs at once."""
    first = group[0]
    match end:
        case End.FAILED:
            log.warning("tempfail %s: %s", _name(remote, group), first.why)
        case End.MISSING:
            log.warning("permfail %s: %s", _name(remote, group), first.why)
        case End.WRONG:
            for verdict in group:
                log.error("wrong %s: %s", verdict.claim.transfer, verdict.why)
        case End.FULL:
            pass  # said once for a remote, by ``gate``
        case _:
            log.debug("settled %s: %s", _name(remote, group), end.name)


def _name(remote: str, group: list[Verdict]) -> str:
    """``sending photos/a.jpg to usb, and 3 more``."""
    claim, more = group[0].claim, len(group) - 1
    what = escape(os.fsdecode(claim.info.associated_file or claim.transfer.key))
    upload = claim.transfer.direction is Direction.UPLOAD
    said = f"sending {what} to {remote}" if upload else f"getting {what} from {remote}"
    return f"{said}, and {more} more" if more else said
