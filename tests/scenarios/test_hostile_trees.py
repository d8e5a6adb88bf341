"""A peer who makes trees by hand, with names that git itself would never check out."""

import pytest

from tests.daemons import Fleet
from tests.processes import wait_until
from tests.repo import Repo


def hostile_commit(repo: Repo, path: str) -> str:
    """A commit on HEAD whose tree has nothing but a file of that path."""
    mode, oid = b"100644", repo.git("hash-object", "-w", "--stdin", stdin=b"pwned").strip()
    for name in reversed(path.split("/")):
        tree = b"%b %b\0%b" % (mode, name.encode(), bytes.fromhex(oid.decode()))
        making = ("hash-object", "-t", "tree", "-w", "--literally", "--stdin")
        oid, mode = repo.git(*making, stdin=tree).strip(), b"40000"
    parents = ("-p", "HEAD")
    return repo.git("commit-tree", oid.decode(), *parents, "-m", "hostile").decode().strip()


@pytest.mark.parametrize("kind", ["plain", "adjusted"])
@pytest.mark.parametrize("path", [".git/hooks/post-commit", "../pwned"])
def test_what_git_would_not_check_out_is_held_and_ones_own_work_goes_on(
    pair: tuple[Repo, Repo], fleet: Fleet, path: str, kind: str
) -> None:
    a, b = pair
    b.add("mine", b"mine")
    if kind == "adjusted":
        b.annex("adjust", "-q", "--unlock")
    daemon = fleet.annexd(b)
    fleet.settle()
    a.git("fetch", "-q", "b")
    a.git("reset", "-q", "--hard", "b/main")
    a.git("push", "-q", "b", f"{hostile_commit(a, path)}:refs/heads/synced/main")
    wait_until(lambda: path.encode() in daemon.ask("log").stdout, 30, daemon.log)

    b.write("more", b"more")
    wait_until(lambda: b"more" in b.tree(), 30, daemon.log)

    assert b.exists("mine")
    assert not (b.path / path).exists()
    restarts = [worker["restarts"] for worker in daemon.status()["workers"]]
    assert not any(restarts), daemon.log()
