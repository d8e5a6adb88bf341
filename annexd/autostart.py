"""git-annex's own list of repositories to start daemons in: ``~/.config/git-annex/autostart``.

One path a line; ``git annex assistant --autostart`` reads the same file.  No file is an empty
list, and an empty list is in order.  A repository that is not there now (its drive is not
mounted) is passed over.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from annexd.errors import AnnexdError
from annexd.expected import EXPECTED, for_person
from annexd.instance import AlreadyRunningError
from annexd.launch import Starting, begin
from annexd.repository import find_annex, find_place
from spool.place import Place


class AutostartError(AnnexdError):
    """It did not work everywhere; the text says where, and why."""


def list_file() -> Path:
    """Where the list is."""
    config = os.environ.get("XDG_CONFIG_HOME")
    return Path(config or Path.home() / ".config", "git-annex", "autostart")


def read_list() -> list[Path]:
    """The repositories that are there, in the order of the list."""
    try:
        lines = list_file().read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    # git-annex does not mind one that stands there twice.
    paths = dict.fromkeys(Path(os.fsdecode(line)) for line in lines if line.strip())
    # Unlike Path.exists, this is False for whatever reason: a dead mount, another user's drive.
    return [path for path in paths if os.path.exists(path)]


def start_all(startdelay_s: float) -> None:
    """Start annexd in each, side by side; where it runs already all is well."""
    begun: list[Starting] = []
    failures: list[Exception] = []
    for path in read_list():
        try:
            begun.append(begin(find_place(path), startdelay_s))
        except AlreadyRunningError as running:
            if running.holder is None or not running.holder.is_annexd:
                failures.append(running)
        except EXPECTED as failure:
            failures.append(failure)
    for starting in begun:
        try:
            starting.finish()
        except EXPECTED as failure:
            failures.append(failure)
    _raise(failures)


def everywhere(do: Callable[[Place], object]) -> None:
    """Do something in each; where it fails, go on, and say so at the end."""
    failures: list[Exception] = []
    for path in read_list():
        try:
            do(find_annex(path))
        except EXPECTED as failure:
            failures.append(failure)
    _raise(failures)


def _raise(failures: Sequence[Exception]) -> None:
    told = [for_person(failure) or AnnexdError(str(failure)) for failure in failures]
    if told:
        error = AutostartError("; ".join(map(str, told)))
        error.exit_status = told[0].exit_status
        raise error
