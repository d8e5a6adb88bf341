"""A repository as the watcher has it before it: for tests of its parts, in this process."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from spool.place import Place
from tests.repo import Repo
from workers.annex.repository import find
from workers.process import Worker
from workers.wakeup import Wakeup
from workers.watcher.desk import Desk


@contextmanager
def desk_of(repo: Repo) -> Iterator[Desk]:
    """The desk of one repository; its git processes end with the block."""
    found = find(repo.path)
    place = Place(repo.path, found.git.gitdir, found.common)
    place.annexd.mkdir(mode=0o700, exist_ok=True)
    wakeup = Wakeup()
    desk = Desk(Worker("watcher", 1, place, wakeup))
    try:
        yield desk
    finally:
        desk.close()
        wakeup.close()


def nothing() -> None:
    """Long work that nobody has to hear of."""


def paths(repo: Repo) -> set[str]:
    """All files of the work tree, links too."""
    found = set()
    for where, directories, names in os.walk(repo.path):
        if where == str(repo.path):
            directories.remove(".git")
        links = [name for name in directories if os.path.islink(os.path.join(where, name))]
        found |= {os.path.relpath(os.path.join(where, name), repo.path) for name in names + links}
    return found


def make_pair(factory: pytest.TempPathFactory) -> Path:
    """Two clones, ``a`` and ``b``, that are each other's remotes by relative paths."""
    home, place = factory.mktemp("home"), factory.mktemp("template")
    (home / ".gitconfig").write_text("[user]\n\tname = t\n\temail = t@example.com\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        a = Repo.create(place / "a")
        a.git("commit", "-q", "--allow-empty", "-m", "start")
        b = a.clone(place / "b")
        b.git("remote", "rename", "origin", "a")
        b.git("remote", "set-url", "a", "../a")
        a.git("remote", "add", "b", "../b")
        a.annex("sync", "-q", "--no-content")
        b.annex("sync", "-q", "--no-content")
    return place


def copy_pair(template: Path, place: Path) -> tuple[Repo, Repo]:
    """The two clones, fresh."""
    for name in "ab":
        shutil.copytree(template / name, place / name, symlinks=True)
        Repo(place / name).git("update-index", "-q", "--refresh")  # they are other inodes
    return Repo(place / "a"), Repo(place / "b")
