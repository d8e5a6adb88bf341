"""Small files: read with bounds, made and replaced in one step."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from spool import text
from spool.info import TEXT_MAX_BYTES
from tests.processes import forked, reap
from tests.scarcity import files_of_at_most
from tests.spool import Spool


@pytest.fixture
def fd(tmp_path: Path) -> Iterator[int]:
    """An open directory."""
    opened = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield opened
    os.close(opened)


def test_a_file_is_read_up_to_the_bound_and_refused_beyond(tmp_path: Path, fd: int) -> None:
    (tmp_path / "file").write_bytes(b"x" * TEXT_MAX_BYTES)
    assert text.read(b"file", dir_fd=fd) == b"x" * TEXT_MAX_BYTES

    (tmp_path / "file").write_bytes(b"x" * (TEXT_MAX_BYTES + 1))
    with pytest.raises(ValueError, match="too long"):
        text.read(b"file", dir_fd=fd)


def made(content: bytes, fd: int) -> bool:
    """Whether ``file`` could be made with that content."""
    text.write_new(b"tmp", content, dir_fd=fd)
    return text.name_new(b"file", content, dir_fd=fd, tmp=b"tmp", tmp_fd=fd)


def test_a_name_that_is_taken_stays_as_it_is(tmp_path: Path, fd: int) -> None:
    assert made(b"first", fd)
    assert not made(b"second", fd)

    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"file": b"first"}


def test_without_hard_links_a_file_is_made_all_the_same_and_only_once(
    tmp_path: Path, fd: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on FAT, which is what removable drives have."""

    def no_link(*_args: object, **_kwargs: object) -> None:
        raise OSError(errno.EPERM, "as on FAT")

    monkeypatch.setattr(os, "link", no_link)
    monkeypatch.setattr(text, "try_rename_new", lambda *_args: False)
    assert made(b"first", fd)
    assert not made(b"second", fd)

    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"file": b"first"}


@pytest.mark.parametrize("can_exchange", [True, False])
def test_a_file_is_replaced_and_a_directory_is_not(
    tmp_path: Path, fd: int, monkeypatch: pytest.MonkeyPatch, *, can_exchange: bool
) -> None:
    if not can_exchange:
        monkeypatch.setattr(text, "try_exchange", lambda *_args: False)
    for content in (b"first", b"second"):
        text.replace(b"file", content, dir_fd=fd, tmp_fd=fd)
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"file": content}

    (tmp_path / "file").unlink()
    (tmp_path / "file" / "inside").mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        text.replace(b"file", b"third", dir_fd=fd, tmp_fd=fd)

    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == [
        "file",
        "file/inside",
    ]


def test_a_file_that_cannot_be_written_whole_is_not_there(tmp_path: Path, fd: int) -> None:
    """The disk is full; here the limit of a file's size is reached."""
    (tmp_path / "file").write_bytes(b"old")

    def write() -> None:
        with files_of_at_most(10):
            with pytest.raises(OSError, match="File too large"):
                text.replace(b"file", b"x" * 20, dir_fd=fd, tmp_fd=fd)
            with pytest.raises(OSError, match="File too large"):
                text.write_new(b"other", b"x" * 20, dir_fd=fd)

    with forked(write) as child:
        assert reap(child) == 0
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"file": b"old"}


def test_a_directory_in_the_way_of_what_is_stored_is_moved_aside(spool: Spool) -> None:
    names = (b"transfer", b"hold")
    spool.path(*names, b"all", b"inside").mkdir(parents=True)

    text.store(spool.paths.annex, names, b"all", b"text\n")

    assert spool.path(*names, b"all").read_bytes() == b"text\n"
    (reason,) = spool.corrupt()
    assert reason.startswith("not a file, but a directory\n")


def test_what_is_deleted_each_time_is_an_error_in_the_end(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose_every_race(*_args: object, **_options: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(text, "replace", lose_every_race)

    with pytest.raises(FileNotFoundError, match="removed again and again"):
        text.store(spool.paths.annex, (b"transfer", b"hold"), b"all", b"text\n")
