"""The commands that are about the daemon: start and stop it, ask it for something."""

import os
from pathlib import Path
from typing import Annotated

import typer

from annexd.duration import parse_duration
from annexd.errors import AnnexdError, CommandLineError
from annexd.repository import find_annex, find_place
from spool.record import escape


def path(text: str) -> Path:
    """A path as it is typed; an empty one is a variable of a script's that is not set."""
    if not text:
        raise typer.BadParameter("it is empty")
    return Path(text)


Directory = Annotated[
    Path | None,
    typer.Argument(metavar="DIR", parser=path, help="The repository; else where you stand."),
]
Autostart = Annotated[
    bool,
    typer.Option(
        "--autostart", help="Every repository in git-annex's ~/.config/git-annex/autostart."
    ),
]
Startdelay = Annotated[
    str, typer.Option(metavar="TIME", help="Wait so long (5m) before the first look around.")
]


def start(
    directory: Directory = None,
    *,
    foreground: Annotated[
        bool, typer.Option("--foreground", help="Stay, and log to stderr: for an init system.")
    ] = False,
    autostart: Autostart = False,
    startdelay: Startdelay = "0s",
) -> None:
    """Start syncing.  Returns when annexd is ready, or says why it is not.

    It and git-annex's assistant exclude each other by .git/annex/daemon.pid.  Its log is
    .git/annex/annexd/log.
    """
    from annexd import daemon, launch

    delay_s = parse_duration(startdelay)
    _check_alone(directory, autostart=autostart)
    if autostart and foreground:
        raise CommandLineError("--foreground is for one repository, --autostart for all")
    if autostart:
        from annexd.autostart import start_all

        start_all(delay_s)
    elif foreground:
        daemon.run_in_foreground(find_place(directory), delay_s)
    else:
        launch.start(directory, delay_s)


def _check_alone(directory: Path | None, *, autostart: bool) -> None:
    if autostart and directory is not None:
        raise CommandLineError("--autostart is for every repository on the list, without DIR")


def stop(directory: Directory = None, *, autostart: Autostart = False) -> None:
    """Stop syncing.  Returns when annexd and everything it started has ended.

    Sends SIGTERM to the pid in .git/annex/daemon.pid, if that is annexd.
    """
    from annexd import stopping

    _check_alone(directory, autostart=autostart)
    if autostart:
        from annexd.autostart import everywhere

        everywhere(stopping.stop)
    elif stopping.stop_at(directory) is None:
        typer.echo("annexd does not run here", err=True)


def restart(directory: Directory = None) -> None:
    """Stop annexd if it runs, and start it (again).

    Where the disk is too full for a start it is not stopped, either.
    """
    from annexd import daemon, launch, stopping

    place = find_place(directory)
    daemon.check_room(place)
    stopping.stop(place)
    launch.begin(place).finish()


def log(
    directory: Directory = None,
    *,
    follow: Annotated[
        bool, typer.Option("-f", "--follow", help="Show what is added, until interrupted.")
    ] = False,
) -> None:
    """Show the log: .git/annex/annexd/log.1 and log."""
    from annexd.follow import follow_log, print_log

    place = find_place(directory)
    if follow:
        follow_log(place)
    else:
        print_log(place)


def poke(
    what: Annotated[
        str | None,
        typer.Argument(metavar="DIR|REMOTE", help="The repository, or what has changed."),
    ] = None,
) -> None:
    """Ask annexd to look at everything again, now: all files and remotes, whichever is named.

    Makes the file .git/annex/annexd/look, which annexd removes, and the next number in
    .git/annex/annexd/poke.  That number alone has what was told of looked at, and all remotes.
    """
    from annexd.control import find_uuid
    from annexd.requests import look_at_everything

    if what is not None and not os.path.isdir(what):
        place = find_annex()
        find_uuid(place, what)
        look_at_everything(place)
    else:
        look_at_everything(find_annex(None if what is None else Path(what)))


