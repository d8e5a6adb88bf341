"""The remotes of a repository, as ``annexd status`` and ``wait`` ask for them."""

import os
from pathlib import Path

import pytest

from annexd import remotelist
from annexd.remotelist import list_remotes
from spool.place import Place
from tests.repo import Repo
from workers.git.run import Git
from workers.git.settings import Settings


@pytest.fixture
def place(tmp_path: Path) -> Place:
    repo = Repo.plain(tmp_path / "a")
    return Place(repo.path, repo.path / ".git", repo.path / ".git")


def names(place: Place) -> list[bytes]:
    return [remote.name for remote in list_remotes(place)]


def test_git_is_not_asked_again_and_again_what_has_not_changed(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`annexd wait` asked for every change of any role's state: 53 times in one burst."""
    asked = []

    def read(git: Git) -> Settings:
        asked.append(git)
        return real(git)

    real = Settings.read
    monkeypatch.setattr(Settings, "read", read)

    for _ in range(5):
        names(place)

    assert len(asked) == 1


def test_what_is_changed_is_read_again_at_once(place: Place) -> None:
    assert names(place) == []
    Repo(place.worktree).git("remote", "add", "one", "/nowhere")
    assert names(place) == [b"one"]
    Repo(place.worktree).git("remote", "add", "two", "/nowhere")
    assert names(place) == [b"one", b"two"]
    Repo(place.worktree).git("remote", "rename", "one", "six")  # as long as before
    assert names(place) == [b"six", b"two"]


def test_a_file_that_was_not_there_is_found_in_a_while(
    place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(remotelist, "READ_S", 0.0)
    assert names(place) == []
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.fspath(tmp_path / "another"))
    Repo(place.worktree).git("config", "--global", "remote.far.url", "/nowhere")

    assert names(place) == [b"far"]
