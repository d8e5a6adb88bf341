"""Large contents leave memory as they found it."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from workers.annex.copying import CHUNK, Copier, Expected
from workers.annex.passing import STEP, WINDOW, Read, Written
from workers.copying import copy

SIZE = 2 * WINDOW


def is_in_memory(fd: int, at: int) -> bool:
    try:
        return os.preadv(fd, [bytearray(1)], at, os.RWF_NOWAIT) == 1
    except BlockingIOError:
        return False
    except OSError as failure:
        if failure.errno != errno.EOPNOTSUPP:  # so says tmpfs
            raise
        pytest.skip("this file system keeps files nowhere but in memory")


def forget(fd: int) -> None:
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)


def is_forgotten(fd: int) -> bool:
    forget(fd)
    return not is_in_memory(fd, 0)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    """A file of ``SIZE`` bytes, on the disk and in memory."""
    fd = os.open(tmp_path / "large", os.O_RDWR | os.O_CREAT)
    for _ in range(SIZE // STEP):
        os.write(fd, os.urandom(STEP))
    os.fsync(fd)
    if is_in_memory(fd, 0):
        # The kernel passes over what is being written, or looked at, just then.
        if not any(is_forgotten(fd) for _ in range(100)):
            pytest.skip("this file system keeps files nowhere but in memory")
        while os.read(fd, STEP) or os.lseek(fd, 0, os.SEEK_CUR) < SIZE:
            pass
        os.lseek(fd, 0, os.SEEK_SET)
        assert os.pread(fd, SIZE, 0)
    yield fd
    os.close(fd)


def test_what_the_disk_has_taken_is_given_back(file: int) -> None:
    written = Written(file)
    for done in range(STEP, SIZE + 1, STEP):
        written.reached(done)
    assert not any(is_in_memory(file, at) for at in range(0, SIZE, STEP))


def test_a_small_content_stays(file: int) -> None:
    Written(file).reached(WINDOW - 1)
    assert is_in_memory(file, 0)


def test_what_was_not_in_memory_is_not_left_there(file: int) -> None:
    forget(file)
    read = Read(file)
    for at in range(0, SIZE, CHUNK):
        assert len(os.pread(file, CHUNK, at)) == CHUNK
        read.reached(at + CHUNK)
    assert not any(is_in_memory(file, at) for at in range(0, SIZE, STEP))


def test_what_was_in_memory_stays_there(file: int) -> None:
    read = Read(file)
    for at in range(0, SIZE, CHUNK):
        os.pread(file, CHUNK, at)
        read.reached(at + CHUNK)
    assert all(is_in_memory(file, at) for at in range(0, SIZE, STEP))


def copied_to_an_object(source: int, target: Path) -> None:
    Copier().copy(source, os.fsencode(target), Expected(SIZE, None), lambda _done: None)


def copied_to_the_work_tree(source: int, target: Path) -> None:
    with target.open("wb") as file:
        copy(source, file.fileno(), lambda: None)


@pytest.mark.parametrize("copied", [copied_to_an_object, copied_to_the_work_tree])
def test_a_copy_of_a_large_content_is_whole_and_leaves_its_source_alone(
    file: int, tmp_path: Path, copied: object
) -> None:
    forget(file)
    target = tmp_path / "target"

    assert callable(copied)
    copied(file, target)

    assert not any(is_in_memory(file, at) for at in range(0, SIZE - STEP, STEP))
    assert target.read_bytes() == os.pread(file, SIZE, 0)
