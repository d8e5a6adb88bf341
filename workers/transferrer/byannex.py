"""Moving contents by ``git-annex transferrer``: to and from every remote that is not a path.

One process serves one worker, for one remote after another, and is closed when there has been
nothing to do for a while.  It takes git-annex's locks, shows the transfer, verifies it, logs it
and fills the files itself; what is left to us is to choose, to watch it, and to judge its end.

git-annex does not tell why a transfer failed but in words for people, so the words are looked at,
for four reasons that make a difference: the connection, the disk, the content, somebody else.
An unknown reason only means to try again later.

DIAGNOSTICS: ``AnnexEndedError`` when the process ended, or was killed because nothing moved.
"""

import re
import time
from collections.abc import Iterable
from typing import Final, final

from spool import failed
from spool import key as keys
from spool.claim import Claim
from spool.layout import Layout
from spool.transfer import Direction
from workers.annex import agent
from workers.annex.limits import Pace, limits
from workers.annex.location import locations, log_path
from workers.annex.presence import Status
from workers.annex.record import record_locations
from workers.annex.remotes import Remote
from workers.annex.stream import AnnexEndedError, AnnexTimeoutError
from workers.annex.transferring import AnnexTransferrer, Ended, Message, Progress
from workers.transferrer import easing
from workers.transferrer.heed import Heed
from workers.transferrer.near import Near
from workers.transferrer.toll import Toll
from workers.transferrer.verdict import End, StoppedError, Verdict

SILENCE: Final = Pace(1, 120.0)
"""What counts as stalled if ``annex.stalldetection`` is not set."""

LOOK_S: Final = 0.25
"""How often it is asked, while it moves something, whether to stop."""

BATCH_MAX: Final = 16

_CONNECTION: Final = re.compile(
    r"ssh: |connect to host|Could not resolve|Connection (?:refused|reset|closed|timed out)|"
    r"No route to host|Network is unreachable|Host key verification|Permission denied \(|"
    r"unable to (?:access|connect)|ConnectionFailure|HttpException|Temporary failure in name|"
    r"rsync error: .*(?:socket|timeout|unexplained)|remote .*not (?:available|accessible)|"
    r"directory .*not (?:available|accessible)|does not exist|"
    r"cannot be used since it's not verified",
    re.IGNORECASE,
)
_FULL: Final = re.compile(r"not enough free space|No space left|Disk quota", re.IGNORECASE)
_WRONG: Final = re.compile(r"Verification of content failed|hash does not match", re.IGNORECASE)
_BUSY: Final = re.compile(r"transfer already in progress|unable to take transfer lock")

_ENDS: Final = ((_BUSY, End.BUSY), (_FULL, End.FULL), (_WRONG, End.WRONG))


class ConnectionLostError(Exception):
    """The remote cannot be reached; the text is git-annex's."""


