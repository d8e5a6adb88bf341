"""What a path is, by its lstat and its entry."""

import os
import socket
from pathlib import Path

import pytest

from workers.git.index_entry import (
    EXECUTABLE,
    FILE,
    GITLINK,
    LINK,
    NO_STAT,
    SKIP_WORKTREE,
    Entry,
    StatData,
    StatSettings,
)
from workers.git.stream import ObjectId
from workers.watcher.examine import HASHED_ANYHOW, Look, look, same_file

OID = ObjectId("1" * 40)
SETTINGS = StatSettings()
LATER_NS = 4_000_000_000_000_000_000
"""When the index was written: long after any file."""


def entry(path: Path, mode: int = FILE, *, stage: int = 0, flags: int = 0) -> Entry:
    return Entry(os.fsencode(path.name), mode, OID, StatData.of(path.lstat()), stage, flags)


def seen(path: Path, *entries: Entry, index_ns: int = LATER_NS) -> Look:
    st = path.lstat() if os.path.lexists(path) else None
    return look(st, entries, SETTINGS, index_ns)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    os.utime(path, ns=(10**18 + 5, 10**18 + 5))
    return path


def test_a_file_that_is_as_recorded_is_clean(file: Path) -> None:
    assert seen(file, entry(file)) is Look.CLEAN


def test_a_file_that_is_new_or_changed_is_read(file: Path) -> None:
    known = entry(file)
    assert seen(file) is Look.READ
    file.write_bytes(b"CONTENT")
    assert seen(file, known) is Look.READ


def test_a_change_that_keeps_size_and_mtime_is_noticed(file: Path) -> None:
    known = entry(file)
    st = file.stat()
    while file.stat().st_ctime_ns == st.st_ctime_ns:  # the clock of the file system has ticks
        file.write_bytes(b"CONTENT")
        os.utime(file, ns=(st.st_atime_ns, st.st_mtime_ns))

    assert seen(file, known) is Look.READ


def test_a_file_recorded_as_soon_as_it_was_written_is_read_again(file: Path) -> None:
    assert seen(file, entry(file), index_ns=10**18 + 6) is Look.READ


def test_what_is_missing_or_has_become_a_directory_is_gone(file: Path) -> None:
    known = entry(file)
    file.unlink()
    assert seen(file, known) is Look.GONE
    file.mkdir()
    assert seen(file, known) is Look.GONE
    assert seen(file) is Look.CLEAN


def test_links_are_links(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("nowhere")
    os.utime(link, ns=(10**18, 10**18), follow_symlinks=False)

    assert seen(link) is Look.LINK
    assert seen(link, entry(link, LINK)) is Look.CLEAN
    assert seen(link, entry(link, FILE)) is Look.LINK


def test_sockets_and_fifos_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("fifo")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("socket")
        for name in ("fifo", "socket"):
            assert seen(tmp_path / name) is Look.CLEAN
            assert seen(tmp_path / name, entry(tmp_path / name)) is Look.CLEAN


def test_conflicts_submodules_and_what_git_is_not_to_look_at_are_left_alone(file: Path) -> None:
    conflict, hidden = entry(file, stage=2), entry(file, flags=SKIP_WORKTREE)
    submodule = entry(file, GITLINK)
    file.write_bytes(b"changed")
    assert seen(file, conflict) is Look.CONFLICT
    assert seen(file, hidden) is Look.CLEAN
    file.unlink()
    assert seen(file, conflict) is Look.CONFLICT
    assert seen(file, hidden) is Look.CLEAN
    assert seen(file, submodule) is Look.CLEAN


def test_in_a_sparse_checkout_what_is_there_counts(file: Path) -> None:
    hidden, settings = entry(file, flags=SKIP_WORKTREE), StatSettings(sparse=True)
    file.write_bytes(b"changed")
    assert look(file.lstat(), [hidden], settings, LATER_NS) is Look.READ
    file.unlink()
    assert look(None, [hidden], settings, LATER_NS) is Look.CLEAN


def test_only_a_large_file_is_not_read_for_its_executable_bit(file: Path) -> None:
    known = entry(file)
    file.chmod(0o755)
    assert seen(file, known) is Look.READ

    with file.open("wb") as large:
        large.truncate(HASHED_ANYHOW + 1)
    os.utime(file, ns=(10**18 + 5, 10**18 + 5))
    known = entry(file, EXECUTABLE)
    file.chmod(0o644)
    assert seen(file, known) is Look.MODE


def test_a_renamed_file_is_known_and_another_is_not(file: Path) -> None:
    known = entry(file)
    other = file.rename(file.with_name("other"))
    assert same_file(known, other.lstat())

    assert not same_file(known._replace(stat=NO_STAT), other.lstat())
    other.write_bytes(b"changed")
    assert not same_file(known, other.lstat())
