"""All commands.  Each one parses, calls one function, prints, and exits.

What a command needs is imported by that command, so that each pays only for its own.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from annexd import __version__, commands_daemon, commands_spool

_HELP = """\
Keep git-annex repositories in sync: what changes in a work tree is added, committed and pushed,
what others push is merged, and contents go wherever they are wanted.

\b
    annexd start ~/annex      start syncing a repository
    annexd status             what it is doing, who is behind, what has failed
    annexd wait               return when everything is committed, pushed and transferred
    annexd stop               stop; nothing is lost, whenever you do it

Every command is about one repository: the DIR given, else the one you stand in.  Most only read
or write small files below .git/annex, which you may do by hand as well; each command's own help
names them.
"""

_EPILOG = """\
\b
Exit status:
    0    done
    1    no: not in sync, not all transferred, something wrong found
    2    the command line is wrong
    3    annexd does not run here (status)
    100  it will not work until you change something; stderr says what
    111  temporary trouble: try again
"""

app = typer.Typer(
    name="annexd",
    help=_HELP,
    epilog=_EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

COMMANDS: tuple[tuple[Callable[..., None], str], ...] = (
    (commands_daemon.start, "Start syncing; return when it works."),
    (commands_daemon.stop, "Stop syncing; return when all of it is gone."),
    (commands_daemon.restart, "Stop, and start again."),
    (commands_spool.status, "Show what it does, who is behind, what has failed."),
    (commands_spool.why, "Say why a file or content is where it is, or not."),
    (commands_spool.wait, "Wait until all is committed, pushed, transferred."),
    (commands_spool.transfers, "List what runs, waits, and has failed."),
    (commands_spool.map_network, "Show the network, and which way contents go."),
    (commands_spool.pause, "Start no more transfers."),
    (commands_spool.resume, "End a pause."),
    (commands_spool.limit, "Move contents no faster than so much a second."),
    (commands_spool.retry, "Try again now what is put off or has failed."),
    (commands_spool.cancel, "Take transfers out of the queue, and end them."),
    (commands_daemon.hold, "Commit nothing automatically for a while."),
    (commands_daemon.release, "End a hold."),
    (commands_daemon.accept, "Commit the many deletions that are held back."),
    (commands_daemon.poke, "Look at everything again, now."),
    (commands_daemon.log, "Show the log."),
    (commands_daemon.doctor, "Say what is wrong, and which command mends it."),
    (commands_daemon.demo, "Show a file on its way between two repositories."),
    (commands_daemon.shell, "Serve git-annex clients over ssh, as git-annex-shell does."),
)
"""Every command, in the order of the help, with its line there."""

for _command, _line in COMMANDS:
    _name = "map" if _command is commands_spool.map_network else None  # a builtin's name
    app.command(_name, short_help=_line)(_command)


def _show_version(asked: bool) -> None:  # noqa: FBT001 -- the signature is typer's
    if asked:
        typer.echo(f"annexd {__version__}")
        raise typer.Exit


@app.callback()
def before(
    *,
    directory: Annotated[
        Path | None, typer.Option("-C", metavar="DIR", help="Go to DIR first, as git does.")
    ] = None,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """What comes before the command."""
    del version  # its callback has seen to it
    if directory is not None:
        os.chdir(directory)
