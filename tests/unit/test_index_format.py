"""The bytes of an index: what we write we read, and nothing torn gets through."""

import contextlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.git.index_entry import (
    ASSUME_VALID,
    INTENT_TO_ADD,
    SKIP_WORKTREE,
    Entry,
    StatData,
)
from workers.git.index_format import (
    HEADER,
    UnsupportedIndexError,
    entry_at,
    extensions,
    format_entry,
    path_at,
    scan,
    version_and_count,
)
from workers.git.index_tree import invalidate
from workers.git.index_v4 import compress, expand, format_number, read_number
from workers.git.objectid import ObjectFormat, blob_id
from workers.git.stream import ObjectId

U32 = st.integers(0, 2**32 - 1)
NAMES = st.binary(min_size=1, max_size=12).filter(lambda name: b"\0" not in name)
PATHS = NAMES | st.integers(4085, 4110).map(lambda size: b"n" * size)


@st.composite
def entries(draw: st.DrawFn, object_format: ObjectFormat) -> Entry:
    oid = draw(st.binary(min_size=object_format.raw_size, max_size=object_format.raw_size))
    flags = draw(st.sets(st.sampled_from((ASSUME_VALID, SKIP_WORKTREE, INTENT_TO_ADD))))
    return Entry(
        draw(PATHS),
        draw(st.sampled_from((0o100644, 0o100755, 0o120000, 0o160000))),
        ObjectId(oid.hex()),
        StatData(*draw(st.tuples(*[U32] * 9))),
        draw(st.integers(0, 3)),
        sum(flags),
    )


@st.composite
def indexes(draw: st.DrawFn) -> tuple[ObjectFormat, list[Entry], bytes]:
    object_format = draw(st.sampled_from(ObjectFormat))
    found = draw(st.lists(entries(object_format), max_size=8))
    body = HEADER.pack(b"DIRC", 3, len(found)) + b"".join(map(format_entry, found))
    return object_format, found, body + object_format.digest(body)


@given(indexes())
def test_an_entry_is_read_as_it_was_written(index: tuple[ObjectFormat, list[Entry], bytes]) -> None:
    object_format, written, data = index
    raw_size = object_format.raw_size

    layout = scan(data, object_format, version_and_count(data)[1], 2**31)

    assert [entry_at(data, at, raw_size) for at in layout.offsets] == written
    assert [path_at(data, at, raw_size) for at in layout.offsets] == [e.path for e in written]
    assert list(layout.recent) == [n for n, e in enumerate(written) if e.stat.mtime_s >= 2**31]
    assert list(layout.unmerged) == [n for n, e in enumerate(written) if e.stage]
    assert layout.end == len(data) - raw_size


@given(indexes())
def test_version_4_holds_the_same_as_version_3(
    index: tuple[ObjectFormat, list[Entry], bytes],
) -> None:
    object_format, written, data = index
    layout = scan(data, object_format, len(written), 0)
    bounds = [*layout.offsets, layout.end]
    each = [data[start:end] for start, end in pairwise(bounds)]

    short = HEADER.pack(b"DIRC", 4, len(written)) + compress(each, object_format)
    short += object_format.digest(short)

    assert expand(short, object_format, len(written))[: layout.end] == data[: layout.end]


@given(indexes(), st.data())
def test_a_torn_index_is_refused_and_never_half_read(
    index: tuple[ObjectFormat, list[Entry], bytes], data: st.DataObject
) -> None:
    object_format, _written, whole = index
    torn = whole[: data.draw(st.integers(0, len(whole) - 1))]

    with pytest.raises(ValueError):  # noqa: PT011 -- each of several
        scan(torn, object_format, version_and_count(torn)[1], 0)


@given(st.binary(max_size=400), st.integers(2, 4), st.integers(0, 5))
def test_garbage_raises_what_the_caller_expects(tail: bytes, version: int, count: int) -> None:
    data = HEADER.pack(b"DIRC", version, count) + tail
    with contextlib.suppress(ValueError, UnsupportedIndexError):
        if version == 4:
            data = expand(data, ObjectFormat.SHA1, count)
        layout = scan(data, ObjectFormat.SHA1, count, 0)
        for at in layout.offsets:
            entry_at(data, at, 20)
        list(extensions(data, layout.end, ObjectFormat.SHA1))


@given(st.integers(0, 2**40))
def test_numbers_of_version_4_are_read_as_written(value: int) -> None:
    written = format_number(value)
    assert read_number(written, 0) == (value, len(written))


def test_an_index_that_must_be_understood_in_full_is_refused() -> None:
    index = HEADER.pack(b"DIRC", 2, 0) + b"sdir" + bytes(4) + bytes(20)
    with pytest.raises(UnsupportedIndexError):
        list(extensions(index, HEADER.size, ObjectFormat.SHA1))


@pytest.mark.parametrize("object_format", ObjectFormat)
def test_an_empty_blob_has_its_well_known_name(object_format: ObjectFormat) -> None:
    assert blob_id(object_format, b"").startswith(("e69de29b", "473a0f4c"))


OID = b"\x11" * 20


def node(name: bytes, count: int, subtrees: int) -> bytes:
    return b"%s\0%d %d\n" % (name, count, subtrees) + (OID if count >= 0 else b"")


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ((), node(b"", 5, 2) + node(b"a", 3, 1) + node(b"b", 1, 0) + node(b"c", 1, 0)),
        ((b"x",), node(b"", -1, 2) + node(b"a", 3, 1) + node(b"b", 1, 0) + node(b"c", 1, 0)),
        ((b"a/b/x",), node(b"", -1, 2) + node(b"a", -1, 1) + node(b"b", -1, 0) + node(b"c", 1, 0)),
        ((b"c/x",), node(b"", -1, 2) + node(b"a", 3, 1) + node(b"b", 1, 0) + node(b"c", -1, 0)),
        ((b"a",), node(b"", -1, 1) + node(b"c", 1, 0)),
        ((b"a/b", b"c"), node(b"", -1, 1) + node(b"a", -1, 0)),
        ((b"new/b/c",), node(b"", -1, 2) + node(b"a", 3, 1) + node(b"b", 1, 0) + node(b"c", 1, 0)),
    ],
)
def test_the_cache_forgets_the_directories_above_a_change(
    changed: tuple[bytes, ...], expected: bytes
) -> None:
    cached = node(b"", 5, 2) + node(b"a", 3, 1) + node(b"b", 1, 0) + node(b"c", 1, 0)
    assert invalidate(cached, changed, 20) == expected


@given(st.binary(max_size=60))
def test_a_torn_cache_is_dropped(garbage: bytes) -> None:
    assert isinstance(invalidate(garbage, [b"a/b"], 20), bytes)
