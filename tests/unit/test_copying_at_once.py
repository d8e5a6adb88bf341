"""A small content is copied by one read and one write, and checked as any other."""

import hashlib
import os
from pathlib import Path

import pytest

from spool.key import Key, parse
from workers.annex.backend import verifier
from workers.annex.copying import CHUNK, Copier, Expected, WrongContentError

CONTENT = b"small" * 1000


def key_of(content: bytes) -> Key:
    digest = hashlib.sha256(content).hexdigest().encode()
    return parse(b"SHA256-s%d--%b" % (len(content), digest))


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "target"


def attempt(copier: Copier, content: bytes, target: Path, key: Key) -> bool:
    source = target.with_name("source")
    source.write_bytes(content)
    os.utime(source, (1, 2))
    expected = Expected(len(content), verifier(key))
    with source.open("rb") as file:
        status = os.fstat(file.fileno())
        return copier.copy_at_once(file.fileno(), status, os.fsencode(target), expected)


def without_clones(target: Path) -> Copier:
    """One that knows that no blocks can be shared here, as it learns from its first copy."""
    copier = Copier()
    source = target.with_name("first")
    source.write_bytes(CONTENT)
    with source.open("rb") as file:
        first = os.fsencode(target.with_name("first copy"))
        copier.copy(file.fileno(), first, Expected(None, None), lambda _done: None)
    if not attempt(copier, CONTENT, target, key_of(CONTENT)):
        pytest.skip("blocks are shared here")
    target.unlink()
    return copier


def test_it_has_the_content_and_the_mtime(target: Path) -> None:
    assert attempt(without_clones(target), CONTENT, target, key_of(CONTENT))

    assert target.read_bytes() == CONTENT
    assert target.stat().st_mtime == 2


def test_what_is_not_the_content_of_its_key_is_removed(target: Path) -> None:
    copier = without_clones(target)

    with pytest.raises(WrongContentError):
        attempt(copier, CONTENT[:-1] + b"X", target, key_of(CONTENT))

    assert not target.exists()


def test_a_beginning_is_left_to_whoever_resumes(target: Path) -> None:
    copier = without_clones(target)
    target.write_bytes(CONTENT[:10])

    assert not attempt(copier, CONTENT, target, key_of(CONTENT))

    assert target.read_bytes() == CONTENT[:10]


def test_a_larger_one_goes_piece_by_piece(target: Path) -> None:
    large = b"x" * CHUNK

    assert not attempt(without_clones(target), large, target, key_of(large))

    assert not target.exists()
