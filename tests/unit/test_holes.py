"""A file with holes is copied as one, to whatever place, and read back as it was."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from spool.key import Key
from workers import copying
from workers.annex.backend import verifier
from workers.annex.copying import CHUNK, Copier, Expected

SIZE = 40 * CHUNK + 1234


@pytest.fixture(params=["end", "middle", "nothing"])
def sparse(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Ten megabytes, most of them a hole; what is written is at different places."""
    at = {"end": SIZE - 100, "middle": 20 * CHUNK + 5, "nothing": None}[request.param]
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(SIZE)
        if at is not None:
            file.seek(at)
            file.write(b"data" * 25)
    if path.stat().st_blocks * 512 >= SIZE:
        pytest.skip("no holes on this file system")
    return path


def by_copier(source: Path, target: Path) -> None:
    key = Key(b"SHA256-s%d--%b" % (SIZE, hashlib.sha256(source.read_bytes()).hexdigest().encode()))
    fd = os.open(source, os.O_RDONLY)
    Copier().copy(fd, os.fsencode(target), Expected(SIZE, verifier(key)), lambda _done: None)
    os.close(fd)


def in_the_kernel(source: Path, target: Path) -> None:
    with source.open("rb") as here, target.open("xb") as there:
        copying.copy(here.fileno(), there.fileno(), lambda: None)


@pytest.mark.parametrize("copy", [by_copier, in_the_kernel])
def test_a_copy_has_the_same_content_and_the_holes(
    sparse: Path, tmp_path: Path, copy: Callable[[Path, Path], None]
) -> None:
    target = tmp_path / "copy"

    copy(sparse, target)

    assert target.read_bytes() == sparse.read_bytes()
    assert target.stat().st_blocks * 512 <= 4 * CHUNK


def test_what_an_earlier_attempt_left_is_no_content_of_a_hole(sparse: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy"
    target.write_bytes(b"\xff" * (SIZE // 2))

    by_copier(sparse, target)

    assert target.read_bytes() == sparse.read_bytes()
