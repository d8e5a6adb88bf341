"""How far git-annex's own transfers are, written into the info files that it has made."""

import os
from pathlib import Path

import pytest

from spool import layout
from spool.footnote import Footnote
from spool.info import Info
from tests.spool import NOW, TO, Spool, some_key, upload

MADE = b"1799999990s\nphotos/a b.jpg\n"
"""As git-annex makes it, before its first step."""


@pytest.fixture
def file(spool: Spool) -> Path:
    """Where git-annex shows the transfer; its directory is there."""
    at = spool.path(*layout.running_lane(TO), some_key())
    at.parent.mkdir(parents=True)
    return at


@pytest.fixture
def footnote(spool: Spool) -> Footnote:
    return Footnote(spool.paths, upload(), 4096, NOW)


def test_what_git_annex_has_written_stays_and_how_far_it_is_is_added(
    file: Path, footnote: Footnote
) -> None:
    file.write_bytes(MADE)
    before = Info.parse(MADE)

    for done in (1024, 2048, 4096, 7):  # and back again: it has begun anew
        footnote.progress(done, NOW + done)

        told = Info.parse(file.read_bytes())
        assert told.bytes_done == done
        assert (told.started, told.associated_file) == (before.started, before.associated_file)


def test_it_is_not_written_more_often_than_git_annex_would(file: Path, footnote: Footnote) -> None:
    file.write_bytes(MADE)
    footnote.progress(1024, NOW + 1)
    written = file.read_bytes()

    footnote.progress(1025, NOW + 1.1)

    assert file.read_bytes() == written


def test_an_info_file_that_is_gone_is_not_made(file: Path, footnote: Footnote) -> None:
    """The transfer has just ended; or somebody has deleted the spool."""
    footnote.progress(1024, NOW + 1)
    assert os.listdir(file.parent) == []

    file.parent.rmdir()
    footnote.progress(2048, NOW + 2)
    assert not file.parent.exists()


@pytest.mark.parametrize("what", ["link", "hard link", "fifo", "directory", "garbage"])
def test_what_is_not_git_annex_s_is_left_as_it_is(
    file: Path, footnote: Footnote, tmp_path: Path, what: str
) -> None:
    """A spool that others may write to must not make us write elsewhere, nor wait."""
    other = tmp_path / "other"
    other.write_bytes(MADE)
    match what:
        case "link":
            file.symlink_to(other)
        case "hard link":
            os.link(other, file)
        case "fifo":
            os.mkfifo(file)
        case "directory":
            file.mkdir()
        case _:
            file.write_bytes(b"\0" * 100_000)
    before = file.lstat()

    footnote.progress(1024, NOW + 1)

    assert other.read_bytes() == MADE
    after = file.lstat()
    assert (after.st_ino, after.st_size, after.st_mtime_ns) == (
        *(before.st_ino, before.st_size, before.st_mtime_ns),
    )
