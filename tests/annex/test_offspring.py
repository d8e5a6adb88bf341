"""What programs of ours have started, while that comes and goes."""

import os
import signal
import time
from pathlib import Path

import pytest

from tests.processes import alive, forked, kill, python, reap, running, start, wait_until
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


NOBODY = 65534

FOREIGN = """
import os, pathlib, subprocess, sys, time
child = subprocess.Popen(("sleep", "1000"))
pathlib.Path(sys.argv[1]).write_text(str(child.pid))
os.setuid(int(sys.argv[2]))
while True:
    time.sleep(1000)
"""
"""As a git whose hook has called sudo."""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_what_runs_as_another_user_is_left_and_the_rest_is_ended(tmp_path: Path) -> None:
    """kill(2) says EPERM of it; so nothing was ended, and git stayed stopped for ever."""
    pid_file = tmp_path / "pid"

    def end_as_nobody() -> None:
        process = start(python(FOREIGN, pid_file, str(NOBODY)), tmp_path / "said")
        status = Path(f"/proc/{process.pid}/status")
        wait_until(lambda: f"\nUid:\t{NOBODY}\t" in status.read_text(), 20)
        os.setuid(NOBODY)
        try:
            end(process)
            assert process.returncode == -signal.SIGTERM
        finally:
            process.kill()

    with forked(end_as_nobody) as pid:
        try:
            assert reap(pid, 40) == 0
            assert alive(int(pid_file.read_text()))
        finally:
            kill(int(pid_file.read_text()))
