"""Finished files of what git has, before they get their names."""

import errno
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.desks import desk_of, nothing
from tests.processes import alive
from tests.repo import Repo
from tests.spool import some_key
from workers.annex.objects import Objects
from workers.annex.pointer import format_pointer
from workers.git.index_entry import FILE
from workers.git.run import GitTimeoutError
from workers.git.stream import ObjectId
from workers.git.tree import Version
from workers.watcher.desk import Desk
from workers.watcher.render import Renderer


@pytest.fixture
def desk(repo: Repo) -> Iterator[Desk]:
    with desk_of(repo) as desk:
        yield desk


@pytest.mark.parametrize("rule", [b"", b"f ident\n"])
def test_on_a_full_disk_each_attempt_leaves_nothing(
    repo: Repo, desk: Desk, rule: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried again every few seconds: each unfinished copy took what somebody had freed."""
    repo.write(".gitattributes", rule)
    blob = repo.git("hash-object", "-w", "--stdin", stdin=b"content")
    version = Version(FILE, ObjectId(blob.decode().strip()))
    renderer = Renderer(desk, nothing)

    def is_full(_fd: int, *_data: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as full:
        full.setattr("workers.copying.set_back", is_full)
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            list(renderer.render([(b"f", version)]))

    assert os.listdir(desk.place.tmp) == []
    [rendered] = renderer.render([(b"f", version)])
    assert os.listdir(desk.place.tmp) == [os.path.basename(os.fsdecode(rendered.temporary))]
    renderer.close()


@pytest.mark.parametrize("content", [b"/dropped", b"/proc/self/mem"])
def test_a_content_that_cannot_be_read_is_no_reason_not_to_merge(
    repo: Repo, desk: Desk, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dropped since it was found, or on a bad sector: the watcher crashed, again and again."""
    pointer = format_pointer(some_key())
    blob = repo.git("hash-object", "-w", "--stdin", stdin=pointer)
    renderer = Renderer(desk, nothing)
    monkeypatch.setattr(Objects, "locate", lambda _objects, _key: content)

    [rendered] = renderer.render([(b"f", Version(FILE, ObjectId(blob.decode().strip())))])

    assert rendered.filled is None
    with open(rendered.temporary, "rb") as file:
        assert file.read() == pointer
    renderer.close()


def test_a_content_larger_than_what_may_be_written_is_no_reason_not_to_merge(
    repo: Repo, desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As under ulimit -f: the watcher crashed, again and again."""
    content = tmp_path / "content"
    content.write_bytes(bytes(3000))
    pointer = format_pointer(some_key())
    blob = repo.git("hash-object", "-w", "--stdin", stdin=pointer)
    renderer = Renderer(desk, nothing)
    monkeypatch.setattr(Objects, "locate", lambda _self, _key: os.fsencode(content))

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        version = Version(FILE, ObjectId(blob.decode().strip()))
        [rendered] = renderer.render([(b"f", version)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert rendered.filled is None
    assert Path(os.fsdecode(rendered.temporary)).read_bytes() == pointer
    renderer.close()


def test_a_filter_that_hangs_is_ended_and_leaves_nothing(
    repo: Repo, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It held up everything else that the watcher has to do, for ever."""
    monkeypatch.setattr("workers.git.checkout.TIMEOUT_S", 0.5)
    with (repo.path / ".git/info/attributes").open("a") as attributes:
        attributes.write("f filter=slow\n")
    repo.config("filter.slow.smudge", f"echo $$ >{repo.path}/.git/pid; sleep 1000")
    blob = repo.git("hash-object", "-w", "--stdin", stdin=b"content")
    renderer = Renderer(desk, nothing)

    with pytest.raises(GitTimeoutError, match="no end after"):
        list(renderer.render([(b"f", Version(FILE, ObjectId(blob.decode().strip())))]))

    assert not alive(int((repo.path / ".git/pid").read_bytes()))
    assert os.listdir(desk.place.tmp) == []
    renderer.close()
