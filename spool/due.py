"""When a job may be tried: its mtime says *not before*, and nothing is counted.  Pure.

All times are Unix time, in seconds.
"""

from spool.info import Info

RETRY_MIN_S = 30.0
RETRY_MAX_S = 1800.0
AHEAD_MAX_S = 2 * RETRY_MAX_S
"""Nothing is put off as far as this.  A job whose mtime is further ahead was put off before the
clock was set back; it is due, or a clock that was wrong by ten years would put it off by ten years.
Must exceed ``RETRY_MAX_S``, by what a clock may be set back without making put-off jobs due."""


def is_due(not_before: float, now: float) -> bool:
    """Whether a job with that mtime may be tried."""
    return not now < not_before < now + AHEAD_MAX_S


def wait_s(info: Info, now: float) -> float:
    """How long to put a failed job off: as long as it has waited so far, within bounds.

    Postfix's rule.  The time doubles with each attempt, and nothing needs to be counted.
    """
    waited_s = now - float(info.started) if info.started is not None else 0.0
    return min(max(waited_s, RETRY_MIN_S), RETRY_MAX_S)
