"""Working on one lane: claim a batch, have it moved, settle it; then the next batch.

DIAGNOSTICS: one of ``LOST`` when the remote cannot be used; nothing is lost by it.
"""

import contextlib
import functools
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, final

from spool.claim import Claim
from spool.layout import Layout
from spool.queue import Queue
from spool.transfer import Lane
from workers.annex import masters
from workers.annex.failures import FAILURES as BRANCH_FAILURES
from workers.annex.limits import limits
from workers.annex.pipes import EndedError, SilentError
from workers.annex.remotes import Remote
from workers.annex.remoteurl import LocalPath, Ssh
from workers.annex.repository import RepositoryError
from workers.annex.stream import AnnexEndedError
from workers.git.stream import StreamEndedError
from workers.transferrer import byannex, calls, lines, native, order
from workers.transferrer.byannex import AnnexMover, ConnectionLostError
from workers.transferrer.calls import PeerMover
from workers.transferrer.far import AwayError, Far
from workers.transferrer.gate import Gates
from workers.transferrer.heed import Heed
from workers.transferrer.lines import Lines
from workers.transferrer.native import NativeMover
from workers.transferrer.near import Near
from workers.transferrer.speed import Speed
from workers.transferrer.verdict import BrokenOffError, End, StoppedError, Verdict, settle

LANE_S: Final = 5.0
"""How long one lane is worked on before the others are looked at again."""

FAILURES: Final = 2
"""So many failures of git-annex in a row, for reasons unknown, are a broken remote."""

LOST: Final = (
    *(AwayError, ConnectionLostError, AnnexEndedError, EndedError, StreamEndedError),
    *(*BRANCH_FAILURES, RepositoryError, OSError),
)


Move = Callable[[list[Claim]], None]


@final
@dataclass(frozen=True, slots=True)
class _Kept:
    """What has moved a batch, and its spares (``spool.spare``), for the next one."""

    lane: Lane
    far: Far
    mover: NativeMover
    until: float
    """Then the remote is left as git-annex would leave it, whatever there is to do (monotonic)."""


