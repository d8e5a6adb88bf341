"""The sentry's loop.

What is told (a mount, a route, a directory's end, a poke…) only says *which remotes to look at*;
what is true is found by looking.  Each look at a path is an errand of its own, so that one dead
drive holds up neither the other remotes nor the loop.

Nothing is polled: the one timer, when nothing is the matter, is a sweep of all once an hour.
"""

import logging
import math
import os
import time
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Final, final

from spool.record import escape
from spool.remotes import errors, read_reach
from workers.annex import masters
from workers.annex.credentials import are_needed
from workers.annex.remotes import Remote
from workers.annex.repository import RepositoryError, find
from workers.annex.storeplace import place_of
from workers.git.run import GitError
from workers.mounts import Mounts, concern
from workers.process import Worker
from workers.sentry.configured import Configured
from workers.sentry.credentials import Credentials
from workers.sentry.hours import Hours
from workers.sentry.network import Network
from workers.sentry.note import forget, learn, note
from workers.sentry.suspension import Suspension
from workers.sentry.verdict import Verdict, judge_unseen
from workers.sentry.visit import Order
from workers.sentry.visits import Visits
from workers.sentry.watches import Watches
from workers.voice import Voice
from workers.wakeup import Event, Woken

log = logging.getLogger(__name__)

RETRY_S: Final = 20.0
"""After something could not be read, written or started."""

SWEEP_S: Final = 3600.0
"""All remotes are looked at so often, whatever has been told."""


def main(worker: Worker) -> None:
    """Serve until asked to stop."""
    Sentry(worker).serve()


