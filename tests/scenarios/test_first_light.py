"""What one person does to a work tree, the other one sees, content and all; both ways."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.daemons import Fleet
from tests.repo import Repo
from tests.synced import synced

BEFORE = {
    b"letter.txt": b"Dear all\n",
    b"photos/2026/beach.jpg": b"sand" * 50_000,
    b"photos/2026/sea.jpg": b"water" * 50_000,
    b"script.sh": b"#!/bin/sh\necho hello\n",
}


def move_in(repo: Repo) -> None:
    """A tree made elsewhere on the same file system, renamed into the work tree as one."""
    outside = Path(tempfile.mkdtemp(dir=os.environ["HOME"])) / "tree"
    for number in range(20):
        file = outside / f"depth/{number % 4}/file {number}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"%d" % number * 1000)
    outside.rename(repo.path / "moved in")


def become_directory(repo: Repo) -> None:
    repo.remove("letter.txt")
    repo.write("letter.txt/page 1", b"one")


def become_file(repo: Repo) -> None:
    for name in ("beach.jpg", "sea.jpg"):
        repo.remove(f"photos/2026/{name}")
    (repo.path / "photos/2026").rmdir()
    (repo.path / "photos").rmdir()
    repo.write("photos", b"all of them in one file")


DEEDS: dict[str, Callable[[Repo], object]] = {
    "an added file": lambda repo: repo.write("new", b"new"),
    "an empty file": lambda repo: repo.write("empty", b""),
    "a large file": lambda repo: repo.write("large", os.urandom(20_000_000)),
    "a file in new directories": lambda repo: repo.write("x/y/z/deep", b"deep"),
    "an edit in place": lambda repo: repo.write("letter.txt", b"Dear nobody\n"),
    "an edit by renaming": lambda repo: repo.replace("letter.txt", b"Dear everybody\n"),
    "another file's content": lambda repo: repo.write("letter.txt", BEFORE[b"script.sh"]),
    "a deleted file": lambda repo: repo.remove("photos/2026/sea.jpg"),
    "a renamed file": lambda repo: repo.rename("letter.txt", "envelope/letter.txt"),
    "a renamed directory": lambda repo: repo.rename("photos", "pictures/of us"),
    "a tree moved in": move_in,
    "a symlink": lambda repo: (repo.path / "to letter").symlink_to("letter.txt"),
    "a dangling symlink": lambda repo: (repo.path / "nowhere").symlink_to("no/such/file"),
    "the x bit": lambda repo: (repo.path / "script.sh").chmod(0o755),
    "a file that becomes a directory": become_directory,
    "a directory that becomes a file": become_file,
}

UNSEEN_BY_THE_ASSISTANT = {"the x bit"}  # 10.20261026, until it is restarted


def fill(repo: Repo) -> None:
    for name, content in BEFORE.items():
        repo.write(name, content)


@pytest.mark.parametrize("deed", DEEDS)
def test_what_one_does_the_other_sees(pair: tuple[Repo, Repo], fleet: Fleet, deed: str) -> None:
    a, b = pair
    fill(a)
    fleet.serve(a, b)
    synced(a, b)

    DEEDS[deed](a)

    synced(a, b)
    b.write("answer", b"seen")
    synced(a, b)
    fleet.settle()
    fleet.stop()
    a.check()
    b.check()


@pytest.mark.parametrize("doer", ["annexd", "assistant"])
def test_annexd_and_an_assistant_see_what_is_done_beside_the_other(
    pair: tuple[Repo, Repo], fleet: Fleet, doer: str
) -> None:
    """All the deeds at once, each in a directory of its own."""
    a, b = pair
    here = a if doer == "annexd" else b
    deeds = {
        name: deed
        for name, deed in DEEDS.items()
        if doer == "annexd" or name not in UNSEEN_BY_THE_ASSISTANT
    }
    for name in deeds:
        fill(Repo(here.path / name))
    fleet.annexd(a)
    fleet.assistant(b)
    synced(a, b)

    for name, deed in deeds.items():
        deed(Repo(here.path / name))

    synced(a, b, within_s=90)
    (b if here is a else a).write("answer", b"seen")
    synced(a, b)
    fleet.settle()
    fleet.stop()
    a.check()
    b.check()


def test_both_ways_at_once(pair: tuple[Repo, Repo], fleet: Fleet) -> None:
    fleet.serve(*pair)

    for number in range(20):
        for repo in pair:
            repo.write(f"from {repo.path.name}/{number}", b"%d %d" % (number, id(repo)))

    synced(*pair)
    fleet.settle()
    fleet.stop()
    for repo in pair:
        repo.check()


def test_what_was_there_before_the_daemons_is_synced_too(
    pair: tuple[Repo, Repo], fleet: Fleet
) -> None:
    a, b = pair
    fill(a)
    b.write("mine", b"b's own")
    b.add("committed", b"by hand")

    fleet.serve(a, b)

    synced(a, b)
    assert a.read("committed") == b"by hand"
    assert a.read("mine") == b"b's own"


def test_a_clone_made_while_the_daemon_runs_gets_everything(repo: Repo, fleet: Fleet) -> None:
    repo.git("commit", "-q", "--allow-empty", "-m", "start")
    fill(repo)
    fleet.serve(repo)
    synced(repo)

    clone = repo.clone(repo.path.parent / "clone")
    fleet.serve(clone)

    synced(repo, clone)
