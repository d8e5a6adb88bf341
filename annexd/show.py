"""``annexd status``, from the files to stdout."""

import sys
from collections.abc import Callable
from pathlib import Path

from annexd.report import to_text
from annexd.repository import find_place
from annexd.status import Status, look_further, read_status

NOT_RUNNING = 3


def show_status(directory: Path | None, form: Callable[[Status], str] = to_text) -> int:
    """Print it, for people or (``annexd.report.to_json``) programs; returns the exit status."""
    status = look_further(read_status(find_place(directory)))
    sys.stdout.write(f"{form(status)}\n")
    return 0 if status.runs else NOT_RUNNING
