"""The crew: the supervisor's workers, each a service with a life of its own.

Everything that becomes of a worker is looked up in ``annexd.service``; this module turns exits
and the clock into that table's events, and carries out its actions: fork, signal, arm a timer.

DIAGNOSTICS: a worker that dies is a warning, with what becomes of it; one that cannot be killed
is an error, and the rest goes on.
"""

import contextlib
import logging
import math
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

from annexd import child
from annexd.bulletin import Life
from annexd.errors import describe
from annexd.service import Action, Death, Event, State, delay_s, next_tally, step
from spool import rest
from spool.place import Place
from workers.process import Leave, Post, Worker
from workers.roles import Role

log = logging.getLogger(__name__)

STOP_S = 3.0
"""How long a worker may take to stop before it is killed."""

KILL_S = 0.4
"""How long the kernel may take to end what was killed.  With ``STOP_S`` and twice
``strays.END_S`` less than the 5 s within which everything has to be gone."""


@final
@dataclass(slots=True)
class Service:
    """A worker, as the supervisor sees it."""

    role: Role
    slot: int
    name: str
    wanted: bool = True
    state: State = State.DOWN
    pid: int | None = None
    started: float = 0.0
    """When its present or last life began: Unix time, s."""

    born: float = 0.0
    """The same by the monotonic clock."""

    timer: float = math.inf
    delay_s: float = 0.0
    restarts: int = 0
    """Not counting those after it had left by itself."""

    has_left: bool = False
    tally: int = 0
    """Early deaths in a row."""

    crashes: int = 0
    """Deaths that were its own doing."""


@final
class Crew:
    """All workers of one repository."""

    def __init__(self, place: Place, enter: Callable[[Post], Worker]) -> None:
        self._place = place
        self._enter = enter
        """Makes a worker of a forked child; runs in the child."""

        self._services: list[Service] = []

    @property
    def timer(self) -> float:
        """When ``fire_timers`` is needed next; monotonic, s."""
        return min((service.timer for service in self._services), default=math.inf)

    @property
    def is_down(self) -> bool:
        """Whether no worker runs, or will."""
        return all(service.state is State.DOWN for service in self._services)

    def wanted(self) -> tuple[Service, ...]:
        """The services that are to run."""
        return tuple(service for service in self._services if service.wanted)

    def lives(self) -> tuple[Life, ...]:
        """What to say of each in the bulletin."""
        return tuple(
            Life(service.name, service.pid, service.started, service.restarts, service.state)
            for service in self._services
            if service.wanted or service.state is not State.DOWN
        )

    def want(self, roles: Sequence[Role], delay_s: float = 0.0) -> None:
        """Make these the workers that run: start what is missing, stop what is too many."""
        places = {
            name: (role, slot) for role in roles for slot, name in enumerate(role.workers(), 1)
        }
        known = {service.name: service for service in self._services}
        for name, (role, slot) in places.items():
            service = known.get(name)
            if service is None:
                service = Service(role, slot, name)
                self._services.append(service)
            service.wanted = True
            service.delay_s = delay_s
            self._advance(service, Event.DELAYED if delay_s else Event.WANTED)
        for name in known.keys() - places.keys():
            self._unwant(known[name])

    def stop(self) -> None:
        """Ask all to stop; from now on nothing is started."""
        for service in self._services:
            self._unwant(service)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to every worker that runs, but not to its children."""
        for service in self._services:
            if service.pid is not None:
                os.kill(service.pid, number)

    def reap(self) -> set[int]:
        """See to every child that has ended; returns the pids of those that were not workers."""
        others = set()
        while (pid := _ended()) is not None:
            # Its group first: while it is a zombie nobody else can get its number.
            service = next((one for one in self._services if one.pid == pid), None)
            if service is not None:
                _kill_group(pid)
            _, status = os.waitpid(pid, 0)
            if service is not None:
                self._died(service, status)
            else:
                others.add(pid)
        return others

    def fire_timers(self) -> None:
        """See to every service whose time has come."""
        now = time.monotonic()
        for service in self._services:
            if service.timer <= now:
                service.timer = math.inf
                self._advance(service, Event.TIMER)

    def rouse(self) -> None:
        """Start those that were resting and are needed."""
        for service in self._services:
            if service.state is State.RESTING and not self._may_rest(service):
                self._advance(service, Event.ROUSED)

    def _may_rest(self, service: Service) -> bool:
        """Whether it still says so, and there is another to notice when there is work."""
        return rest.is_resting(self._place.rest, service.name) and any(
            one.role.name == service.role.name and one.state is State.UP and one is not service
            for one in self._services
        )

    def _unwant(self, service: Service) -> None:
        service.wanted = False
        self._advance(service, Event.UNWANTED)

    def _died(self, service: Service, status: int) -> None:
        death = Death(time.monotonic() - service.born, status)
        pid, service.pid = service.pid, None
        service.timer = math.inf
        leave = death.leave()
        if leave is not None and service.state is State.UP:
            log.debug("leave %s[%d] after %.1f s: %s", service.name, pid, death.lived_s, leave.name)
            self._left(service, leave)
            return
        service.tally = next_tally(service.tally, death)
        service.crashes += not death.was_killed()
        service.delay_s = delay_s(service.tally, death)
        before = service.state
        self._advance(service, Event.DIED_EARLY if service.delay_s else Event.DIED)
        if before is State.UP and pid is not None:
            log.warning(
                "died %s[%d] after %.1f s with %s; starts again in %.0f s",
                *(service.name, pid, death.lived_s, death, service.delay_s),
            )
        elif service.wanted:  # wanted again while it was stopping
            self._advance(service, Event.WANTED)

    def _left(self, service: Service, leave: Leave) -> None:
        service.has_left = True
        rests = leave is Leave.TO_REST and self._may_rest(service)
        self._advance(service, Event.RESTED if rests else Event.RENEWED)

    def _advance(self, service: Service, event: Event) -> None:
        service.state, action = step(service.state, event)
        match action:
            case Action.SPAWN:
                self._spawn(service)
            case Action.ARM_TIMER:
                service.timer = time.monotonic() + service.delay_s
            case Action.TERMINATE:
                assert service.pid is not None  # noqa: S101 -- for mypy: the table says so
                os.kill(service.pid, signal.SIGTERM)
                service.timer = time.monotonic() + STOP_S
            case Action.KILL:
                log.warning("kill %s[%d]: it did not stop in time", service.name, service.pid)
                assert service.pid is not None  # noqa: S101 -- for mypy: the table says so
                _kill_group(service.pid)
                service.timer = time.monotonic() + KILL_S
            case Action.GIVE_UP:
                log.error("left %s[%d]: it cannot be killed", service.name, service.pid)
                service.pid = None
            case Action.NOTHING:
                pass

    def _spawn(self, service: Service) -> None:
        if service.started and not service.has_left:
            service.restarts += 1
        service.has_left = False
        service.started, service.born = time.time(), time.monotonic()
        try:
            service.pid = child.fork(lambda: self._live(service), self._place.died / service.name)
        except OSError as failure:  # no memory, no pids: like a worker that dies at once
            self._died(service, child.CRASHED << 8)
            log.warning("tempfail start of %s: %s", service.name, describe(failure))

    def _live(self, service: Service) -> Leave | None:
        role = service.role
        return role.main(self._enter(Post(service.name, service.slot, role.hints)))


def _ended() -> int | None:
    """A child that has ended and was not waited for yet; None if there is none."""
    try:
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    return found.si_pid if found is not None else None


def _kill_group(pid: int) -> None:
    # Nobody is left in it; or only what has become another user's.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
