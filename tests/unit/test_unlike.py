"""Two trees are compared without taking apart what they begin and end with alike."""

from hypothesis import example, given
from hypothesis import strategies as st

from workers.git.objectid import ObjectFormat
from workers.git.tree_diff import unlike

RAWS = [
    b"\1" * 20,
    b"\2" * 20,
    b"\1" * 12 + b"100644 a",  # where a name of its own seems to begin, and an object to end
    b"\0" + b"\1" * 19,
    b"100644 b\0" + b"\1" * 11,
]
TREES = st.dictionaries(
    st.sampled_from([b"a", b"b", b"c", b"d", b"100644 a", b"e" * 40]), st.sampled_from(RAWS)
)

INNER = b"100644 b\0" + b"\1" * 11 + b"100644 c\0"
"""An entry for ``b``; and, 20 bytes on, the beginning of one for ``c``."""
LONG = b"n" * 13 + b"100644 d"


def data_of(tree: dict[bytes, bytes]) -> bytes:
    return b"".join(b"100644 %b\0%b" % entry for entry in sorted(tree.items()))


@given(TREES, TREES)
@example({b"a": RAWS[0]}, {b"a": RAWS[0], b"b": RAWS[0]})
@example({b"a": RAWS[2], b"b": RAWS[3]}, {b"b": RAWS[3]})
@example(  # both end alike, and there an entry begins in the one, and an object in the other
    {b"a": RAWS[0], b"b": INNER[9:], LONG: RAWS[1]},
    {b"a": INNER[:20], b"c": b"100644 " + LONG[:13], b"d": RAWS[1]},
)
def test_what_is_unlike_is_told_whatever_the_objects_look_like(
    old: dict[bytes, bytes], new: dict[bytes, bytes]
) -> None:
    told = unlike(data_of(old), data_of(new), ObjectFormat.SHA1)

    before, after = ({name: raw for _mode, name, raw in listed} for listed in told)
    assert before.items() - after.items() == old.items() - new.items()
    assert after.items() - before.items() == new.items() - old.items()


@given(st.binary(max_size=100), st.binary(max_size=100))
def test_what_is_no_tree_is_told_too(old: bytes, new: bytes) -> None:
    for some in (old, new):
        assert unlike(some, some, ObjectFormat.SHA1) == ([], [])
    unlike(old, new, ObjectFormat.SHA1)


def test_of_many_entries_only_those_around_a_change_are_told() -> None:
    tree = {b"%05d" % number: b"%020d" % number for number in range(10_000)}
    new = tree | {b"05000": RAWS[0]}

    before, after = unlike(data_of(tree), data_of(new), ObjectFormat.SHA1)

    assert (b"100644", b"05000", RAWS[0]) in after
    assert len(before) == len(after) <= 3
