"""What programs of ours have started, while that comes and goes."""

import os
import time

from tests.processes import running
from workers.git.offspring import descendants

BUSY = "while :; do (:)& (:)& wait; done"
"""A shell whose children end as soon as they have begun."""


def test_who_ends_while_he_is_looked_at_is_left_out() -> None:
    """Seen on 2026-11-29: No such process, and not: No such file.  Once in 1,400 looks at this."""
    with running(["sh", "-c", BUSY]) as one, running(["sh", "-c", BUSY]) as other:
        end = time.monotonic() + 2
        while time.monotonic() < end:
            found = descendants(os.getpid())
            assert {one.pid, other.pid} <= set(found)
