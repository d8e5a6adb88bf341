from hypothesis import given
from hypothesis import strategies as st

from workers.annex import clock


def test_a_fraction_counts_to_the_picosecond() -> None:
    assert clock.parse(b"1.5s") == 1_500_000_000_000
    assert clock.parse(b"1.1") == 1_100_000_000_000
    assert clock.parse(b"1.000000000001s") == clock.SECOND + 1
    assert clock.parse(b"-1.25s") == -1_250_000_000_000
    assert clock.parse(b"+9") == 9 * clock.SECOND


def test_what_is_not_a_clock_is_none() -> None:
    for word in (b"", b"s", b"6.", b".5", b"6ss", b"1e3", b"1 s", b"0x1", b"\xd9\xa1", b"9" * 31):
        assert clock.parse(word) is None, word


@given(st.integers(-(10**20), 10**20), st.integers(0, 10**12 - 1))
def test_clocks_compare_as_the_times_they_are(seconds: int, picoseconds: int) -> None:
    written = b"%d.%012ds" % (seconds, picoseconds)

    parsed = clock.parse(written)

    sign = -1 if written.startswith(b"-") else 1
    assert parsed == seconds * clock.SECOND + sign * picoseconds
    assert parsed > clock.NEVER


@given(st.binary())
def test_no_bytes_break_it(word: bytes) -> None:
    clock.parse(word)