@final
class Sentry:
    """What the loop knows from one turn to the next: a cache of what is on disk."""

    def __init__(self, worker: Worker) -> None:
        self._place = worker.place
        self._wakeup = worker.wakeup
        self._voice = Voice(worker)
        self._configured = Configured(worker.place, worker.wakeup)
        self._mounts = Mounts(worker.wakeup)
        self._network = Network(worker.wakeup)
        self._suspension = Suspension(worker.wakeup)
        self._credentials = Credentials(worker.wakeup, worker.place.annex)
        self._watches = Watches(worker.wakeup)
        self._visits = Visits(worker.wakeup)
        self._hours = Hours(worker.place.layout)
        self._due: set[str] = set()
        """Remotes to look at."""

        self._away_at: dict[str, float] = {}
        """Remote -> when it last may have been away, if only for a moment (Unix s)."""

        self._network_away_at = time.time()  # nobody knows how the network was before us
        self._next_sweep = -math.inf

    def serve(self) -> None:
        """Watch, look, wait."""
        while not self._wakeup.stopping:
            self._voice.listen()
            self._look()
            hours_due = self._keep_hours()  # before we say that we have looked
            if self._visits.are_awaited() or self._due - self._visits.names():
                self._voice.busy()
            else:
                self._voice.idle(self._notes())
            until = min(self._next_sweep, self._visits.deadline(), self._network.due)
            until = min(until, self._credentials.due, hours_due)
            self._hear(self._wakeup.wait(until))

    def _look(self) -> None:
        if time.monotonic() >= self._next_sweep:
            self._next_sweep = time.monotonic() + SWEEP_S
            before = self._configured.remotes
            self._sweep_within(self._configured.read())
            self._begin_anew(before)
            if self._configured.names is not None:
                forget(self._place, self._configured.names)
            self._due |= self._configured.remotes.keys()
            self._try_again_where_refused()  # somebody may have asked for it
        self._finish_visits()
        self._credentials.watch()
        for name in sorted(self._due - self._visits.names()):
            self._due.discard(name)
            if (remote := self._configured.remotes.get(name)) is not None:
                self._judge(remote)

    def _keep_hours(self) -> float:
        """Pause transfers out of hours; when to look again (monotonic, s)."""
        now = time.time()
        try:
            until = self._hours.keep(self._configured.window, now)
        except OSError as failure:
            log.warning("skip the transfer window: %s", failure.strerror)
            until = now + RETRY_S
        return time.monotonic() + max(0.0, until - now)

    def _judge(self, remote: Remote) -> None:
        away_at = self._away_at.get(remote.name, 0.0)
        if place_of(remote) is None:
            self._note(remote, judge_unseen(remote), max(away_at, self._network_away_at))
        elif not self._visits.begin(Order(self._place, remote, away_at, self._mounts.distant)):
            self._sweep_within(RETRY_S)

    def _finish_visits(self) -> None:
        remotes = self._configured.remotes
        ended, late = self._visits.take_ended(), self._visits.take_late()
        self._watches.take({each.name: each.watched for each in (*ended, *late) if each.watched})
        self._watches.keep({name for name, remote in remotes.items() if place_of(remote)})
        for name, worked, _watched in ended:
            remote = remotes.get(name)
            if remote is not None and not (worked and learn(self._place, remote)):
                self._sweep_within(RETRY_S)
        for name, *_ in late:
            if (remote := remotes.get(name)) is not None:
                self._note(remote, Verdict(here=False, why="its file system does not answer"), 0.0)

    def _note(self, remote: Remote, verdict: Verdict, away_at: float) -> None:
        try:
            note(self._place, remote, verdict, away_at)
        except OSError as failure:
            log.warning("skip the verdict on %s: %s", escape(remote.name), failure.strerror)
            self._sweep_within(RETRY_S)

    def _hear(self, woken: Woken) -> None:
        """Turn what has happened into remotes that are due."""
        if woken.reload or woken.overflow:
            self._sweep_within(0.0)
        if self._mounts.fd in woken.ready:
            self._suspect_drives(self._mounts.refresh())
        if self._network.fd in woken.ready:
            self._network.hear()
        if self._network.is_due() and self._network.has_gained():
            log.info("network: there is a new route or address")
            if self._network.has_moved:
                self._hang_up()
            self._network.has_moved = False
            self._renew()
        if self._suspension.fd in woken.ready:
            self._suspension.hear()
        if self._suspension.has_resumed():
            log.info("resume: this machine has slept")
            self._hang_up()
            self._renew()
        if self._credentials.have_changed() and self._try_again_where_refused():
            log.info("credentials: the agent, or a file with keys, has changed")
        for event in woken.events:
            self._hear_event(event)

    def _hear_event(self, event: Event) -> None:
        remotes = self._watches.concerns(event)
        known = self._credentials.hear(event)
        if remotes is not None:
            self._due |= remotes.keys()
            self._away_at |= {name: time.time() for name, gone in remotes.items() if gone}
        elif not known:  # the configuration, or a poke, or a watch that nobody needs
            self._sweep_within(0.0)

    def _suspect_drives(self, changed: Collection[bytes]) -> None:
        """Something was mounted or unmounted; perhaps both, and the table is as it was.

        ``changed`` are the mount points, if not.  Of one that has come and gone beside others, the
        end of a watched directory tells.
        """
        remotes = self._configured.remotes
        paths = {name: place_of(remote) for name, remote in remotes.items()}
        if changed:
            for name in list(paths):
                places = self._watches.places(name)
                if places and not any(concern(changed, place) for place in places):
                    del paths[name]
        self._due |= paths.keys()
        mounted = (
            name
            for name, path in paths.items()
            if path and any(map(self._mounts.are_below, (path, *self._watches.places(name))))
        )
        self._away_at |= dict.fromkeys(mounted, time.time())

    def _hang_up(self) -> None:
        """End shared connections, which may be dead: else whoever tries again waits for them."""
        try:
            ended = masters.end_all(find(self._place.worktree))
        except (RepositoryError, GitError, OSError) as failure:  # a process, too, may be lacking
            log.warning("skip the connections: %s", failure)
            return
        if ended:
            log.info("hang up %d ssh connections", ended)

    def _renew(self) -> None:
        """Everything behind a network is worth another try."""
        self._network_away_at = time.time()
        self._due |= self._configured.remotes.keys()

    def _begin_anew(self, before: Mapping[str, Remote]) -> None:
        """What a remote's settings have kept from being done may be possible now."""
        changed = (
            name
            for name, remote in self._configured.remotes.items()
            if _but_for_uuid(before.get(name, remote)) != _but_for_uuid(remote)
        )
        self._away_at |= dict.fromkeys(changed, time.time())

    def _try_again_where_refused(self) -> bool:
        """Have remotes that need credentials tried again; whether there are any."""
        refused = [
            name
            for name in self._configured.remotes
            if any(are_needed(why) for why in errors(self._place.remotes, os.fsencode(name)))
        ]
        self._due |= set(refused)
        self._away_at |= dict.fromkeys(refused, time.time())
        return bool(refused)

    def _sweep_within(self, delay_s: float) -> None:
        self._next_sweep = min(self._next_sweep, time.monotonic() + delay_s)

    def _notes(self) -> tuple[tuple[str, str], ...]:
        names = map(os.fsencode, self._configured.remotes)
        found = [read_reach(self._place.remotes, name) for name in names]
        here = sum(reach is not None and reach.here for reach in found)
        return (("here", str(here)), ("away", str(len(found) - here)))


def _but_for_uuid(remote: Remote) -> Remote:
    """Without what we, or git-annex, write down of a remote by ourselves."""
    settings = {name: value for name, value in remote.settings.items() if name != "uuid"}
    return replace(remote, uuid=None, settings=settings)
