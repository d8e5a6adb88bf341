"""``annexd.transfer-window``: outside of these hours, all transfers are paused.

By nothing else than the hold that ``annexd pause --for`` makes: it ends by itself when the window
opens, a person may end it sooner, and who shows or heeds holds need know no more.  It is made when
the window closes, or when we find it closed; a hold of a person's that lasts longer stays.

DIAGNOSTICS: what is set and cannot be understood is said once, and limits nothing.
"""

import logging
import math
from typing import final

from spool import hold
from spool.hold import Hold
from spool.layout import Layout
from spool.record import escape
from workers.sentry import window

log = logging.getLogger(__name__)


@final
class Hours:
    """Keeps the hours of one repository."""

    def __init__(self, paths: Layout) -> None:
        self._paths = paths
        self._complained = ""
        self._paused_until: float | None = None
        """Of the hold that we have made."""

    def keep(self, setting: str, now: float) -> float:
        """Pause or resume, if it is time; until when all is well (Unix time, s)."""
        try:
            spans = window.parse(setting)
        except ValueError as odd:
            if setting != self._complained:
                log.warning("skip annexd.transfer-window: %s", escape(str(odd)))
            self._complained, spans = setting, ()
        phase = window.phase(spans, now)
        if phase.is_open:
            self._resume(now)
        elif self._paused_until != phase.until:
            self._pause(phase.until, now)
        return phase.until

    def _pause(self, until: float, now: float) -> None:
        if self._held(now) < until:
            hold.create(self._paths, Hold(None, until))
            log.info("pause: the transfer window is closed")
        self._paused_until = until  # not before: the disk may be full

    def _resume(self, now: float) -> None:
        """The window is open, perhaps because somebody has set it so: our hold need not last."""
        until = self._paused_until
        if until is not None and self._held(now) == math.ceil(until):
            hold.release(self._paths, None)
        self._paused_until = None

    def _held(self, now: float) -> float:
        """When the pause of everything ends (Unix time, s); 0 if there is none."""
        holds = hold.listing(self._paths, now)
        return next((each.until for each in holds if each.uuid is None), 0.0)
