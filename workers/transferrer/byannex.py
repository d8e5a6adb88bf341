"""Moving contents by ``git-annex transferrer``: to and from every remote that is not a path.

One process serves one worker, for one remote after another, and is closed when there has been
nothing to do for a while.  It takes git-annex's locks, shows the transfer, verifies it, logs it
and fills the files itself; what is left to us is to choose, to watch it, and to judge its end.

git-annex does not tell why a transfer failed but in words for people, so the words are looked at
(and those of gpg and others that it has started), for five reasons that make a difference: the
connection, credentials, the disk, the content, somebody else.  An unknown reason only means to try
again later; by another process, for this one may remember what has been mended since.

DIAGNOSTICS: ``AnnexEndedError`` when the process ended, or was killed because nothing moved.
"""

import re
import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final, final

from spool import failed
from spool import key as keys
from spool.claim import Claim
from spool.footnote import Footnote
from spool.layout import Layout
from spool.transfer import Direction, Transfer
from workers.annex import agent
from workers.annex.credentials import NEEDED, are_needed
from workers.annex.limits import Pace, limits
from workers.annex.location import locations, log_path
from workers.annex.presence import Status
from workers.annex.record import record_locations
from workers.annex.remotes import Remote
from workers.annex.stream import AnnexEndedError, AnnexTimeoutError
from workers.annex.transferring import AnnexTransferrer, Ended, Event, Message, Progress
from workers.transferrer import easing
from workers.transferrer.heed import Heed
from workers.transferrer.near import Near
from workers.transferrer.toll import Toll
from workers.transferrer.verdict import End, StoppedError, Verdict

SILENCE: Final = Pace(1, 120.0)
"""What counts as stalled if ``annex.stalldetection`` is not set."""

LOOK_S: Final = 0.25
"""How often it is asked, while it moves something, whether to stop."""

BATCH_MAX: Final = 64
"""Jobs that are claimed at once."""

AHEAD_MAX: Final = 16
AHEAD_MAX_BYTES: Final = 4 << 20
"""Transfers, and bytes, that git-annex is asked for before it has done the first."""

WHY_MAX: Final = 250
"""How many characters of each thing said are kept as the reason."""

