"""git-annex repositories on a ground: each the other's remote along the edges."""

from benchmarks.layout import Reach
from benchmarks.peers import prebuilt
from benchmarks.peers.peer import Ground


def node_name(number: int) -> str:
    """How a node is called as a remote."""
    return f"n{number}"


def url(ground: Ground, node: int) -> str:
    """A node as git names it."""
    if ground.reach is Reach.SSH:
        return f"ssh://bench{ground.nodes[node]}"
    return str(ground.nodes[node])


def make(ground: Ground, *settings: tuple[str, str]) -> None:
    """Initialise all, with a commit in common, the base, and every uuid known everywhere."""
    run = ground.arena.run
    first = ground.nodes[0]
    for number, node in enumerate(ground.nodes):
        if number == 0:
            run(["git", "init", "-q", node])
        else:
            run(["git", "clone", "-q", first, node])
            run(["git", "remote", "remove", "origin"], node)
        run(["git", "annex", "init", "-q", node_name(number)], node)
        for key, value in settings:
            run(["git", "config", key, value], node)
        if number == 0:
            run(["git", "commit", "-q", "--allow-empty", "-m", "start"], node)
    for a, b in ground.edges:
        run(["git", "remote", "add", node_name(b), url(ground, b)], ground.nodes[a])
        run(["git", "remote", "add", node_name(a), url(ground, a)], ground.nodes[b])
    # Twice: the second round carries to the first nodes what the last ones have told.
    for node in ground.nodes * 2:
        run(["git", "annex", "sync", "-q", "--no-content"], node)
    prebuilt.populate(ground)


def use_shell(ground: Ground, program: str) -> None:
    """Make all remotes be served by ``program`` instead of git-annex-shell."""
    for a, b in [*ground.edges, *((b, a) for a, b in ground.edges)]:
        setting = ["git", "config", f"remote.{node_name(b)}.annex-shell", program]
        ground.arena.run(setting, ground.nodes[a])
