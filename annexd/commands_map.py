"""``annexd map``."""

from typing import Annotated

import typer

from annexd.commands_daemon import Directory
from annexd.commands_spool import AsJson
from annexd.repository import find_annex


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
