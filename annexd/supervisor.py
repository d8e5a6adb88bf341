"""The supervisor: keeps the workers of one repository running.

It knows nothing of git.  It is single threaded and never execs, so that forking is safe and the
workers share its memory.  Its workers' lives are ``annexd.crew``'s business; this module sees to
what concerns all of them: signals, readiness, the bulletin, and how it ends.

Signals (annexd(1)): SIGTERM and SIGINT stop everything.  SIGHUP makes all workers read their
configuration again; but when it says that our terminal has gone, it stops everything too.

If it is killed, the lifeline takes the workers along (``workers.lifeline``), the undertaker what
they had put into the background (``annexd.strays``), and the kernel drops the daemon lock.  What
the workers were doing is in the spool.

DIAGNOSTICS: ``NeverReadyError`` when a worker keeps crashing before all have started once.  A
bulletin that cannot be written is a warning.
"""

import gc
import logging
import math
import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import final

from inotify_simple import flags as inotify

from annexd import child, strays
from annexd.bulletin import Bulletin
from annexd.crew import Crew
from annexd.errors import TemporaryError, describe
from annexd.instance import TITLE, Instance
from annexd.lastword import last_word
from annexd.leftovers import clear_leftovers
from annexd.notify import Starter
from annexd.programs import Programs
from annexd.remains import has_vanished
from annexd.surroundings import has_terminal
from spool.record import escape, make_directory, replace
from workers.annex.masters import end_left
from workers.process import Post, Worker, enter
from workers.roles import Role
from workers.title import set_title
from workers.wakeup import VANISHING, Hints, Wakeup

log = logging.getLogger(__name__)

SETTLE_S = 1.0
"""How long our directory must have been gone before we make it again."""

RETRY_S = 60.0
"""How long to wait for the next try if that could not be done."""

_GONE = "the repository has gone"

_REPLACED = int(inotify.DELETE | inotify.MOVED_TO)

CRASHES_MAX = 3
"""When a worker has crashed this often before all were ready, the start has failed."""

COLLECTIONS = (20_000, 20, 20)
"""gc.set_threshold(): a worker makes hardly any cycles, and each walk of all that it holds in a
burst costs: a twentieth of the processor's time, as Python has it."""


class NeverReadyError(TemporaryError):
    """A worker kept crashing during the start.  Everything has been stopped again."""


