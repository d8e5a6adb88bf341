"""The commands that are about what is synced: look at it, wait for it, pause it, try it again."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from annexd.commands_daemon import Autostart, Directory
from annexd.duration import parse_duration
from annexd.errors import CommandLineError
from annexd.repository import find_annex, find_place
from spool.place import Place

AsJson = Annotated[bool, typer.Option("--json", help="For programs: one JSON object.")]
RemoteName = Annotated[
    str | None, typer.Argument(metavar="REMOTE", help="One remote; else all of them.")
]
What = Annotated[
    list[str],
    typer.Argument(metavar="WHAT", help="A file, a key, or a remote: all transfers with it."),
]


def status(
    directory: Directory = None,
    *,
    as_json: AsJson = False,
    copies: Annotated[
        bool,
        typer.Option("--copies", help="Instead: the files of which there are too few copies."),
    ] = False,
) -> None:
    """Show what annexd is doing, which remotes are behind, and what has failed.

    Reads only files, so it works with annexd stopped too; exit status 3 then.  JSON: ready,
    in_sync, pid, workers, remotes, transfers.
    """
    from annexd.report import to_json, to_text
    from annexd.show import show_status

    if copies:
        _show_copies(directory, as_json=as_json)
    else:
        raise typer.Exit(show_status(directory, to_json if as_json else to_text))


def _show_copies(directory: Path | None, *, as_json: bool) -> None:
    from annexd.why import copies
    from annexd.why.scene import opened

    with opened(find_place(directory)) as scene:
        found = list(copies.lacking(scene))
    typer.echo(copies.to_json(found) if as_json else copies.to_text(found))
    if found:
        raise typer.Exit(1)


def why(
    what: Annotated[str, typer.Argument(metavar="WHAT", help="A file, or a key.")],
    remote: Annotated[
        str | None, typer.Argument(metavar="REMOTE", help="Only what is about it.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Say why a content is or is not here and there, and why a file is or is not committed.

    Which setting decides, who has it, what it waits for.  Reads only.
    """
    from annexd.why.answer import answer
    from annexd.why.line import to_json, to_text

    lines = answer(find_place(), what, remote)
    typer.echo(to_json(lines) if as_json else to_text(lines))


def wait(
    directory: Directory = None,
    *,
    timeout: Annotated[
        str | None, typer.Option(metavar="TIME", help="At most so long: 30s, 5m.")
    ] = None,
) -> None:
    """Return when all that is there now is committed, pushed, and transferred.

    To and from every remote that is in reach, that is.  Exit status 1, and the reason on stderr,
    when the time is up or something waits for you.
    """
    from annexd.settled import wait_until_settled

    timeout_s = math.inf if timeout is None else parse_duration(timeout)
    why = wait_until_settled(find_annex(directory), timeout_s)
    if why is not None:
        typer.echo(f"annexd: not in sync: {why}", err=True)
        raise typer.Exit(1)


def transfers(directory: Directory = None, *, as_json: AsJson = False) -> None:
    """List the transfers that run, wait, or have failed.

    They are the files below .git/annex/transfer, in upload and download, queue, and failed.
    """
    from annexd import transferlist

    found = transferlist.read_transfers(find_place(directory))
    typer.echo(transferlist.to_json(found) if as_json else transferlist.to_text(found))


def map_network(
    directory: Directory = None,
    *,
    file: Annotated[
        str | None,
        typer.Option("--for", metavar="FILE", help="And the way that this file's content takes."),
    ] = None,
    as_json: AsJson = False,
    as_dot: Annotated[bool, typer.Option("--dot", help="A graph for graphviz.")] = False,
) -> None:
    """Show which repositories there are, who can bring content to whom, and at what cost.

    Our own remotes are as they are now; what others have for remotes was read from their
    configuration, at their paths or through ssh, at most a day ago.  The map is
    .git/annex/annexd/cache/map, and how fast remotes have been is in rates beside it; both may be
    deleted.
    """
    from annexd import mapshow
    from annexd.mapping import read_map

    found = read_map(find_annex(directory), file)
    show = mapshow.to_json if as_json else mapshow.to_dot if as_dot else mapshow.to_text
    typer.echo(show(found))