_HEAD: Final = 80


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
        self._heard: deque[Event] = deque()
        """What it has said and we have not looked at yet."""

        self._sent: deque[Claim] = deque()
        """What it was asked for, and has not ended."""

        self._goes_well = False
        """Whether this process has done something already."""

        self._told: int | None = None
        """The speed that it was started for; None: as fast as it goes."""

        self._settings: tuple[str, ...] = ()
        """That, in its words."""

    def move(self, remote: Remote, claims: Iterable[Claim]) -> Iterable[Verdict]:
        """Attempt the transfers, one by one; a verdict after each.

        Raises ``ConnectionLostError``, ``AnnexEndedError``.
        """
        if self._sent:
            self.kill()  # what it would say next is not about these
        waiting: deque[Claim] = deque()
        for claim, verdict in self._needless(list(claims)):
            if verdict is not None:
                yield verdict
            elif claim.transfer.key.find(b" ") >= 0:  # of 2011
                yield Verdict(claim, End.MISSING, "git-annex transferrer has no way to name it")
            else:
                waiting.append(claim)
        yield from self._move_all(remote, waiting)

    def _move_all(self, remote: Remote, waiting: deque[Claim]) -> Iterator[Verdict]:
        while True:
            for claim in [each for each in waiting if each.is_cancelled()]:
                waiting.remove(claim)
            try:
                self._send(remote, waiting)
            except StoppedError:
                waiting.clear()
            if not self._sent:
                return
            under_way = list(self._sent)
            try:
                verdict = self._await(remote, under_way[0])
            except StoppedError:
                return
            if len(self._sent) != len(under_way):  # ended: what it had not come to is yet to do
                waiting.extendleft(reversed(under_way[1:]))
            if self._sent:
                self._sent.popleft()
            yield verdict

    def close(self) -> None:
        """End the process; in peace, as it may have a journal to commit."""
        if self._transferrer is not None:
            self._transferrer.stream.close()
            self._forget()

    def kill(self) -> None:
        """End the process at once, and what it has started."""
        if self._transferrer is not None:
            self._transferrer.stream.kill()
            self._forget()

    def _forget(self) -> None:
        self._transferrer, self._goes_well = None, False
        self._heard.clear()
        self._sent.clear()

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

    def _send(self, remote: Remote, waiting: deque[Claim]) -> None:
        """Ask for one transfer, and for some more: git-annex is not to wait for us in between.

        Not for many, or much, for they cannot be taken back; not before one has gone well, as
        the answer to a question of git-annex's would stand behind them; and not where there is a
        limit on speed, which each has to begin with anew.
        """
        if waiting and not self._sent:
            self._heed.between(waiting[0].lane)
            self._start(remote, waiting[0])
            waiting.popleft()
        ahead = sum(map(_size, self._sent))
        while waiting and self._goes_well and len(self._sent) < AHEAD_MAX:
            ahead += _size(waiting[0])
            if ahead > AHEAD_MAX_BYTES or self._transferrer is None or self._transferrer.asks:
                return
            if self._settings or self._heed.throttle(waiting[0].lane).bytes_per_s() is not None:
                return
            self._heed.between(waiting[0].lane)
            self._transferrer.start(*_request(waiting[0]))
            self._sent.append(waiting.popleft())

    def _await(self, remote: Remote, claim: Claim) -> Verdict:
        """The end of the transfer that was asked for first."""
        pace = limits(remote.settings, claim.lane.direction).stall or SILENCE
        said: list[str] = []
        try:
            if self._run(remote, claim, pace, said):
                self._goes_well = True
                return Verdict(claim, End.DONE)
        except (AnnexEndedError, StoppedError):
            self.kill()
            raise
        # It may say the same twice; and a web server's answer may be a whole page.
        told = (line for line in (*said, *self._complaints()) if line.strip())
        words = list(dict.fromkeys(told))
        all_said = " / ".join(words)
        # ssh says why first, and whoever has started it that something went wrong.
        asking = [line for line in words if are_needed(line)]
        shown = [abridged(line) for line in (asking or words)[-4:]]
        why = " / ".join(shown) or "git-annex does not say why"
        # git-annex has put it on the failed list, but it stays in the queue: it is not given up.
        failed.clear(self._paths, claim.lane, [claim.transfer.key])
        for reason, end in _ENDS:
            if reason.search(all_said):
                return Verdict(claim, end, why)
        self.kill()
        if asking and not are_needed(why):  # that has been cut off
            why = f"{NEEDED}: {why}"
        if asking or _CONNECTION.search(all_said):
            raise ConnectionLostError(why)
        return Verdict(claim, End.FAILED, why)

    def _complaints(self) -> list[str]:
        return [] if self._transferrer is None else self._transferrer.stream.complaints()

    def _start(self, remote: Remote, claim: Claim) -> None:
        """Ask for a transfer, if need be of a new process.

        The old one may have died meanwhile, or know of another limit than there is now.
        """
        told = self._heed.throttle(claim.lane).bytes_per_s()
        settings = easing.settings(remote, claim.lane.direction, told)
        if settings != self._settings:
            self.close()
        self._told, self._settings = told if settings else None, settings
        if self._transferrer is not None:
            try:
                self._transferrer.start(*_request(claim))
            except AnnexEndedError:
                self.kill()
            else:
                self._sent.append(claim)
                return
        agent.refresh()
        self._transferrer = AnnexTransferrer(self._near.repository, *settings)
        self._transferrer.start(*_request(claim))
        self._sent.append(claim)

    def _run(self, remote: Remote, claim: Claim, pace: Pace, said: list[str]) -> bool:
        """Whether it succeeded; what it says is added to ``said``."""
        assert self._transferrer is not None  # noqa: S101 -- for mypy: it was asked
        throttle = self._heed.throttle(claim.lane)
        toll = Toll(throttle, None if self._settings and not easing.is_deaf(remote) else 0)
        size = keys.parts(claim.transfer.key).size
        shown = Footnote(self._paths, claim.transfer, size, time.time())
        done = mark = 0
        deadline = time.monotonic() + pace.period_s
        while True:
            self._heed.within()
            while self._heard:
                match self._heard.popleft():
                    case Ended(success):
                        if success and size is not None:
                            toll.end(size)
                        return success
                    case Message(text):
                        said.append(text)
                        del said[:-10]
                    case Progress(count):
                        done = count
                        shown.progress(done, time.time())
                        deadline += toll.take(done, self._transferrer.stream)
                    case _:
                        pass
            left = None if size is None else size - done
            if easing.begins_anew(left, self._told, throttle.bytes_per_s()):
                self.kill()
                self._start(remote, claim)
                return self._run(remote, claim, pace, said)
            now = time.monotonic()
            if abs(done - mark) >= pace.size:
                mark, deadline = done, now + pace.period_s
            elif now > deadline:
                self.kill()
                raise AnnexTimeoutError(f"stalled: nothing moved for {pace.period_s:.0f} s")
            self._heard.extend(self._transferrer.wait(LOOK_S))


def _size(claim: Claim) -> int:
    return keys.parts(claim.transfer.key).size or 0


def _request(claim: Claim) -> tuple[Transfer, bytes]:
    return claim.transfer, claim.info.associated_file or b""


def abridged(said: str) -> str:
    """What was said in one line, and if that is long, its beginning and its end.

    What has failed stands at the beginning; why, mostly at the end, as in what Haskell shows of a
    failed request.
    """
    line = " ".join(said.split())
    if len(line) <= WHY_MAX:
        return line
    return f"{line[:_HEAD]} … {line[len(line) - (WHY_MAX - _HEAD - 3) :]}"