@final
class Supervisor:
    """The parent of all workers of one repository."""

    def __init__(
        self,
        instance: Instance,
        roles: Callable[[], Sequence[Role]],
        starter: Starter,
        log_path: Path | None,
        programs: Programs,
    ) -> None:
        self._instance = instance
        self._place = place = instance.place
        self._roles = roles
        self._starter = starter
        self._log_path = log_path
        self._programs = programs
        self._is_replaced = False
        self._crew = Crew(place, self._enter)
        # nohup has SIGHUP ignored: then the terminal may go.
        ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        self._had_terminal = not ignored and has_terminal()
        self._wakeup = Wakeup(Hints.PLAIN, os.fsencode(place.common))
        signal.pthread_sigmask(signal.SIG_SETMASK, ())  # whoever started us may have blocked some
        # Its handler does nothing: that it has one makes the signal end our wait.
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        self._read_end, self._write_end = os.pipe2(os.O_CLOEXEC)
        self._token = strays.mark_descendants()
        self._undertaker = 0
        self._started = time.time()
        self._ready: float | None = None
        self._failure: str | None = None
        self._stopping = False
        self._state_watch: int | None = None
        self._settle_at = math.inf
        self._heartbeat = time.monotonic() if starter.watchdog_s < math.inf else math.inf
        self._bulletin: bytes | None = b""
        """As it was written last; None if that failed."""
        self._written: os.stat_result | None = None
        """The file that was written then."""
        self._rewrite_at = math.inf
        self._home = place.worktree.stat()
        """To tell whether another directory has taken the work tree's place."""

    def run(self, startdelay_s: float = 0.0) -> bool:
        """Serve until asked to stop; returns when no descendant is left.

        True if annexd is to be started again, because its programs have been replaced.
        """
        set_title("annexd", f"{TITLE} {self._place.worktree}")
        strays.adopt()
        clear_leftovers(self._place)
        self._settle_in()
        gc.collect()
        gc.freeze()  # what is here now is never collected, so its pages stay shared
        gc.set_threshold(*COLLECTIONS)
        self._crew.want(self._roles(), startdelay_s)
        if startdelay_s:
            self._announce_ready()
        self._after_turn()
        while not self._crew.is_down:
            self._turn()
        left = strays.end_children(self._wakeup)
        if left:
            log.error("left: these processes cannot be killed: %s", left)
        log.info("stopped")
        if self._failure is not None:
            raise NeverReadyError(self._failure)
        return self._is_replaced

    @property
    def is_to_stop(self) -> bool:
        """Whether somebody has asked it to stop."""
        return self._wakeup.stopping

    def _turn(self) -> None:
        """Sleep; then see to everything that may have happened."""
        woken = self._wakeup.wait(self._until())
        if self._wakeup.stopping:
            self._stop("asked to")
        elif woken.reload and not self._stopping:  # else it would start all of them again
            self._hang_up()
        if self._undertaker in self._crew.reap():
            self._undertaker = 0
        self._wakeup.watch(os.fsencode(self._place.rest), int(inotify.DELETE))
        self._crew.rouse()
        self._crew.fire_timers()
        self._after_turn()

    def _until(self) -> float:
        until = min(self._crew.timer, self._heartbeat)
        if self._stopping:  # what is due else is not done any more
            return until
        return min(until, self._settle_at, self._rewrite_at, self._programs.due)

    def _after_turn(self) -> None:
        if not self._stopping:
            self._look_whether_vanished()
            self._look_whether_ready()
            self._keep_undertaker()
            self._keep_directory()
            self._keep_bulletin()
            if self._programs.want_restart():
                self._is_replaced = True
                self._stop("annexd or git-annex has been replaced")
        self._publish()
        if time.monotonic() >= self._heartbeat:
            self._starter.tell("WATCHDOG=1")
            self._heartbeat = time.monotonic() + self._starter.watchdog_s

    def _keep_directory(self) -> None:
        """Make our directory again a while after somebody has deleted it, or a lock file of ours.

        Not at once: it may have been the beginning of ``rm -r`` of the whole repository.  We look
        at the lock, not at the directory: a worker may have made that again meanwhile, and then it
        may be all that is left of the repository.
        """
        if self._holds():
            self._settle_at = math.inf
        elif self._settle_at == math.inf:
            self._settle_at = time.monotonic() + SETTLE_S
        elif time.monotonic() >= self._settle_at:
            self._settle_in_again()

    def _settle_in_again(self) -> None:
        if not os.path.lexists(self._place.gitdir / "HEAD"):
            self._stop(_GONE)
            return
        try:
            self._settle_in()
        except OSError as failure:  # the disk is full: later, then
            log.warning("tempfail to make our directory again: %s", failure)
            self._settle_at = time.monotonic() + RETRY_S

    def _holds(self) -> bool:
        try:
            return self._instance.holds()
        except OSError:  # it may not be looked at for now: nobody says that it has been deleted
            return True

    def _keep_bulletin(self) -> None:
        """Have it written again a while after it has gone, or something else is in its place."""
        if self._written is None or _is_there(self._place.supervisor, self._written):
            self._rewrite_at = math.inf
        elif self._rewrite_at == math.inf:
            self._rewrite_at = time.monotonic() + SETTLE_S
        elif time.monotonic() >= self._rewrite_at:
            self._rewrite_at, self._bulletin = math.inf, b""

    def _settle_in(self) -> None:
        """Make our directory what it has to be, and watch it."""
        place = self._place
        ours = (place.state, place.died, place.poke, place.rest, place.remotes, place.cache)
        for path in (*ours, place.tmp):
            make_directory(path)
        if not self._instance.hold():
            self._stop("another daemon has taken the repository, as daemon.pid had been deleted")
            return
        self._bulletin = b""  # to be written again
        # Our open lock files keep the directories above them in being, so that the kernel does not
        # report their own end; what is above reports it.
        self._wakeup.watch(os.fsencode(place.worktree), VANISHING)
        self._wakeup.watch(os.fsencode(place.annexd), VANISHING | _REPLACED)
        for path in (place.gitdir, place.annex):
            self._wakeup.watch(os.fsencode(path), int(inotify.DELETE))
        if self._ready is None:
            self._state_watch = self._wakeup.watch(os.fsencode(place.state))

    def _look_whether_vanished(self) -> None:
        if has_vanished(self._place, self._home):
            self._stop(_GONE)

    def _look_whether_ready(self) -> None:
        """Ready is when every worker has said something of itself since we started."""
        if self._ready is not None:
            return
        wanted = self._crew.wanted()
        if all(os.path.exists(self._place.state / service.name) for service in wanted):
            self._ready = time.time()
            log.info("ready after %.1f s", self._ready - self._started)
            self._announce_ready()
            if self._state_watch is not None:
                self._wakeup.unwatch(self._state_watch)
            return
        for service in wanted:
            if service.crashes >= CRASHES_MAX:
                why = last_word(self._place.died / service.name) or "see the log"
                self._failure = f"{service.name} crashed {service.crashes} times: {why}"
                self._stop(f"cannot start: {self._failure}")
                return

    def _announce_ready(self) -> None:
        self._starter.tell("READY=1", f"MAINPID={os.getpid()}", f"STATUS={escape(self._summary())}")

    def _summary(self) -> str:
        up = [life for life in self._crew.lives() if life.pid is not None]
        down = [life.name for life in self._crew.lives() if life.pid is None and not life.rests]
        text = f"{len(up)} workers in {self._place.worktree}"
        return f"{text}; waiting to start again: {', '.join(down)}" if down else text

    def _publish(self) -> None:
        """Write the bulletin if it says something new."""
        bulletin = Bulletin(
            os.getpid(), self._started, self._token, self._ready, self._crew.lives()
        ).format()
        if bulletin == self._bulletin or not os.path.exists(self._place.annexd):
            return
        try:
            self._written = replace(self._place.supervisor, bulletin)
        except OSError as failure:
            if self._bulletin is not None:  # said once, until it can be written again
                log.warning("skip the bulletin: %s", failure.strerror)
            self._bulletin = None
            return
        self._bulletin = bulletin
        self._starter.tell(f"STATUS={escape(self._summary())}")

    def _hang_up(self) -> None:
        if self._had_terminal and not has_terminal():
            self._stop("the terminal has gone")
            return
        log.info("reload")
        self._programs.look_soon()
        self._starter.tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
        self._crew.want(self._roles())
        self._crew.signal(signal.SIGHUP)
        self._starter.tell("READY=1")

    def _stop(self, why: str) -> None:
        if self._stopping:
            return
        self._stopping = self._wakeup.heeded = True
        log.info("stop: %s", why)
        if not self._is_replaced:  # else the init system is not to wait for our end
            self._starter.tell("STOPPING=1", "STATUS=stopping")
        self._crew.stop()

    def _enter(self, post: Post) -> Worker:
        """In a forked child: become a worker."""
        self._let_go()
        return enter(post, self._place, self._read_end, self._log_path)

    def _keep_undertaker(self) -> None:
        """Have one, also after somebody has killed it."""
        if not self._undertaker:
            try:
                self._undertaker = child.fork(self._bury, self._place.died / "undertaker")
            except OSError as failure:  # there will be another turn
                log.warning("tempfail start of %s: %s", "the undertaker", describe(failure))

    def _bury(self) -> None:
        """In a forked child: outlive the supervisor, and end what it leaves behind."""
        self._let_go()
        set_title("annexd:undertaker", f"annexd: undertaker {self._place.worktree}")
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        strays.serve_as_undertaker(self._read_end, self._token)
        end_left(self._place.worktree, self._place.common)

    def _let_go(self) -> None:
        """In a forked child: give back what is the supervisor's alone."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.close(self._write_end)
        self._wakeup.close()


def _is_there(path: Path, status: os.stat_result) -> bool:
    try:
        return os.path.samestat(path.lstat(), status)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:  # it may not be looked at for now
        return True
