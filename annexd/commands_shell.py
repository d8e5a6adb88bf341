"""``annexd shell``: what git-annex clients call over ssh instead of ``git-annex-shell``.

It is called for every fetch and every copy, so it is not typer's, and imports only what the one
request needs.

DIAGNOSTICS: ``ShellError``, whose text is for the client's stderr; exit status 1, as stock.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

from annexd.errors import AnnexdError
from workers.shell.request import GIT_COMMANDS, Allowance, Request, RequestError


class ShellError(AnnexdError):
    """It cannot be done, or may not."""

    exit_status = 1


def serve(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Do what was asked; the exit status."""
    try:
        return _serve(arguments, environ)
    except RequestError as refused:
        raise ShellError(str(refused)) from refused


def _serve(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    request = Request.parse(arguments, environ.get("SSH_ORIGINAL_COMMAND"))
    allowance = Allowance.parse(environ)
    home = environ.get("HOME") or os.path.expanduser("~")
    if request.of_git:
        allowance.check_git(request)
        if request.command not in GIT_COMMANDS:
            _hand_over(request)
        from workers.annex.packserver import become

        become(request.command.removeprefix("git-"), allowance.located(request.parameters[0], home))
    if request.command not in {"p2pstdio", "configlist", "inannex", "notifychanges"}:
        _hand_over(request)
    return _serve_annex(request, allowance, home)


def _hand_over(request: Request) -> NoReturn:
    from workers.shell.handover import hand_over

    hand_over(request)


def _serve_annex(request: Request, allowance: Allowance, home: str) -> int:
    from workers.shell.finding import find

    found = find(request, allowance, home)
    match request.command:
        case "p2pstdio":
            from workers.shell.session import Session
            from workers.shell.wire import Wire

            client = request.client()
            Session(Wire(0, 1), found, client, allowance).serve()
        case "notifychanges":
            from workers.shell.changes import tell
            from workers.shell.wire import Wire

            tell(Wire(0, 1), found)
        case "configlist":
            from workers.shell.questions import configuration

            sys.stdout.write(configuration(found))
        case _:
            from workers.shell.questions import all_here

            return 0 if all_here(found, request.parameters[1:]) else 1
    return 0
