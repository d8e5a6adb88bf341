"""What programs of ours have started, while that comes and goes."""

import os
import time
from pathlib import Path

from tests.processes import alive, running, start, wait_until
from workers.git.offspring import descendants, end

BUSY = "while :; do (:)& (:)& wait; done"
"""A shell whose children end as soon as they have begun."""


def test_who_ends_while_he_is_looked_at_is_left_out() -> None:
    """Seen on 2026-11-29: No such process, and not: No such file.  Once in 1,400 looks at this."""
    with running(["sh", "-c", BUSY]) as one, running(["sh", "-c", BUSY]) as other:
        end = time.monotonic() + 2
        while time.monotonic() < end:
            found = descendants(os.getpid())
            assert {one.pid, other.pid} <= set(found)


STUBBORN = """
sh -c 'echo $$ >>$0; sleep 1000; :' $1 $1
while :; do sh -c 'echo $$ >>$0; exec sleep 1000' $1 & wait; done
"""
"""As a git whose hook says no: it runs the hook again, to tell it that nothing has come of it."""


def test_who_starts_another_when_one_dies_leaves_none(tmp_path: Path) -> None:
    """The second one went on, and on a busy machine so it was mostly."""
    for _ in range(20):
        pids = tmp_path / "pids"
        process = start(["sh", "-c", STUBBORN, "sh", pids], tmp_path / "said")
        wait_until(lambda at=pids: at.exists() and at.read_text())  # type: ignore[misc]

        end(process)

        left = [int(pid) for pid in pids.read_text().split()]
        wait_until(lambda pids=left: not any(map(alive, pids)), 5)  # type: ignore[misc]
        pids.unlink()


def test_who_ignores_that_he_is_to_end_is_killed(tmp_path: Path) -> None:
    """And what he has started meanwhile."""
    text, ready = "trap '' TERM; touch $1; while :; do sleep 1000; done", tmp_path / "ready"
    process = start(["sh", "-c", text, "sh", ready], tmp_path / "said")
    wait_until(ready.exists)

    end(process)

    assert process.returncode == -9
