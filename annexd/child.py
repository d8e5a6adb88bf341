"""The first frame of every forked child.

DIAGNOSTICS: here everything is caught, as in no other place but ``workers.errand`` (for children of
workers): the traceback goes to the log once, its last line to ``died/NAME`` for ``annexd status``,
and the child ends with status 111.
"""

import contextlib
import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from annexd.errors import describe
from annexd.lastword import leave_word
from spool.errnos import LACKING
from workers.annex.repository import RepositoryError
from workers.trouble import TroubleError

log = logging.getLogger(__name__)

CRASHED = 111


def fork(life: Callable[[], int | None], died: Path) -> int:
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


def live(life: Callable[[], int | None], died: Path) -> NoReturn:
    """Live it to its end, and end this process with what it returns; None is 0."""
    status = CRASHED
    try:
        status = life() or 0
    except (TroubleError, RepositoryError) as trouble:
        log.error("trouble %s", trouble)  # noqa: TRY400 -- a traceback would not help a person
        leave_word(died, str(trouble))
    except OSError as failure:
        _tell(failure, died)
    except BaseException as crash:
        log.critical("crash", exc_info=crash)
        leave_word(died, f"{type(crash).__name__}: {crash}")
    finally:
        os._exit(status)


def _tell(failure: OSError, died: Path) -> None:
    """What the machine, or the repository, lacks is no bug of ours; anything else is."""
    if not died.parent.parent.is_dir():  # with the repository, which the supervisor says
        log.error("trouble %s", describe(failure))
    elif failure.errno in LACKING:
        log.error("trouble %s", describe(failure))
        leave_word(died, describe(failure))
    else:
        log.critical("crash", exc_info=failure)
        leave_word(died, f"{type(failure).__name__}: {failure}")