@final
class AnnexMover:
    """Has git-annex move one job after another."""

    def __init__(self, near: Near, paths: Layout, heed: Heed) -> None:
        self._near = near
        self._paths = paths
        self._heed = heed
        self._transferrer: AnnexTransferrer | None = None
        self._told: int | None = None
        """The speed that it was started for; None: as fast as it goes."""

        self._settings: tuple[str, ...] = ()
        """That, in its words."""

    def move(self, remote: Remote, claims: Iterable[Claim]) -> Iterable[Verdict]:
        """Attempt the transfers, one by one; a verdict after each.

        Raises ``ConnectionLostError``, ``AnnexEndedError``.
        """
        for claim, verdict in self._needless(list(claims)):
            if verdict is None:
                try:
                    self._heed.between(claim.lane)
                    attempted = self._attempt(remote, claim)
                except StoppedError:
                    return
                yield attempted
            else:
                yield verdict

    def close(self) -> None:
        """End the process; in peace, as it may have a journal to commit."""
        if self._transferrer is not None:
            self._transferrer.stream.close()
            self._transferrer = None

    def kill(self) -> None:
        """End the process at once, and what it has started."""
        if self._transferrer is not None:
            self._transferrer.stream.kill()
            self._transferrer = None

    def _needless(self, claims: list[Claim]) -> Iterable[tuple[Claim, Verdict | None]]:
        """What need not be sent, or is here already, is settled without git-annex."""
        near = self._near
        tuning = near.repository.tuning
        sent: dict[bytes, bytes] = {}
        if claims and claims[0].lane.direction is Direction.UPLOAD:
            sent = near.branch.read_all(log_path(each.transfer.key, tuning) for each in claims)
        for claim in claims:
            key = claim.transfer.key
            here = near.objects.locate(key) is not None
            if claim.lane.direction is Direction.DOWNLOAD:
                if here:
                    uuid = near.repository.uuid
                    record_locations(near.branch, [key], uuid, Status.PRESENT, time.time())
                yield claim, Verdict(claim, End.DONE) if here else None
            elif claim.lane.uuid in locations(sent[log_path(key, tuning)]):
                yield claim, Verdict(claim, End.DONE)
            else:
                yield claim, None if here else Verdict(claim, End.NEEDLESS)

    def _attempt(self, remote: Remote, claim: Claim) -> Verdict:
        pace = limits(remote.settings, claim.lane.direction).stall or SILENCE
        said: list[str] = []
        try:
            if self._run(remote, claim, pace, said):
                return Verdict(claim, End.DONE)
        except ValueError as unnameable:
            return Verdict(claim, End.MISSING, str(unnameable))
        except (AnnexEndedError, StoppedError):
            self.kill()
            raise
        why = (
            " / ".join([line for line in said if line.strip()][-3:]) or "git-annex does not say why"
        )
        # git-annex has put it on the failed list, but it stays in the queue: it is not given up.
        failed.clear(self._paths, claim.lane, [claim.transfer.key])
        for reason, end in _ENDS:
            if reason.search(why):
                return Verdict(claim, end, why)
        if _CONNECTION.search(why):
            raise ConnectionLostError(why)
        return Verdict(claim, End.FAILED, why)

    def _start(self, remote: Remote, claim: Claim) -> AnnexTransferrer:
        """Ask for a transfer, if need be of a new process.

        The old one may have died meanwhile, or know of another limit than there is now.
        """
        transfer, file = claim.transfer, claim.info.associated_file or b""
        direction = claim.lane.direction
        told = self._heed.throttle(claim.lane).bytes_per_s
        settings = easing.settings(remote, direction, told)
        if settings != self._settings:
            self.close()
        self._told, self._settings = told if settings else None, settings
        if self._transferrer is not None:
            try:
                self._transferrer.start(transfer, file)
            except AnnexEndedError:
                self.kill()
            else:
                return self._transferrer
        agent.refresh()
        self._transferrer = AnnexTransferrer(self._near.repository, *settings)
        self._transferrer.start(transfer, file)
        return self._transferrer

    def _run(self, remote: Remote, claim: Claim, pace: Pace, said: list[str]) -> bool:
        """Whether it succeeded; what it says is added to ``said``."""
        transferrer = self._start(remote, claim)
        throttle = self._heed.throttle(claim.lane)
        toll = Toll(throttle, None if self._settings and not easing.is_deaf(remote) else 0)
        size = keys.parts(claim.transfer.key).size
        done = mark = 0
        deadline = time.monotonic() + pace.period_s
        while True:
            self._heed.within()
            for event in transferrer.wait(LOOK_S):
                match event:
                    case Ended(success):
                        if success and size is not None:
                            toll.end(size)
                        return success
                    case Message(text):
                        said.append(text)
                        del said[:-10]
                    case Progress(count):
                        done = count
                        deadline += toll.take(done, transferrer.stream)
                    case _:
                        pass
            left = None if size is None else size - done
            if easing.begins_anew(left, self._told, throttle.bytes_per_s):
                self.kill()
                return self._run(remote, claim, pace, said)
            now = time.monotonic()
            if abs(done - mark) >= pace.size:
                mark, deadline = done, now + pace.period_s
            elif now > deadline:
                self.kill()
                raise AnnexTimeoutError(f"stalled: nothing moved for {pace.period_s:.0f} s")
