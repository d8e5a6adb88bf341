"""Why a worker died last, if it crashed: ``.git/annex/annexd/died/NAME``.

Written by the dying worker itself, for ``annexd status``; the log has the whole story.
"""

import time
from pathlib import Path

from spool.record import format_record, parse_record, read, replace


def leave_word(died: Path, why: str) -> None:
    """Say it, in one step."""
    replace(died, format_record((("died", f"{time.time():.3f}"), ("why", why))))


def last_word(died: Path) -> str:
    """What it said; empty if it did not crash, or could not say."""
    try:
        return dict(parse_record(read(died) or b"")).get("why", "")
    except ValueError:  # not ours
        return ""