@final
class Lanes:
    """What a worker has at hand to work on any lane."""

    def __init__(self, paths: Layout, gates: Gates, heed: Heed, near: Near) -> None:
        self._paths = paths
        self._queue = Queue(paths)
        self._gates = gates
        self._heed = heed
        self._near = near
        self._annex = AnnexMover(near, paths, heed)
        self._lines = Lines()
        self._fars: dict[str, Far] = {}
        self._kept: _Kept | None = None
        self._speed = Speed(near.repository.common / "annex/annexd/cache")
        self._since = 0.0
        """When that was begun which is settled next (monotonic, s)."""

    def serve(self, lane: Lane, remote: Remote, names: list[bytes]) -> bool:
        """Work on a lane for a while; whether there was anything to claim.

        Nothing is opened before a job is claimed: of several workers that one job has woken, only
        one gets it.
        """
        move: Move | None = None
        try:
            most_bytes = order.bytes_most(self._bytes_per_s(lane, remote))
            for batch in self._batches(lane, order.batches(names, _most(remote), most_bytes)):
                with self._queue.claim(lane, batch, time.time()) as claims:
                    if claims:
                        self._gates.get_on()
                        self._since = time.monotonic()
                        move = move or self._open(lane, remote)
                        move(list(claims))
        except BaseException:
            self.let_go()
            raise
        return move is not None

    def let_go(self) -> None:
        """Close what keeps a remote from being unmounted; nothing is to be moved now."""
        kept, self._kept = self._kept, None
        if kept is None:
            return
        kept.mover.close()
        far = kept.far
        if far.is_same() and not far.fills_itself():
            # Leave it as git-annex would.
            far.fold(time.time())
        far.close()

    def get_ready(self, remote: Remote) -> None:
        """Read what is needed of a remote that is there, so that its first job need not wait."""
        with contextlib.suppress(*LOST):
            self._far(remote)

    def rest(self) -> None:
        """End the processes and connections that were kept in case there is more to do."""
        self.let_go()
        self._near.branch.close()
        self._annex.close()
        self._lines.hang_up()

    def stop(self) -> None:
        """The same, at once: what is under way is broken off."""
        self.let_go()
        self._near.branch.close()
        self._annex.kill()
        self._lines.cut()

    def _open(self, lane: Lane, remote: Remote) -> Move:
        """What moves and settles a batch, for as long as the lane is worked on."""
        if lines.speaks(remote):
            return self._handing_over(remote, functools.partial(self._call, lane, remote))
        far = self._far(remote)
        if far is None:
            return functools.partial(self._have_moved, remote)
        kept, now = self._kept, time.monotonic()
        if kept is None or (kept.lane, kept.far) != (lane, far) or now > kept.until:
            self.let_go()
            mover = NativeMover(self._near, far, lane, self._heed)
            kept = self._kept = _Kept(lane, far, mover, now + LANE_S)
        mover = kept.mover
        return self._handing_over(remote, lambda claims: [mover.move(claims)])

    def _handing_over(
        self, remote: Remote, attempt: Callable[[list[Claim]], Iterable[list[Verdict]]]
    ) -> Move:
        """What settles the attempts, and has git-annex do what only it can."""

        def move(claims: list[Claim]) -> None:
            left = []
            for verdicts in attempt(claims):
                self._settle(remote, verdicts)
                left += [verdict.claim for verdict in verdicts if verdict.end is End.ANNEX]
            if left:
                self._have_moved(remote, left)

        return move

    def _far(self, remote: Remote) -> Far | None:
        """The remote opened natively; None if only git-annex can use it."""
        if not is_native(remote):
            return None
        far = self._fars.get(remote.name)
        if far is None or not far.is_same():
            self._fars.pop(remote.name, None)
            try:
                far = self._fars[remote.name] = Far(remote)
            except RepositoryError:  # another version, or its locks are not ours
                return None
        return far

    def _call(self, lane: Lane, remote: Remote, claims: list[Claim]) -> Iterator[list[Verdict]]:
        try:
            line = self._lines.to(self._near.repository, remote)
            with contextlib.closing(PeerMover(self._near, line, remote, lane, self._heed)) as mover:
                for first in range(0, len(claims), mover.most):
                    yield mover.move(claims[first : first + mover.most])
                    if mover.ended:
                        self._lines.drop(remote)
                        self._gates.stumbled(remote, mover.ended, time.time())
                        return
        except StoppedError:
            # In the middle of a content: only the end of the connection ends it.
            self._lines.drop(remote)
        except BrokenOffError as ended:
            # The same; the job is put off, or it would be the first to be tried again.
            self._lines.drop(remote)
            yield [ended.verdict]
        except LOST as lost:
            self._lines.drop(remote)
            if isinstance(lost, SilentError) and isinstance(remote.way, Ssh):
                # Its master may be what says nothing, and would not the next time.
                masters.end(self._near.repository, remote.settings, remote.way)
            raise

    def _have_moved(self, remote: Remote, claims: list[Claim]) -> None:
        failures = 0
        for verdict in self._annex.move(remote, claims):
            self._settle(remote, [verdict])
            failures = failures + 1 if verdict.end is End.FAILED else 0
            if failures == FAILURES:
                raise ConnectionLostError(verdict.why)
            if failures:
                self._gates.stumbled(remote, verdict.why, time.time())

    def _settle(self, remote: Remote, verdicts: list[Verdict]) -> None:
        now, before, self._since = time.time(), self._since, time.monotonic()
        if any(verdict.end is End.DONE for verdict in verdicts):
            self._gates.succeeded(remote, now)
            self._speed.note(verdicts, self._since - before)
        full = next((verdict for verdict in verdicts if verdict.end is End.FULL), None)
        if full is not None:
            self._gates.lacks_room(remote, full.why, now)
        settle(self._queue, remote.name, verdicts, now)

    def _bytes_per_s(self, lane: Lane, remote: Remote) -> int | None:
        """How fast the lane may be worked on now; None: as fast as it goes."""
        far = self._far(remote)
        others = () if far is None else (native.other_side(self._near, far, lane),)
        ours = self._heed.throttle(lane, *others).bytes_per_s()
        set_for_it = limits(remote.settings, lane.direction).bytes_per_s
        return min((rate for rate in (ours, set_for_it) if rate is not None), default=None)

    def _batches(self, lane: Lane, batches: Iterable[list[bytes]]) -> Iterator[list[bytes]]:
        until = time.monotonic() + LANE_S
        for batch in batches:
            yield batch
            if time.monotonic() > until or not self._heed.goes_on(lane):
                return


def is_native(remote: Remote) -> bool:
    """Whether contents may go there natively."""
    return remote.native and isinstance(remote.way, LocalPath)


def _most(remote: Remote) -> int:
    """How many jobs of a lane to claim at once."""
    if lines.speaks(remote):
        return calls.BATCH_MAX
    return native.batch_max() if is_native(remote) else byannex.BATCH_MAX
