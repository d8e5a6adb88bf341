"""Modes of objects and files, compared with those that git-annex gives."""

import os
from pathlib import Path

import pytest

from spool.key import Key
from tests.processes import run
from tests.repo import Repo
from workers.annex.objects import Objects, Stored
from workers.annex.repository import find
from workers.annex.sharing import Sharing


def modes(repo: Repo, key: bytes) -> dict[str, int]:
    """The modes of the object of ``key`` and of the directories that lead to it."""
    path = Path(os.fsdecode(Objects(find(repo.path)).locate(Key(key)) or b""))
    named = {
        "object": path,
        "its directory": path.parent,
        "hash directory": path.parent.parent,
        "above": path.parent.parent.parent,
    }
    return {name: each.stat().st_mode & 0o7777 for name, each in named.items()}


CASES = [
    *((value, umask) for value in (None, "group", "all") for umask in (0o022, 0o077)),
    *((value, 0o022) for value in ("0660", "0640", "0600", "0666")),
]


@pytest.mark.parametrize(("value", "umask"), CASES)
def test_what_we_store_has_the_modes_that_git_annex_would_give_it(
    tmp_path: Path, value: str | None, umask: int
) -> None:
    run(["git", "init", "-q", tmp_path / "repo"])
    repo = Repo(tmp_path / "repo")
    if value is not None:
        repo.config("core.sharedRepository", value)
    before = os.umask(umask)
    try:
        repo.annex("init", "-q")
        for name, mode in (("plain", 0o644), ("program", 0o755)):
            repo.write(name, name.encode()).chmod(mode)
        repo.annex("add", "-q", ".")
        theirs = [modes(repo, repo.key(name)) for name in ("plain", "program")]
        keys = [repo.key("plain"), repo.key("program")]
        run(["chmod", "-R", "u+w", repo.path / ".git" / "annex" / "objects"])
        run(["rm", "-r", repo.path / ".git" / "annex" / "objects"])
        os.mkdir(repo.path / ".git" / "annex" / "objects")

        for key, mode in zip(keys, (0o644, 0o755), strict=True):
            temporary = repo.write("tmp", b"plain" if mode == 0o644 else b"program")
            temporary.chmod(mode)
            stored = Objects(find(repo.path)).store(Key(key), os.fsencode(temporary))
            assert stored is Stored.NEW

        assert [modes(repo, key) for key in keys] == theirs
    finally:
        os.umask(before)


@pytest.mark.parametrize("value", [None, "group", "all", "0660"])
def test_directories_of_objects_hand_their_group_down_where_git_annexs_do(
    tmp_path: Path, value: str | None
) -> None:
    shared = [] if value is None else [f"--shared={value}"]
    (tmp_path / "repo").mkdir()
    (tmp_path / "repo").chmod(0o2775)
    run(["git", "init", "-q", *shared, tmp_path / "repo"])
    repo = Repo(tmp_path / "repo")
    repo.annex("init", "-q")
    repo.write("theirs", b"theirs")
    repo.annex("add", "-q", ".")
    theirs = modes(repo, repo.key("theirs"))
    key = Key(b"SHA256-s4--%064d" % 0)

    stored = Objects(find(repo.path)).store(key, os.fsencode(repo.write("tmp", b"ours")))

    assert stored is Stored.NEW
    assert modes(repo, key) == theirs
    assert theirs["hash directory"] & 0o2000


@pytest.mark.parametrize(
    ("values", "same"),
    [
        (("group", "true", "1", "GROUP"), "group"),
        (("all", "world", "everybody", "2"), "all"),
        (("660",), "0660"),
        (("umask", "false", "0", "", "yes", "0066", "99", "0o660", None), "umask"),
    ],
)
def test_a_value_may_be_spelled_in_several_ways(values: tuple[str | None, ...], same: str) -> None:
    assert {Sharing.parse(value) for value in values} == {Sharing.parse(same)}
