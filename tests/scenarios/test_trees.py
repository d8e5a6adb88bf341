"""Special remotes that hold files under their names: exported, and imported."""

import os
from pathlib import Path

import pytest

from tests.daemons import Annexd, Fleet
from tests.processes import wait_until
from tests.repo import Repo


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """The directory of the special remote ``shelf``."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    return shelf


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    """A repository with a file."""
    repo = Repo.create(tmp_path / "a")
    repo.write("first", b"first")
    repo.annex("add", "-q", "-c", "annex.addunlocked=true", "first")
    repo.git("commit", "-q", "-m", "first")
    return repo


def follow(repo: Repo, shelf: Path, *parameters: str, tracking: str = "main") -> None:
    """Have the repository's tree on the shelf."""
    kind = ("type=directory", f"directory={shelf}", "encryption=none")
    repo.annex("initremote", "-q", "shelf", *kind, *parameters)
    repo.config("remote.shelf.annex-tracking-branch", tracking)


BOTH = ("exporttree=yes", "importtree=yes")


def on(shelf: Path) -> dict[str, bytes]:
    """The files there, and what is in them."""
    files = (path for path in shelf.rglob("*") if path.is_file())
    return {str(path.relative_to(shelf)): path.read_bytes() for path in files}


def told(daemon: Annexd) -> bytes:
    return daemon.ask("status").stdout + daemon.log().encode()[-3000:]


def test_a_shelf_holds_what_the_work_tree_holds(repo: Repo, shelf: Path, fleet: Fleet) -> None:
    follow(repo, shelf, "exporttree=yes")
    daemon = fleet.annexd(repo)
    wait_until(lambda: on(shelf) == {"first": b"first"}, 20, lambda: told(daemon))

    repo.write("dir/second", os.urandom(300_000))
    repo.write("first", b"changed")
    daemon.wait(60)
    assert on(shelf) == {"first": b"changed", "dir/second": repo.read("dir/second")}
    repo.rename("dir/second", "third")
    repo.remove("first")
    daemon.wait(60)

    assert on(shelf) == {"third": repo.read("third")}
    assert b"shelf" in daemon.ask("status").stdout
    assert not list((repo.path / ".git/annex/transfer").glob("failed/*/*/*"))


def test_what_others_put_on_the_shelf_and_take_from_it_is_so_in_the_work_tree(
    repo: Repo, shelf: Path, fleet: Fleet
) -> None:
    follow(repo, shelf, *BOTH)
    daemon = fleet.annexd(repo)
    wait_until(lambda: on(shelf) == {"first": b"first"}, 20, lambda: told(daemon))

    (shelf / "dir").mkdir()
    (shelf / "dir/theirs").write_bytes(b"theirs")
    wait_until(lambda: repo.holds("dir/theirs", b"theirs"), 20, lambda: told(daemon))
    (shelf / "first").write_bytes(b"changed")
    wait_until(lambda: repo.holds("first", b"changed"), 20, lambda: told(daemon))
    (shelf / "dir/theirs").unlink()
    wait_until(lambda: not (repo.path / "dir/theirs").exists(), 20, lambda: told(daemon))
    repo.write("mine", b"mine")

    daemon.wait(60)
    assert on(shelf) == {"first": b"changed", "mine": b"mine"}
    commits = repo.head()
    daemon.tell("poke")
    daemon.wait(60)
    assert repo.head() == commits, "there was nothing more to merge"
    assert b" commits" not in daemon.ask("status").stdout, "nobody lacks any"
    repo.check()


def test_many_files_that_are_gone_from_the_shelf_are_asked_about_by_its_name(
    repo: Repo, shelf: Path, fleet: Fleet
) -> None:
    for number in range(40):
        repo.write(f"file {number}", b"%d" % number)
    follow(repo, shelf, *BOTH)
    daemon = fleet.annexd(repo)
    wait_until(lambda: len(on(shelf)) == 41, 60, lambda: told(daemon))
    daemon.wait(60)

    for path in shelf.glob("file *"):
        path.unlink()

    words = b"a merge of what was imported from shelf would delete 40 files"
    wait_until(lambda: words in daemon.ask("status").stdout, 30, lambda: told(daemon))
    daemon.tell("accept")
    wait_until(lambda: not list(repo.path.glob("file *")), 30, lambda: told(daemon))


def test_what_was_changed_on_both_sides_is_kept_on_both(
    repo: Repo, shelf: Path, fleet: Fleet
) -> None:
    follow(repo, shelf, *BOTH)
    daemon = fleet.annexd(repo)
    wait_until(lambda: on(shelf) == {"first": b"first"}, 20, lambda: told(daemon))
    daemon.wait(60)
    daemon.stop()
    (shelf / "first").write_bytes(b"theirs")
    (shelf / "also").write_bytes(b"also theirs")
    repo.write("first", b"ours")
    repo.write("also", b"also ours")

    daemon = fleet.annexd(repo)

    want = {b"theirs", b"ours", b"also theirs", b"also ours"}
    wait_until(lambda: set(on(shelf).values()) == want, 40, lambda: told(daemon))
    daemon.wait(60)
    files = {name.decode(): repo.read(name) for name in repo.tree()}
    assert files == on(shelf)


def test_a_directory_of_the_tree_and_only_what_is_wanted(
    repo: Repo, shelf: Path, fleet: Fleet
) -> None:
    follow(repo, shelf, *BOTH, tracking="main:sub/dir")
    repo.annex("wanted", "-q", "shelf", "exclude=*.tmp")
    repo.write("sub/dir/a", b"a")
    repo.write("sub/dir/b.tmp", b"b")
    daemon = fleet.annexd(repo)
    wait_until(lambda: on(shelf) == {"a": b"a"}, 20, lambda: told(daemon))

    (shelf / "c").write_bytes(b"c")
    wait_until(lambda: repo.holds("sub/dir/c", b"c"), 20, lambda: told(daemon))
    assert repo.read("sub/dir/b.tmp") == b"b"
    repo.annex("wanted", "-q", "shelf", "anything")

    wait_until(lambda: "b.tmp" in on(shelf), 60, lambda: told(daemon))
    assert on(shelf) == {"a": b"a", "b.tmp": b"b", "c": b"c"}


def test_an_export_goes_on_whoever_is_killed_and_content_that_was_lacking_follows(
    repo: Repo, shelf: Path, fleet: Fleet
) -> None:
    key = repo.add("dropped", b"dropped")
    repo.annex("drop", "-q", "--force", "dropped")
    follow(repo, shelf, "exporttree=yes")
    for number in range(60):
        repo.write(f"file {number}", b"%d" % number)
    daemon = fleet.annexd(repo)
    wait_until(lambda: len(on(shelf)) > 10, 30, lambda: told(daemon))
    daemon.kill_worker("pusher")
    wait_until(lambda: len(on(shelf)) == 61, 60, lambda: told(daemon))
    daemon.wait(60)
    assert b"lacking shelf: 1" in daemon.ask("status").stdout

    (shelf.parent / "found").write_bytes(b"dropped")
    repo.annex("setkey", "-q", key, shelf.parent / "found")

    wait_until(lambda: on(shelf).get("dropped") == b"dropped", 60, lambda: told(daemon))
    wait_until(lambda: b"lacking" not in daemon.ask("status").stdout, 20)