def pause(
    remote: RemoteName = None,
    *,
    for_: Annotated[
        str | None, typer.Option("--for", metavar="TIME", help="Resume after so long: 1h.")
    ] = None,
    autostart: Autostart = False,
) -> None:
    """Start no more transfers, with REMOTE or at all.  What runs goes on.

    Makes .git/annex/transfer/hold/all, or hold/remote/UUID.
    """
    from annexd.control import pause_transfers

    for_s = None if for_ is None else parse_duration(for_)
    _here_or_everywhere(lambda place: pause_transfers(place, remote, for_s), remote, autostart)


def resume(remote: RemoteName = None, *, autostart: Autostart = False) -> None:
    """End a pause: of REMOTE, else all of them.  Removes the files in .git/annex/transfer/hold."""
    from annexd.control import resume_transfers

    _here_or_everywhere(lambda place: resume_transfers(place, remote), remote, autostart)


def _here_or_everywhere(
    do: Callable[[Place], object],
    remote: str | None,
    autostart: bool,  # noqa: FBT001 -- the option's
) -> None:
    if not autostart:
        do(find_annex())
        return
    if remote is not None:
        raise CommandLineError("--autostart is for all of each repository, without REMOTE")
    from annexd.autostart import everywhere

    everywhere(do)


def limit(
    remote: RemoteName = None,
    *,
    up: Annotated[
        str | None, typer.Option(metavar="RATE", help="To send no faster: 500kB, 2MB (a second).")
    ] = None,
    down: Annotated[
        str | None, typer.Option(metavar="RATE", help="To get no faster; 'none' lifts it.")
    ] = None,
    for_: Annotated[
        str | None, typer.Option("--for", metavar="TIME", help="Lift it after so long: 1h.")
    ] = None,
    autostart: Autostart = False,
) -> None:
    """Move contents no faster, in all, or with REMOTE; without options: show the limits.

    All transfers share it equally, those that run too, from now on.  Writes
    .git/annex/transfer/limit/all, or limit/remote/UUID.  'none' for REMOTE frees it from the limit
    for all as well, and 'default' ends what was said of REMOTE.  '--up auto' sends no more over ssh
    than leaves the line free for others.
    """
    from annexd.limiting import set_limits, show_limits
    from spool.transfer import Direction

    rates = {Direction.UPLOAD: up, Direction.DOWNLOAD: down}
    if up is not None or down is not None:
        for_s = None if for_ is None else parse_duration(for_)
        _here_or_everywhere(
            lambda place: set_limits(place, remote, rates, for_s), remote, autostart
        )
    elif for_ is not None or remote is not None:
        raise CommandLineError("say how fast: --up RATE, --down RATE, or both")
    else:
        _here_or_everywhere(lambda place: typer.echo(show_limits(place)), None, autostart)


def cancel(what: What) -> None:
    """Take transfers out of the queue, and end those that run.

    Removes their files below .git/annex/transfer/queue.  What is still wanted is queued again by
    the next full scan: at the next start, or when what is wanted changes.
    """
    from annexd.control import cancel_transfers

    cancelled = cancel_transfers(find_annex(), what)
    typer.echo(f"{cancelled} cancelled")


def retry(remote: RemoteName = None) -> None:
    """Try again now what is put off until later, with REMOTE or at all.

    Touches the files below .git/annex/transfer/queue, whose time says 'not before'; and pokes:
    a remote that is left alone after failures is tried again.
    """
    from annexd.control import retry_transfers

    retried = retry_transfers(find_annex(), remote)
    typer.echo(f"{retried} due now")
