"""Bounds and garbage; what the lines mean is tested against git-annex in tests/annex."""

from hypothesis import given
from hypothesis import strategies as st

from spool.transfer import UUID
from workers.annex import maplog, uuidlogs

A, B = UUID(b"a-1"), UUID(b"b-2")

words = st.sampled_from(
    [b"a-1", b"b-2", b"timestamp=1s", b"timestamp=", b"1s", b"2.5", b"", b"x", b"\xff", b"..", b"7"]
)
lines = st.lists(words, max_size=5).map(b" ".join)
logs = st.lists(st.one_of(lines, st.binary(max_size=20)), max_size=8).map(b"\n".join)


@given(logs)
def test_no_log_breaks_the_parsers(log: bytes) -> None:
    by_uuid = maplog.by_uuid(log)
    maplog.by_name(log)
    maplog.number(log)
    uuidlogs.trust(log)
    uuidlogs.groups(log)
    uuidlogs.remote_settings(log)

    assert not any(set(uuid) & set(b"/\n ") for uuid in by_uuid)


@given(st.permutations([b"a-1 one timestamp=1s", b"a-1 two timestamp=2s", b"b-2 x timestamp=1s"]))
def test_the_order_of_lines_with_different_clocks_does_not_matter(order: list[bytes]) -> None:
    assert maplog.by_uuid(b"\n".join(order)) == {A: b"two", B: b"x"}


def test_a_line_of_absurd_length_is_skipped() -> None:
    absurd = b"a-1 " + b"x" * maplog.LINE_MAX + b" timestamp=2s\n"

    assert maplog.by_uuid(b"a-1 one timestamp=1s\n" + absurd) == {A: b"one"}


def test_there_is_a_bound_on_how_many_items_are_remembered() -> None:
    log = b"".join(b"u%d x timestamp=1s\n" % number for number in range(maplog.ENTRIES_MAX + 9))

    assert len(maplog.by_uuid(log)) == maplog.ENTRIES_MAX


def test_a_number_may_be_followed_by_anything() -> None:
    assert maplog.number(b"1s 2x\n") == 2
    assert maplog.number(b"1s x\n") is None
    assert maplog.number(b"1s 2\n1s 4\n1s 3\n") == 4
    assert maplog.number(b"2s 2\n1s 4\n") == 2


def test_a_remotes_settings_are_unescaped() -> None:
    log = b"a-1 name=my&32;disk type=directory x=&233;&38; bad=&9999999; flag timestamp=1s\n"

    assert uuidlogs.remote_settings(log)[A] == {
        b"name": b"my disk",
        b"type": b"directory",
        b"x": "é&".encode(),
        b"bad": b"&9999999;",
    }
