"""Presence logs and unions of logs: pure rules."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.annex import presence, union
from workers.annex.clock import SECOND
from workers.annex.presence import Status, change, merge, parse, present

ITEMS = st.sampled_from([b"a", b"b", b"c-1"])
CLOCKS = st.sampled_from([b"1s", b"1", b"5s", b"5.0s", b"5.25s", b"-3s", b"12.000000000001s"])
STATES = st.sampled_from([b"0", b"1", b"X"])
LINES = st.builds(lambda *words: b" ".join(words), CLOCKS, STATES, ITEMS)
JUNK = st.sampled_from([b"junk", b"1s 2 a", b"x 1 a", b"1s 1", b"\xff\xfe 1 a"])
LOGS = st.lists(LINES | JUNK, max_size=6).map(lambda lines: b"".join(x + b"\n" for x in lines))
MAPS = st.lists(
    st.builds(lambda item, clock: item + b" value timestamp=" + clock, ITEMS, CLOCKS) | JUNK,
    max_size=6,
).map(lambda lines: b"".join(line + b"\n" for line in lines))
KEY_LOG = b"abc/def/SHA256E-s1--00.log"
PATHS = st.sampled_from([KEY_LOG, b"uuid.log", b"numcopies.log", KEY_LOG + b".met"])


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        (b"1s 1 u\n", [b"u"]),
        (b"1 1 u\n", [b"u"]),
        (b"1287290776.765152s 1 u\n", [b"u"]),
        (b"-1s 1 u\n", [b"u"]),
        (b"+1s 1 u\n", [b"u"]),
        (b"1s 1 u\r\n", [b"u"]),
        (b"1s 1 u\r0s 0 u\n", [b"u"]),
        (b"1s 1 u", [b"u"]),
        (b"1s X u\n", []),
        (b"5s 0 u\n5s 1 u\n", []),
        (b"5s 1 u\n5s 0 u\n", [b"u"]),
        (b"5s 1 u\n5.1s 0 u\n", []),
        (b"5.10s 0 u\n5.1s 1 u\n", []),
        (b"-1.5s 0 u\n-1.2s 1 u\n", [b"u"]),
        (b"1.123456789012345s 1 u\n1.1234567890125s 0 u\n", [b"u"]),
        (b"garbage\n1s 1 u\n\n", [b"u"]),
        *((line, []) for line in (b"1.s 1 u\n", b".5s 1 u\n", b" 1s 1 u\n", b"1s  1 u\n")),
        *((line, []) for line in (b"1s 2 u\n", b"1e3s 1 u\n", b"1ss 1 u\n", b"0x5s 1 u\n")),
        *((line, []) for line in (b"1s 1 \n", b"1s 1\n", b"1\t1\tu\n", b"1.5.5s 1 u\n", b"")),
        (b"1s 1 u x\n", [b"u x"]),
    ],
)
def test_a_log_is_read_as_git_annex_reads_it(log: bytes, expected: list[bytes]) -> None:
    """Each case was tried with ``git annex whereis`` (but for the empty uuid, which it shows)."""
    assert present(log) == expected


@given(LOGS, ITEMS, st.sampled_from(Status), st.floats(0, 2e9))
def test_a_change_is_what_is_read_afterwards(
    log: bytes, item: bytes, status: Status, now: float
) -> None:
    before = parse(log)

    changed = change(log, item, status, now)

    if changed is None:
        assert before[item].status == status.value
        return
    after = parse(changed)
    assert after[item].status == status.value
    assert item not in before or after[item].clock > before[item].clock
    assert {name: entry for name, entry in after.items() if name != item} == {
        name: entry for name, entry in before.items() if name != item
    }


def test_clocks_only_go_forward_even_if_time_goes_back() -> None:
    log = b"2000000000.5s 1 u\n"

    changed = change(log, b"u", Status.MISSING, now=1_000_000_000.0)

    assert changed == b"2000000001s 0 u\n"


def test_what_does_not_change_is_not_written_again() -> None:
    assert change(b"5s 1 u\n", b"u", Status.PRESENT, now=10.0) is None


def test_a_rewritten_log_has_one_line_per_item_in_their_order() -> None:
    log = b"1s 1 b\n2s 0 b\n3s 1 a\n"

    assert change(log, b"c", Status.PRESENT, now=9.9) == b"3s 1 a\n2s 0 b\n9s 1 c\n"


def test_lines_of_a_newer_git_annex_are_carried_along() -> None:
    log = b"5s 1 a\n6s Y b extra\n"

    changed = change(log, b"a", Status.MISSING, now=7.0)

    assert changed == b"7s 0 a\n6s Y b extra\n"


@given(LOGS, LOGS, LOGS)
def test_merging_logs_is_a_matter_of_what_not_of_how(a: bytes, b: bytes, c: bytes) -> None:
    assert merge((a, b)) == merge((b, a))
    assert merge((merge((a, b)), c)) == merge((a, merge((b, c))))
    assert merge((merge((a, b)), a)) == merge((a, b))


@given(LOGS, LOGS)
def test_a_merge_says_the_newest_of_each(a: bytes, b: bytes) -> None:
    merged = parse(merge((a, b)))

    for item in parse(a).keys() | parse(b).keys():
        clocks = [log[item].clock for log in (parse(a), parse(b)) if item in log]
        assert merged[item].clock == max(clocks)


@given(PATHS, st.lists(LOGS | MAPS, max_size=3), st.lists(LOGS | MAPS, max_size=3))
def test_any_file_is_merged_alike_everywhere(
    path: bytes, some: list[bytes], others: list[bytes]
) -> None:
    at_once = union.merge(path, some + others)

    assert union.merge(path, others + some) == at_once
    assert union.merge(path, [union.merge(path, some), *others]) == at_once
    assert union.merge(path, [at_once]) == at_once


@given(PATHS, LOGS | MAPS, LOGS | MAPS)
def test_a_union_drops_only_lines_that_it_knows_to_be_superseded(
    path: bytes, a: bytes, b: bytes
) -> None:
    dropped = presence.lines((a, b)) - presence.lines((union.merge(path, (a, b)),))

    if not union.is_known(path):
        assert not dropped
    for line in dropped:
        kept = union.merge(path, (a, b))
        assert union.merge(path, (kept, line + b"\n")) == kept


def test_the_newest_description_wins_and_of_equal_ones_the_last() -> None:
    contents = [
        b"u old timestamp=5s\nv b timestamp=1s\n",
        b"u new timestamp=6s\nv a timestamp=1s\n",
    ]

    assert union.merge(b"uuid.log", contents) == b"u new timestamp=6s\nv b timestamp=1s\n"


@given(LOGS, LOGS)
def test_restoring_changes_only_what_has_lost_something(content: bytes, old: bytes) -> None:
    restored = union.restore(KEY_LOG, content, (old,))

    assert union.restore(KEY_LOG, restored, (old,)) == restored
    if restored == content:
        for item, entry in parse(old).items():
            assert parse(content)[item].clock >= entry.clock


def test_clocks_are_exact() -> None:
    assert parse(b"1.5s 1 u\n")[b"u"].clock == SECOND * 3 // 2
