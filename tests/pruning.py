"""What looks like a ``git gc --prune=now``, for as long as a test wants."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.processes import descendants, kill, start, wait_until
from tests.repo import Repo


@contextmanager
def pruning(repo: Repo, *args: str) -> Iterator[int]:
    """A process that looks like ``git gc`` at work; its pid."""
    argv = ("sh", "-c", "sleep 60 & wait", "gc", *args)
    gc = start(argv, repo.path.parent / "stderr")
    wait_until(lambda: b"gc" in Path(f"/proc/{gc.pid}/cmdline").read_bytes())
    wait_until(lambda: descendants(gc.pid))  # which are to be killed
    lock = repo.path / ".git/gc.pid"
    lock.write_text(f"{gc.pid} {os.uname().nodename}")
    try:
        yield gc.pid
    finally:
        for child in descendants(gc.pid):
            kill(child)
        gc.wait(10)
        lock.unlink()
