"""The question that most scenarios end with: whether all have the same, and all of it."""

import time
from collections.abc import Iterable, Mapping

from tests.processes import PATIENCE, pause
from tests.repo import Repo
from tests.views import Entry, committed, tree_id, worktree

SYNC_S = 60.0
SHOWN = 8


def synced(*repos: Repo, within_s: float = SYNC_S, besides: Iterable[bytes] = ()) -> None:
    """Wait until all ``repos`` have the same tree, committed, with every content in place.

    ``besides`` are names (with all below them) in the work trees that do not count.
    """
    within_s *= PATIENCE
    deadline = time.monotonic() + within_s
    gap_s = 0.02
    while not _agree(repos, besides):
        if time.monotonic() > deadline:
            # Looked at once more in full: what is said must be what is so now.
            found = "\n".join(differences(repos, besides))
            if not found:
                break
            raise AssertionError(f"not in sync within {within_s} s:\n{found}")
        pause(gap_s)
        gap_s = min(gap_s * 1.5, 0.5)
    for repo in repos:
        repo.must_be_at_rest()


def differences(repos: Iterable[Repo], besides: Iterable[bytes] = ()) -> list[str]:
    """Where ``repos`` do not have the same, or not all of it, or not all committed; in words."""
    views: dict[str, dict[bytes, Entry]] = {}
    for repo in repos:
        views[f"{repo.path.name}'s HEAD"] = committed(repo) if tree_id(repo) else {}
        views[f"{repo.path.name}'s files"] = _without(worktree(repo), besides)
    names = sorted(set[bytes]().union(*views.values()))
    found = [told for name in names for told in _difference(name, views)]
    if len(found) > SHOWN:
        found[SHOWN:] = [f"... and {len(found) - SHOWN} more of {len(names)} names"]
    trees = {repo.path.name: tree_id(repo).decode() for repo in repos}
    if len(set(trees.values())) > 1:
        found.append(f"trees: {trees}")
    return found


def _difference(name: bytes, views: Mapping[str, Mapping[bytes, Entry]]) -> list[str]:
    """What is not the same everywhere about one name; who has it how."""
    who: dict[str, list[str]] = {}
    for where, view in views.items():
        who.setdefault(str(view.get(name, "nothing")), []).append(where)
    here = all(name not in view or view[name].here for view in views.values())
    if len(who) == 1 and here:
        return []
    return [f"{name!r}: " + "; ".join(f"{how} in {', '.join(have)}" for how, have in who.items())]


def _agree(repos: Iterable[Repo], besides: Iterable[bytes]) -> bool:
    """The same question, cheapest parts first."""
    trees = [tree_id(repo) for repo in repos]
    if not trees[0] or len(set(trees)) > 1:
        return False
    wanted = committed(next(iter(repos)))
    return all(_without(worktree(repo), besides) == wanted for repo in repos)


def _without(view: dict[bytes, Entry], besides: Iterable[bytes]) -> dict[bytes, Entry]:
    return {
        name: entry
        for name, entry in view.items()
        if not any(name == other or name.startswith(other + b"/") for other in besides)
    }
