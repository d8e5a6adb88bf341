"""annexd as a process: what it asks before it starts, and what it is.

The order matters.  First the questions (``annexd.admission``), which touch nothing.  Then, in the
process that will stay, the lock; and only the owner of the lock touches the log and the rest.

If killed: the supervisor's docstring says what becomes of the rest; the next start clears up.

DIAGNOSTICS: ``AnnexdError``, in one line, with the exit status that annexd(1) gives it.
"""

import contextlib
import dataclasses
import logging
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from annexd import __version__
from annexd.admission import Admission, RefusedError, admit, read_admission
from annexd.daemonstatus import write_daemon_status
from annexd.errors import AnnexdError, TemporaryError, describe
from annexd.instance import AlreadyRunningError, Instance, find_holder
from annexd.notify import Notify, Starter
from annexd.ownenviron import forget_git
from annexd.programs import Programs, Wish, become_new
from annexd.remains import remove_remains
from annexd.supervisor import Supervisor
from spool.lock import NotAFileError
from spool.place import Place
from spool.record import make_directory
from workers import logfile
from workers.openfiles import allow_many_files
from workers.roles import ROLES, Role
from workers.trouble import TroubleError

log = logging.getLogger(__name__)

ROOM_BYTES = 64 << 10
"""What a start writes, and more."""

FILES_MIN = 256
"""So many files each process must be allowed to have open: batches would fail again and again."""


def run_in_foreground(place: Place, startdelay_s: float = 0.0) -> None:
    """Be annexd until asked to stop; logs to stderr."""
    admission = ask(place)
    with open(os.devnull, "rb") as null:
        os.dup2(null.fileno(), 0)  # no child of ours is to read a person's terminal
    serve(place, admission, startdelay_s, Notify.from_environment(), None)


def ask(place: Place) -> Admission:
    """Whether annexd can start here; raises ``AnnexdError`` with the reason why not."""
    allowed = allow_many_files()
    if allowed < FILES_MIN:
        raise RefusedError(
            f"each process may have {allowed} files open here, and annexd needs {FILES_MIN}; "
            "allow more: ulimit -n 1024"
        )
    holder = find_holder(place)
    if holder is not None:
        raise AlreadyRunningError(place, holder)
    return admit(place)


def serve(
    place: Place,
    admission: Admission,
    startdelay_s: float,
    starter: Starter,
    log_path: Path | None,
) -> None:
    """Be the daemon.  Raises ``AnnexdError`` when it cannot start."""
    forget_git()
    try:
        instance = Instance.acquire(place)
    except (OSError, NotAFileError) as failure:
        raise TemporaryError(f"cannot take the daemon lock: {failure}") from failure
    if log_path is not None:
        logfile.open_log(log_path)
        _link_log(place)
    logging.getLogger().setLevel(logging.DEBUG if admission.debug else logging.INFO)
    logfile.set_up("supervisor", log_path)
    logfile.choose(admission.debugged)
    log.info("start annexd %s in %r", __version__, os.fspath(place.worktree))
    make_directory(place.tmp)
    _say_that_it_runs(place, scan_complete=False)
    programs = Programs(lambda: _wish(place))
    supervisor = Supervisor(instance, _roles(place), starter, log_path, programs)
    try:
        is_replaced = supervisor.run(startdelay_s)
    except TroubleError as trouble:
        raise AnnexdError(str(trouble)) from trouble
    remove_remains(place)
    if os.path.isdir(place.tmp):  # else the repository has gone
        _say_that_it_runs(place, scan_complete=True)
    if is_replaced:
        become_new(place, log_path, lambda: supervisor.is_to_stop)


def check_room(place: Place) -> None:
    """Raises ``TemporaryError`` where a start would fail for want of room."""
    try:
        make_directory(place.annexd)
        with tempfile.TemporaryFile(dir=place.annexd) as file:
            os.posix_fallocate(file.fileno(), 0, ROOM_BYTES)
    except OSError as failure:
        raise TemporaryError(f"it could not be started again: {describe(failure)}") from failure


def _say_that_it_runs(place: Place, *, scan_complete: bool) -> None:
    """Write git-annex's ``daemon.status``.

    The next assistant reads it: without it, it would look at more, or less, than it has to.
    """
    try:
        write_daemon_status(place, time.time(), scan_complete=scan_complete)
    except OSError as failure:
        log.warning("skip daemon.status: %s", failure)


def _link_log(place: Place) -> None:
    """``annex/daemon.log``, the name that users know; a real file there is the assistant's."""
    known = Path(os.fsdecode(place.layout.daemon_log))
    with contextlib.suppress(OSError):  # there are no links (FAT); the log itself is what counts
        if known.is_symlink() or not known.exists():
            known.unlink(missing_ok=True)
            known.symlink_to("annexd/log")


def _roles(place: Place) -> Callable[[], Sequence[Role]]:
    """The roles; of those with several slots as many as there are transfers at once."""

    def roles() -> Sequence[Role]:
        try:
            jobs = read_admission(place).jobs
        except RefusedError as failure:
            log.warning("skip the configuration: %s", failure)
            return ROLES
        return [dataclasses.replace(role, slots=jobs) if role.slots > 1 else role for role in ROLES]

    return roles


def _wish(place: Place) -> Wish:
    try:
        return read_admission(place).wish
    except RefusedError as failure:
        log.warning("skip the configuration: %s", failure)
        return Wish.NOTHING
