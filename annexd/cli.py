"""The console script: what is the same for every command, before and after it.

DIAGNOSTICS: what a person can mend is one line on stderr, and the exit status that annexd(1)
gives it; only a bug in annexd shows a traceback.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from annexd.surroundings import tidy
from spool.record import escape

_INTERRUPTED = 130
_STDERR = 2


def main() -> NoReturn:
    """Run the command line; exits."""
    _open_what_is_closed()
    tidy()
    _hear_signals()
    if sys.argv[1:2] != ["shell"]:
        _expected()  # where descriptors have run out, nothing can be imported any more
    try:
        status = _express(sys.argv[1:])
        if status is None:
            from annexd.usage import run

            status = run(sys.argv[1:])
        sys.stdout.flush()  # here, where it can be told that this cannot be done
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    except BrokenPipeError:  # `annexd log | head`: what was wanted has been read
        _forget_output()
        sys.exit(0)
    except _expected() as failure:
        from annexd.expected import for_person

        told = for_person(failure)
        if told is None:  # a bug
            raise
        if isinstance(failure, OSError) and failure.filename is None:  # the output itself, perhaps
            _forget_output()
        _fail(str(told), told.exit_status)
    sys.exit(status)


def _expected() -> tuple[type[Exception], ...]:
    """What may go wrong; asked for when something has, as ``shell`` is to be fast."""
    from annexd.expected import EXPECTED

    return EXPECTED


def _express(args: Sequence[str]) -> int | None:
    """``shell``, and the plainest ``status``, ``start`` and ``stop``; None for all others.

    These do without typer, which imports pydantic, for a reason each: programs ask for the status
    again and again, and the import takes four times as long as the answer; a daemon that is started
    would keep it in the memory of all its processes; and whoever stops annexd may do so because the
    machine is busy.
    """
    if args[:1] == ["shell"] and args[1:] not in (["-h"], ["--help"]):
        from annexd.commands_shell import serve

        return serve(args[1:], os.environ)
    words = [arg for arg in args if arg[:1] != "-"]
    options = [arg for arg in args if arg[:1] == "-"]
    if len(words) not in {1, 2} or "" in words:
        return None
    directory = Path(words[1]) if len(words) > 1 else None
    match words[0], options:
        case "status", [] | ["--json"]:
            from annexd.report import to_json, to_text
            from annexd.show import show_status

            return show_status(directory, to_json if options else to_text)
        case "start", []:
            from annexd.launch import start

            start(directory)
        case "stop", []:
            from annexd.stopping import stop_at

            if stop_at(directory) is None:
                sys.stderr.write("annexd does not run here\n")
        case "start", ["--foreground"]:
            from annexd.daemon import run_in_foreground
            from annexd.repository import find_place

            run_in_foreground(find_place(directory))
        case _:
            return None
    return 0


def _open_what_is_closed() -> None:
    """Open /dev/null as the standard streams that are closed (`annexd start <&- >&- 2>&-`).

    Otherwise the next pipe would get one of their numbers, and a daemon puts /dev/null there.
    """
    while (fd := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        os.set_inheritable(fd, True)  # noqa: FBT003 -- the only way to call it
    os.close(fd)
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(_STDERR, "w", closefd=False)


def _hear_signals() -> None:
    """Block none, and do not ignore SIGCHLD: both are inherited, and some starters leave them so.

    A program whose SIGCHLD is ignored cannot be told how its children have ended.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _forget_output() -> None:
    """Let what cannot be written go nowhere, or Python tries again at the end, and says so."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _fail(text: str, status: int) -> NoReturn:
    # Names in it are escaped already, and quoted.
    shown = "".join(char if char.isprintable() else escape(char) for char in text)
    with contextlib.suppress(OSError):  # there is nobody else to tell
        sys.stderr.write(f"annexd: {shown}\n")
    sys.exit(status)
