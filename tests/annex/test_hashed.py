"""Large contents are hashed once, in a child, and not again for each remote."""

import errno
import hashlib
import itertools
import os
import signal
import time
from pathlib import Path

import pytest

from spool.key import Key
from tests.desks import desk_of, nothing
from tests.processes import descendants, wait_until
from tests.repo import Repo
from workers.annex import hashed
from workers.annex.backend import BACKENDS
from workers.annex.copying import CHUNK, Copier, Expected
from workers.annex.extension import Limits
from workers.wakeup import Wakeup
from workers.watcher import sidehash
from workers.watcher.agenda import Agenda
from workers.watcher.guard import Guard
from workers.watcher.ingest import Ingest
from workers.watcher.keying import Keying
from workers.watcher.looking import Looker
from workers.watcher.rules import Rules
from workers.watcher.sidehash import SideHash
from workers.watcher.source import Source, open_source
from workers.watcher.worktree import WorkTree

KEY = Key(b"SHA256E-s1048576--" + b"0" * 64)
LARGE = sidehash.LEAST + 5


@pytest.fixture
def object_(repo: Repo) -> Path:
    path = repo.path / ".git/annex/object"
    path.write_bytes(b"x" * hashed.LEAST)
    return path


def is_fresh(repo: Repo, path: Path, key: Key = KEY) -> bool:
    return hashed.is_fresh(os.fsencode(repo.path / ".git/annex"), key, path.stat())


def note(repo: Repo, path: Path) -> None:
    hashed.note(os.fsencode(repo.path / ".git/annex"), KEY, os.fsencode(path))


def test_what_was_hashed_just_now_is_known_while_nobody_touches_it(
    repo: Repo, object_: Path
) -> None:
    assert not is_fresh(repo, object_)
    note(repo, object_)
    assert is_fresh(repo, object_)
    assert not is_fresh(repo, object_, Key(b"SHA256E-s1048576--" + b"1" * 64))
    times = object_.stat()

    def spoil() -> bool:
        with object_.open("r+b") as file:
            file.write(b"y")
        os.utime(object_, ns=(times.st_atime_ns, times.st_mtime_ns))
        return object_.stat().st_ctime_ns != times.st_ctime_ns

    wait_until(spoil)  # the file system's clock ticks each few milliseconds

    assert not is_fresh(repo, object_)


def test_another_file_in_its_place_is_not_taken_for_it(repo: Repo, object_: Path) -> None:
    note(repo, object_)
    object_.rename(object_.with_name("elsewhere"))
    object_.write_bytes(b"z" * hashed.LEAST)
    assert not is_fresh(repo, object_)


def test_a_note_does_not_last(repo: Repo, object_: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    note(repo, object_)
    monkeypatch.setattr(hashed, "FRESH_S", 0.0)
    assert not is_fresh(repo, object_)


def test_small_contents_are_not_noted(repo: Repo, object_: Path) -> None:
    object_.write_bytes(b"x")
    note(repo, object_)
    assert not (repo.path / ".git/annex/annexd/cache/hashed").exists()


def test_a_large_file_gets_the_key_that_git_annex_gives_it(repo: Repo) -> None:
    content = os.urandom(1 << 16) * (LARGE // (1 << 16)) + b"12345"
    repo.write("large.bin", content)
    with desk_of(repo) as desk:
        wakeup, rules = Wakeup(), Rules(desk)
        tree = WorkTree(
            desk.top, desk.filesystems, wakeup, lambda _path: nothing(), lambda _path: nothing()
        )
        looker = Looker(desk, Agenda(), Guard(desk), tree, Ingest(desk, rules, nothing))

        (found,) = looker.look([b"large.bin"], time.monotonic() + 60)

        assert found.key is not None
        assert found.key == repo.annex("calckey", "large.bin").strip()
        desk.nameless.name_all(desk.objects, desk.repository.layout.annex)
        place = desk.objects.locate(found.key)
        assert place is not None
        assert Path(os.fsdecode(place)).read_bytes() == content
        assert is_fresh(repo, Path(os.fsdecode(place)), found.key)
        rules.close()
        wakeup.close()


def test_a_child_that_is_killed_gives_no_hash(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 1000)
    backend = BACKENDS[b"SHA256"]
    with path.open("rb") as file, SideHash(backend.start(), file.fileno()) as side:
        side.tell(500)
        (child,) = descendants(os.getpid())
        os.kill(child, signal.SIGKILL)
        with pytest.raises(OSError, match="the child that hashes"):
            side.hexdigest()
    assert not descendants(os.getpid())


def test_a_child_that_is_killed_is_told_nothing_more(tmp_path: Path) -> None:
    """The watcher ended with "Broken pipe"."""
    path = tmp_path / "file"
    path.write_bytes(b"x" * 1000)
    with path.open("rb") as file, SideHash(BACKENDS[b"SHA256"].start(), file.fileno()) as side:
        (child,) = descendants(os.getpid())
        os.kill(child, signal.SIGKILL)
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
        with pytest.raises(OSError, match="the child that hashes has ended with -9") as failure:
            side.tell(500)
    assert failure.value.errno == errno.EIO
    assert not descendants(os.getpid())


@pytest.mark.parametrize("call", ["fork", "pidfd_open", "pipe2"])
def test_where_no_child_can_be_made_a_large_file_is_hashed_without(
    repo: Repo, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    content = b"x" * LARGE
    (source := repo.path / "large").write_bytes(content)
    (target := repo.path / ".git/target").touch()

    def fail(*_args: object) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with desk_of(repo) as desk, target.open("r+b") as file:
        found = open_source(desk, os.fsencode(source.name))
        assert isinstance(found, Source)
        before = len(os.listdir("/proc/self/fd"))
        monkeypatch.setattr(os, call, fail)

        key = Keying(lambda: bytearray(CHUNK), lambda: None, Limits()).copy(
            found, BACKENDS[b"SHA256"], file.fileno()
        )

        assert len(os.listdir("/proc/self/fd")) == before
        os.close(found.fd)
    assert key == b"SHA256-s%d--%b" % (LARGE, hashlib.sha256(content).hexdigest().encode())
    assert target.read_bytes() == content


def test_what_the_kernel_copies_keeps_to_a_limit_of_the_bandwidth(tmp_path: Path) -> None:
    """Its steps are no larger than those of what is hashed on the way."""
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(os.urandom(1 << 20))
    steps = [0]

    with source.open("rb") as file:
        expected = Expected(1 << 20, None)
        Copier().copy(file.fileno(), os.fsencode(target), expected, steps.append)

    assert target.read_bytes() == source.read_bytes()
    assert max(b - a for a, b in itertools.pairwise(steps)) <= CHUNK
