"""The first frame of every forked child.

DIAGNOSTICS: here, and nowhere else in annexd, is everything caught: the traceback goes to the log
once, its last line to ``died/NAME`` for ``annexd status``, and the child ends with status 111.
"""

import contextlib
import logging
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from spool.record import format_record, parse_record, read, replace
from workers.trouble import TroubleError

log = logging.getLogger(__name__)

CRASHED = 111


def fork(life: Callable[[], object], died: Path) -> int:
    """Start a child that lives ``life`` and ends; returns its pid.

    The child begins with every signal blocked: it must first replace the handlers that the fork
    copied, or a signal meant for it would be written into its parent's wake-up pipe.
    """
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        pid = os.fork()
        if pid == 0:
            live(life, died)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    # The child does this too; whoever is first, the group exists before anybody kills it.
    with contextlib.suppress(ProcessLookupError, PermissionError):  # it has ended already
        os.setpgid(pid, pid)
    return pid


def live(life: Callable[[], object], died: Path) -> NoReturn:
    """Live it to its end, and end this process."""
    status = CRASHED
    try:
        life()
        status = 0
    except TroubleError as trouble:
        log.error("trouble %s", trouble)  # noqa: TRY400 -- a traceback would not help a person
        _leave_word(died, str(trouble))
    except BaseException as crash:
        log.critical("crash", exc_info=crash)
        _leave_word(died, f"{type(crash).__name__}: {crash}")
    finally:
        os._exit(status)


def _leave_word(died: Path, why: str) -> None:
    replace(died, format_record((("died", f"{time.time():.3f}"), ("why", why))))


def last_word(died: Path) -> str:
    """Why that worker crashed last; empty if it did not, or could not say."""
    try:
        return dict(parse_record(read(died) or b"")).get("why", "")
    except ValueError:  # not ours
        return ""
