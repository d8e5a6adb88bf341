"""How an attempt ended, and what becomes of its job.

``settle`` is the whole policy.  A verification that fails is tried three times (half a minute and
a minute apart, by the queue's rule), because the source may have been changed while it was read;
then it is given up.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, final

from spool.claim import Claim
from spool.queue import Queue
from spool.transfer import Outcome

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
    """Not tried: something else stopped the batch.  The job is as it was."""

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

    ANNEX = auto()
    """Only git-annex can do it."""


OUTCOMES: Final = {
    End.DONE: Outcome.DONE,
    End.FAILED: Outcome.TEMPFAIL,
    End.MISSING: Outcome.PERMFAIL,
}
PUT_OFF_S: Final = {End.BUSY: 2.0, End.FULL: 60.0}
"""These waits do not grow: what is waited for is not the remote."""


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


def settle(queue: Queue, verdicts: Iterable[Verdict], now: float) -> None:
    """Settle the jobs; those of ``UNDONE`` and ``ANNEX`` keep their claims."""
    by_end: dict[End, list[Verdict]] = {}
    for verdict in verdicts:
        by_end.setdefault(verdict.end, []).append(verdict)
    for end, group in by_end.items():
        _tell(end, group)
        claims = [verdict.claim for verdict in group]
        if end in OUTCOMES:
            queue.settle(claims, OUTCOMES[end], now)
        for claim in claims:
            if end in PUT_OFF_S:
                claim.put_off(now + PUT_OFF_S[end])
            elif end is End.WRONG:
                queue.settle([claim], _after_wrong(claim, now), now)
            elif end is End.NEEDLESS:
                claim.remove()


def _after_wrong(claim: Claim, now: float) -> Outcome:
    waited_s = now - float(claim.info.started or now)
    return Outcome.TEMPFAIL if waited_s < WRONG_MAX_S else Outcome.PERMFAIL


def _tell(end: End, group: list[Verdict]) -> None:
    """One line for a batch: a full disk fails hundreds of jobs at once."""
    first, more = group[0], len(group) - 1
    match end:
        case End.FULL:
            log.warning("full %s (and %d more): %s", first.claim.transfer, more, first.why)
        case End.FAILED:
            log.warning("tempfail %s (and %d more): %s", first.claim.transfer, more, first.why)
        case End.MISSING:
            log.warning("permfail %s (and %d more): %s", first.claim.transfer, more, first.why)
        case End.WRONG:
            for verdict in group:
                log.error("wrong %s: %s", verdict.claim.transfer, verdict.why)
        case _:
            log.debug("settled %s (and %d more): %s", first.claim.transfer, more, end.name)
