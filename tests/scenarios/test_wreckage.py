"""What a power cut, or a killed git, leaves behind keeps nothing from going on."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.daemons import Fleet
from tests.processes import run
from tests.repo import Repo
from tests.scenarios.topology import around_hub
from tests.synced import synced

Wreck = Callable[[Path], None]
"""Does something to a git directory."""


def lock(name: str, age_s: int = 100) -> Wreck:
    """A lock of git's whose owner has died."""

    def wreck(gitdir: Path) -> None:
        path = gitdir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        run(["touch", "-d", f"-{age_s} seconds", path])

    return wreck


def cut(pattern: str, size: int = 0) -> Wreck:
    """Files whose ends never got to the disk."""

    def wreck(gitdir: Path) -> None:
        for path in gitdir.glob(pattern):
            if path.is_file():
                os.truncate(path, min(size, path.stat().st_size))

    return wreck


def put(name: str, content: bytes) -> Wreck:
    def wreck(gitdir: Path) -> None:
        (gitdir / name).parent.mkdir(parents=True, exist_ok=True)
        (gitdir / name).write_bytes(content)

    return wreck


WRECKS: dict[str, Wreck] = {
    "lock of the index": lock("index.lock", age_s=601),
    "lock of main": lock("refs/heads/main.lock"),
    "fresh lock of main": lock("refs/heads/main.lock", age_s=0),
    "lock of git-annex": lock("refs/heads/git-annex.lock"),
    "lock of synced": lock("refs/heads/synced/main.lock"),
    "lock of synced git-annex": lock("refs/heads/synced/git-annex.lock"),
    "lock of tracking branches": lock("refs/remotes/b/main.lock"),
    "lock of packed refs": lock("packed-refs.lock"),
    "lock of HEAD": lock("HEAD.lock"),
    "state cut": cut("annex/annexd/**/*"),
    "state cut in the middle": cut("annex/annexd/**/*", size=7),
    "git-annex's index cut": cut("annex/index"),
    "keys database cut": cut("annex/keysdb/*"),
    "journal file cut": put("annex/journal/uuid.log", b""),
    "stray file in the journal": put("annex/journal/0x1", b"\x00\xff"),
    "pid of nobody": put("annex/daemon.pid", b"999999"),
    "pid of somebody else": put("annex/daemon.pid", b"1"),
    "daemon.pid.new": put("annex/daemon.pid.new", b""),
    "queue of rubbish": put("annex/transfer/queue/to/x/y", b"\xff" * 1000),
    "fast-import's last words": put("fast_import_crash_1", b"fast-import crash report:\n"),
}


@pytest.mark.parametrize("wreck", WRECKS.values(), ids=WRECKS.keys())
def test_it_goes_on_after(pair: tuple[Repo, Repo], fleet: Fleet, wreck: Wreck) -> None:
    a, b = pair
    daemons = fleet.serve(a, b)
    a.write("before", b"a" * 5000)
    b.write("also before", b"b" * 5000)
    synced(a, b)
    daemons[0].kill()

    a.write("meanwhile", b"m" * 5000)
    wreck(a.path / ".git")
    daemons[0].start()
    a.write("after", b"A" * 5000)
    b.write("after too", b"B" * 5000)

    synced(a, b, within_s=60)
    daemons[0].wait()
    daemons[1].wait()
    for repo in pair:
        repo.check()


@pytest.mark.parametrize("name", ["main", "synced/main", "git-annex", "synced/git-annex"])
def test_a_hub_where_a_push_was_killed_goes_on(tmp_path: Path, fleet: Fleet, name: str) -> None:
    hub, (a, b) = around_hub(tmp_path, 2)
    fleet.serve(a, b)
    a.write("before", b"a")
    synced(a, b)

    lock(f"refs/heads/{name}.lock")(hub.path)
    a.write("after", b"A" * 5000)
    b.write("after too", b"B" * 5000)

    synced(a, b, within_s=90)
    fleet.settle()
    hub.check()
