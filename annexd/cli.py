"""The console script: what is the same for every command, before and after it.

DIAGNOSTICS: what a person can mend is one line on stderr, and the exit status that annexd(1)
gives it; only a bug in annexd shows a traceback.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from annexd.errors import AnnexdError, TemporaryError
from spool.record import escape
from workers.git.run import GitError

_INTERRUPTED = 130


def main() -> NoReturn:
    """Run the command line; exits."""
    try:
        status = _express(sys.argv[1:])
        if status is None:
            from annexd.commands import app

            app(prog_name="annexd")
        sys.exit(status)
    except AnnexdError as error:
        _fail(str(error), error.exit_status)
    except GitError as error:
        _fail(str(error), TemporaryError.exit_status)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    except BrokenPipeError:  # `annexd log | head`: what was wanted has been read
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        if error.filename is None:  # not about a file: a bug
            raise
        _fail(f"{error.filename!r}: {error.strerror}", AnnexdError.exit_status)


def _express(args: Sequence[str]) -> int | None:
    """``status [--json] [DIR]``, spelled just so, without typer; None for everything else.

    Programs ask for the status again and again, and typer alone takes four times as long as
    answering: it imports pydantic.  Help and errors are still typer's.
    """
    command, *rest = args or [""]
    directories = [arg for arg in rest if arg != "--json"]
    if command != "status" or len(directories) > 1 or any(at[:1] == "-" for at in directories):
        return None
    from annexd.show import show_status, show_status_json

    show = show_status_json if "--json" in rest else show_status
    return show(Path(directories[0]) if directories else None)


def _fail(text: str, status: int) -> NoReturn:
    sys.stderr.write(f"annexd: {escape(text)}\n")
    sys.exit(status)