def accept(directory: Directory = None) -> None:
    """Have the many deletions committed that annexd is holding back ('annexd status' says so).

    Makes the file .git/annex/annexd/accept, which annexd removes when it has done so.
    """
    from annexd.requests import accept_deletions

    accept_deletions(find_annex(directory))


def hold(
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="COMMAND", help="While it runs; put -- before."),
    ] = None,
    *,
    for_: Annotated[
        str, typer.Option("--for", metavar="TIME", help="At most so long: 30m, 2h.")
    ] = "1h",
) -> None:
    """Have nothing committed automatically while COMMAND runs, or until 'annexd release'.

    So that what COMMAND does to many files ends up in one commit.  The file is
    .git/annex/annexd/hold, or hold.PID for a command, and any number may hold at once: first line
    when it ends by itself (Unix time), second the pid of who holds.  What you commit yourself is
    pushed all the same.
    """
    from annexd.holding import hold_commits, hold_commits_during

    place = find_annex()
    if command:
        raise typer.Exit(hold_commits_during(place, parse_duration(for_), command))
    hold_commits(place, parse_duration(for_))


def release(directory: Directory = None) -> None:
    """End every 'hold': removes .git/annex/annexd/hold, and hold.PID."""
    from annexd.holding import release_commits

    if not release_commits(find_annex(directory)):
        raise AnnexdError("nothing is held here")


def doctor(
    directory: Directory = None,
    *,
    deep: Annotated[
        bool,
        typer.Option("--deep", help="Also whether everything agrees: takes seconds to a minute."),
    ] = False,
    hashes: Annotated[
        bool, typer.Option("--hash", help="With --deep: read every content, too.")
    ] = False,
) -> None:
    """Look for what may keep annexd from working, and name the command that mends it.

    Changes nothing.  Exit status 1 if something is wrong; with --deep, 2 if it cannot look.

    --deep compares the spool, the index, the work tree, the location logs and the remotes with what
    is really there.  annexd and git-annex may go on working meanwhile: what seems wrong is looked
    at again, for up to half a minute, until it is certain.
    """
    from annexd.doctor import examine

    wrong = 0
    for finding in examine(directory):
        typer.echo(finding.line())
        wrong += finding.is_wrong
    if deep or hashes:
        wrong += _look_deep(directory, with_hashes=hashes)
    if wrong:
        raise typer.Exit(1)


def _look_deep(directory: Path | None, *, with_hashes: bool) -> int:
    """How much is wrong; exits with 2 if that cannot be found out."""
    from annexd.deep import looks
    from workers.annex.repository import RepositoryError
    from workers.git.run import GitError

    verdict = looks.Verdict()
    checks = looks.with_hashes() if with_hashes else looks.CHECKS
    try:
        for finding in looks.examine_deeply(find_place(directory), verdict, checks):
            typer.echo(finding.line())
    except (AnnexdError, RepositoryError, GitError, ValueError, OSError) as failure:
        typer.echo(f"annexd: cannot look: {escape(str(failure))}", err=True)
        raise typer.Exit(2) from None
    if verdict.unseen:
        raise typer.Exit(2)
    return verdict.wrong


def demo() -> None:
    """Show annexd at work: two repositories in a temporary folder, and a file on its way.

    Everything is stopped and removed at the end.
    """
    from annexd.demo import run_demo

    run_demo()


def shell(
    command: Annotated[
        list[str] | None, typer.Argument(metavar="COMMAND", help="As git-annex-shell has it.")
    ] = None,
) -> None:
    """Serve one client of git or git-annex over ssh, in place of git-annex-shell.

    For remote.NAME.annex-shell at the client, or for command= in authorized_keys on the server:
    see docs/SHELL.md.  Without arguments the command is taken from SSH_ORIGINAL_COMMAND.
    """
    # Reached with options before the command only (annexd -C DIR shell): see cli.py.
    from annexd.commands_shell import serve

    raise typer.Exit(serve(command or [], os.environ))
