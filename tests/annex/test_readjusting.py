"""On an adjusted branch that hides what is missing, files come and go with their contents."""

import os

from spool.key import parse
from tests.desks import paths
from tests.processes import wait_until
from tests.repo import Repo
from tests.watching import watched
from workers.annex.objects import Objects
from workers.annex.repository import find
from workers.git.refname import parse_ref_name
from workers.watcher.adjusted import shows_presence


def test_files_come_and_go_with_their_contents(pair: tuple[Repo, Repo]) -> None:
    a, b = pair
    for name in ("one", "two"):
        a.add(name, name.encode())
    a.annex("sync", "-q", "--no-content")
    b.annex("sync", "-q", "--no-content")
    b.annex("adjust", "-q", "--hide-missing", "--unlock")
    assert paths(b) == set()

    with watched(b) as watcher:
        b.annex("get", "-q", "--key", a.key("one").decode())
        wait_until(lambda: paths(b) == {"one"}, 20, why=watcher.log.read_text)
        b.write("mine", b"mine")
        watcher.settle()
        b.annex("drop", "-q", "--force", "--key", a.key("one").decode())
        wait_until(lambda: paths(b) == {"mine"}, 20, why=watcher.log.read_text)
        watcher.settle()

    tree = b.git("ls-tree", "--name-only", "main").split()
    assert sorted(tree) == [b"mine", b"one", b"two"]
    assert b.status() == b""


def test_what_has_come_without_git_annex_is_shown_too(pair: tuple[Repo, Repo]) -> None:
    """As annexd's own transfers come."""
    a, b = pair
    key = a.add("one", b"one").decode()
    a.annex("sync", "-q", "--no-content")
    b.annex("sync", "-q", "--no-content")
    b.annex("adjust", "-q", "--hide-missing")

    with watched(b) as watcher:
        watcher.settle()
        sent = b.path / ".git/annex/tmp/sent"
        sent.parent.mkdir(exist_ok=True)
        sent.write_bytes(b"one")
        Objects(find(b.path)).store(parse(key.encode()), os.fsencode(sent))
        b.annex("setpresentkey", key, b.uuid(), "1")
        wait_until(lambda: paths(b) == {"one"}, 20, why=watcher.log.read_text)


def test_what_arrived_while_nobody_watched_is_shown_at_the_start(pair: tuple[Repo, Repo]) -> None:
    a, b = pair
    a.add("one", b"one")
    a.annex("sync", "-q", "--no-content")
    b.annex("sync", "-q", "--no-content")
    b.annex("adjust", "-q", "--hide-missing")
    b.annex("get", "-q", "--key", a.key("one").decode())
    assert paths(b) == set()

    with watched(b) as watcher:
        wait_until(lambda: paths(b) == {"one"}, 20, why=watcher.log.read_text)


def test_only_such_branches_are_made_anew() -> None:
    names = {
        b"adjusted/main(hidemissing)": True,
        b"adjusted/main(hidemissing-unlocked)": True,
        b"adjusted/main(unlockpresent)": True,
        b"adjusted/main(unlocked)": False,
        b"main(hidemissing)": False,
    }

    for name, shows in names.items():
        assert shows_presence(parse_ref_name(b"refs/heads/" + name)) is shows
