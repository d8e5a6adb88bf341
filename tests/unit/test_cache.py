"""Caches: all right, or None."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spool import cache
from tests.processes import forked, reap
from tests.scarcity import files_of_at_most

SHARED = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
LEAF = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.binary()
    | st.text()
    | st.floats(allow_nan=False)
)
VALUES = st.recursive(
    LEAF,
    lambda inner: st.lists(inner) | st.dictionaries(st.binary() | st.text(), inner),
    max_leaves=20,
)


@pytest.fixture
def path(tmp_path: Path) -> bytes:
    """Where a cache is to be; its directory is not there yet."""
    return os.fsencode(tmp_path / "cache" / "wanted")


@SHARED
@given(VALUES)
def test_what_is_stored_is_what_is_loaded(path: bytes, value: object) -> None:
    cache.store(path, 3, value)

    assert cache.load(path, 3) == value


@SHARED
@given(VALUES, st.data())
def test_a_cache_with_one_byte_changed_or_cut_off_is_none(
    path: bytes, value: object, data: st.DataObject
) -> None:
    cache.store(path, 3, value)
    file = Path(os.fsdecode(path))
    good = file.read_bytes()
    at = data.draw(st.integers(0, len(good) - 1))
    if data.draw(st.booleans()):
        file.write_bytes(good[:at])
    else:
        file.write_bytes(
            good[:at] + bytes([good[at] ^ data.draw(st.integers(1, 255))]) + good[at + 1 :]
        )

    assert cache.load(path, 3) is None


@SHARED
@given(st.binary())
def test_garbage_is_none(path: bytes, garbage: bytes) -> None:
    cache.store(path, 3, None)
    Path(os.fsdecode(path)).write_bytes(garbage)

    assert cache.load(path, 3) is None


def test_another_version_is_none(path: bytes) -> None:
    cache.store(path, 3, b"old")

    assert cache.load(path, 4) is None
    assert cache.load(path, 3) == b"old"


def test_what_is_too_long_is_none(path: bytes) -> None:
    cache.store(path, 3, b"x" * 1000)

    assert cache.load(path, 3, size_max_bytes=900) is None
    assert cache.load(path, 3, size_max_bytes=1100) is not None


@pytest.mark.parametrize("kind", ["missing", "symlink", "fifo", "directory"])
def test_what_is_no_file_is_none(path: bytes, kind: str) -> None:
    cache.store(path + b".other", 3, b"value")
    match kind:
        case "symlink":
            os.symlink(path + b".other", path)
        case "fifo":
            os.mkfifo(path)
        case "directory":
            os.mkdir(path)
        case _:
            assert not os.path.lexists(path)

    assert cache.load(path, 3) is None


def test_a_directory_in_its_place_does_not_keep_it_from_being_stored(path: bytes) -> None:
    os.makedirs(path + b"/x")

    cache.store(path, 3, "value")

    assert cache.load(path, 3) == "value"


def test_a_value_that_cannot_be_stored_leaves_the_old_one(path: bytes) -> None:
    cache.store(path, 3, b"old")
    with pytest.raises(TypeError):
        cache.store(path, 3, object())

    assert cache.load(path, 3) == b"old"
    assert os.listdir(os.path.dirname(path)) == [b"wanted"]


def test_nothing_is_made_where_the_annex_has_gone(tmp_path: Path) -> None:
    """Perhaps with its drive: it would be hidden below the next mount."""
    gone = os.fsencode(tmp_path / "media/.git/annex/annexd/cache/scanner")
    with pytest.raises(FileNotFoundError):
        cache.store(gone, 1, None)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_the_old_one_and_nothing_beside_it(path: bytes) -> None:
    """Here the limit of a file's size is reached."""
    cache.store(path, 1, "old")

    def write() -> None:
        with files_of_at_most(10), pytest.raises(OSError, match="File too large"):
            cache.store(path, 1, "x" * 100_000)

    with forked(write) as child:
        assert reap(child) == 0
    assert cache.load(path, 1) == "old"
    assert os.listdir(os.path.dirname(path)) == [os.path.basename(path)]
