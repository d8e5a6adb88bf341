"""What is done now and then, one thing at a time: packing, scheduled checks, and forgetting.

* ``git gc --auto`` once a day (``garbage``);
* the jobs of ``git annex schedule``: a check of what is here, or of a remote as soon as that can be
  reached, for as long as the job allows; the next run goes on where this one has ended;
* with ``annex.expireunused``, once a day, what has been unused for long (``workers.annex.unused``).

Nobody waits for it, ``annexd wait`` neither.  When each was last begun stands in ``cache/chores``;
without that, what may be done at any time is done again, and the rest at its next time.
"""

import functools
import logging
import math
import os
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Final, final

from spool import cache
from spool.place import Place
from spool.record import escape
from spool.remotes import read_reach
from spool.transfer import UUID
from workers.annex import remotes, schedule, unused
from workers.annex.limits import parse_duration
from workers.annex.remotes import Remote, Unusable
from workers.annex.repository import Repository
from workers.annex.run_annex import run_annex
from workers.git.run import GitError
from workers.pusher import garbage
from workers.pusher.errand import Errand, Errands
from workers.pusher.values import Outcome, Result
from workers.wakeup import Wakeup

log = logging.getLogger(__name__)

NICE: Final = 10
"""Whatever else runs on the machine goes first."""

GARBAGE_S: Final = 3600.0
"""After one ``git gc`` not even another attempt before that: it may be that none can be noted."""

SPARE_S: Final = 3600.0
"""git-annex looks at the time between two files."""

KEPT_MAX: Final = 200
"""How many times are kept; also of jobs that are not there, for a while or as yet."""

_VERSION: Final = 1
_UNUSED: Final = b"unused"


@final
class Chores:
    """Those of one repository."""

    def __init__(self, place: Place, wakeup: Wakeup, errands: Errands) -> None:
        self._place = place
        self._wakeup = wakeup
        self._errands = errands
        self._here: Repository
        self._jobs: tuple[schedule.Job, ...] = ()
        self._remotes: dict[UUID, Remote] = {}
        self._errand: tuple[str, Errand] | None = None
        self._garbage_at = -math.inf
        self._file = os.fsencode(place.cache / "chores")
        self._begun = self._load()
        """What -> when it was first heard of, and when it was last begun (Unix s; 0: never)."""

    def configure(self, here: Repository, jobs: tuple[schedule.Job, ...]) -> None:
        """The configuration was read (again); ``jobs`` are this repository's."""
        self._here, self._jobs = here, jobs
        found = remotes.parse(here.settings, {}, top=here.top, home=Path.home())
        ways = remotes.routes(each for each in found if not isinstance(each.way, Unusable))
        self._remotes = {uuid: each[0] for uuid, each in ways.items()}
        kept = sorted(self._begun.items(), key=lambda each: max(each[1]))[-KEPT_MAX:]
        heard = dict.fromkeys((_UNUSED, *(job.text for job in jobs)), (time.time(), 0.0))
        self._store(heard | dict(kept))

    def work(self) -> float:
        """See after what is under way, and begin what is due; when to come again (monotonic)."""
        if self._errand is not None:
            name, errand = self._errand
            if not errand.has_ended():
                return math.inf  # its end wakes us
            self._wakeup.ignore(errand.fd)
            outcome = errand.finish()
            self._errand = None
            if outcome.result is Result.FAILED:
                log.warning("chore %s failed: %s", name, outcome.error)
        if time.monotonic() >= self._garbage_at and garbage.is_due(self._place.cache):
            here, place = self._here, self._place.cache
            if not self._begin("gc", lambda: garbage.collect(here, place)):
                return self._errands.again_at
            self._garbage_at = time.monotonic() + GARBAGE_S
            return math.inf
        return self._begin_next()

    def notes(self) -> Iterator[tuple[str, str]]:
        """What a person may want to know."""
        if self._errand is not None:
            yield "chore", self._errand[0]

    def stop(self) -> None:
        """End what is under way."""
        if self._errand is not None:
            self._errand[1].kill()

    def _begin_next(self) -> float:
        now, until = time.time(), math.inf
        for name, due, work in self._plan():
            if due <= now:
                if not self._begin(os.fsdecode(name), work):
                    return self._errands.again_at
                self._store({**self._begun, name: (self._begun[name][0], now)})
                log.info("chore %s", escape(os.fsdecode(name)))
                return math.inf
            until = min(until, due)
        return time.monotonic() + until - now

    def _plan(self) -> Iterator[tuple[bytes, float, Callable[[], Outcome]]]:
        """What can be done: its name, when it is due (Unix s), and how it is done."""
        here = self._here
        keep_s = unused.kept_for(here.settings)
        if keep_s is not None:
            due = self._begun[_UNUSED][1] + garbage.DAY_S
            yield _UNUSED, due, functools.partial(_expire, here, keep_s)
        for job in self._jobs:
            remote = None if job.target is None else self._remotes.get(job.target)
            if job.target not in {None, here.uuid} and not self._is_here(remote):
                continue
            heard, last = self._begun[job.text]
            then = datetime.fromtimestamp(last) if last else None  # noqa: DTZ006 -- as people say
            when = schedule.next_run(job, datetime.fromtimestamp(heard), then)  # noqa: DTZ006
            if when is not None:
                name = None if remote is None else remote.name
                yield job.text, when.timestamp(), functools.partial(_check, here, job, name)

    def _is_here(self, remote: Remote | None) -> bool:
        if remote is None:
            return False
        reach = read_reach(self._place.remotes, os.fsencode(remote.name))
        return reach is not None and reach.here

    def _begin(self, name: str, work: Callable[[], Outcome]) -> bool:
        errand = self._errands.start(name, work)
        if errand is None:
            return False
        self._errand = name, errand
        self._wakeup.attend(errand.fd)
        return True

    def _load(self) -> dict[bytes, tuple[float, float]]:
        found = cache.load(self._file, _VERSION)
        if not isinstance(found, dict):
            return {}
        return {name: (heard, last) for name, (heard, last) in found.items()}

    def _store(self, begun: dict[bytes, tuple[float, float]]) -> None:
        if begun == self._begun:
            return
        self._begun = begun
        try:
            cache.store(self._file, _VERSION, begun)
        except OSError as failure:  # it costs doing something once more
            log.warning("skip the chores: %s", failure.strerror)


def _check(here: Repository, job: schedule.Job, remote: str | None) -> Outcome:
    """In a child: ``git annex fsck``, where the last one has stopped."""
    os.nice(NICE)
    longest_s = (parse_duration(job.duration) or 0.0) + SPARE_S
    words = ["fsck", "--quiet", "--incremental-schedule=1d", f"--time-limit={job.duration}"]
    words += [] if remote is None else [f"--from={remote}"]
    try:
        run_annex(here, *words, timeout_s=longest_s)
    except GitError as failure:
        return Outcome(Result.FAILED, {}, str(failure))
    return Outcome(Result.DONE, {})


def _expire(here: Repository, keep_s: float) -> Outcome:
    os.nice(NICE)
    try:
        count = unused.expire(here, keep_s)
    except (GitError, OSError) as failure:
        return Outcome(Result.FAILED, {}, str(failure))
    if count:
        log.info("drop %d contents that were unused for long", count)
    return Outcome(Result.DONE, {})
