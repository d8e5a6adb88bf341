"""The command line as typer parses it, with our own end: an error of its in one line, status 2.

typer's own end shows the usage as well, and takes every closed pipe for a failure.
"""

import os
from collections.abc import Sequence

import typer
from typer.main import get_command

from annexd.commands import app
from annexd.errors import CommandLineError

_UsageError: type[typer.BadParameter] = typer.BadParameter.__bases__[0]
"""Of the click that typer has, be it its own or not."""

_COMPLETION = "_ANNEXD_COMPLETE"


def run(args: Sequence[str]) -> int:
    """Run a command; returns the exit status."""
    if _COMPLETION in os.environ:
        app(prog_name="annexd")
    command = get_command(app)
    name = None
    try:
        with command.make_context("annexd", list(args) or ["--help"]) as context:
            try:
                command.invoke(context)
            finally:
                name = context.invoked_subcommand
    except typer.Exit as end:
        return int(end.exit_code) if args else CommandLineError.exit_status
    except _UsageError as error:
        said = error.format_message().rstrip(".")
        path = f"annexd {name}" if name else "annexd"
        raise CommandLineError(f"{said[:1].lower()}{said[1:]}; see: {path} --help") from None
    return 0
