"""``annexd status``, from the files to stdout."""

import sys
from pathlib import Path

from annexd.report import to_json, to_text
from annexd.repository import find_place
from annexd.status import Status, look_further, read_status

NOT_RUNNING = 3


def show_status(directory: Path | None) -> int:
    """Print it for people; returns the exit status."""
    status = look_further(read_status(find_place(directory)))
    sys.stdout.write(f"{to_text(status)}\n")
    return _exit_status(status)


def show_status_json(directory: Path | None) -> int:
    """Print it for programs; returns the exit status."""
    status = look_further(read_status(find_place(directory)))
    sys.stdout.write(f"{to_json(status)}\n")
    return _exit_status(status)


def _exit_status(status: Status) -> int:
    return 0 if status.runs else NOT_RUNNING
