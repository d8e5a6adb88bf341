"""When to try a remote again: later and later, and at once when something has changed.

Pure.  Points in time are Unix seconds: they are kept on disk, and survive a restart.
"""

from dataclasses import replace

from spool.remotes import PAUSE_MAX_S, Exchange, pause_s


def after_success(before: Exchange, now: float) -> Exchange:
    """The record when an exchange has worked."""
    return replace(
        before, last_success=now, failing_since=None, failures=0, not_before=None, last_error=""
    )


def after_failure(before: Exchange, now: float, error: str, jitter: float) -> Exchange:
    """The record when it has not; ``jitter`` is a random number from 0 to 1."""
    failures = before.failures + 1
    since = before.failing_since if before.failing_since is not None else now
    # Never earlier than half of it: many who lost the same server do not come back together.
    return replace(
        before,
        failing_since=since,
        failures=failures,
        not_before=now + pause_s(failures, now - since) * (1 - jitter / 4),
        last_error=error,
    )


def remaining_s(record: Exchange, now: float) -> float:
    """How long to wait yet; 0 if not at all.

    A time further ahead than any pause was set by another clock, and does not count.
    """
    if record.not_before is None or not now < record.not_before <= now + PAUSE_MAX_S:
        return 0.0
    return record.not_before - now
