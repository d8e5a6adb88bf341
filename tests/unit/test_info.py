"""The text of info files.  That git-annex agrees is in tests/annex/test_running_interop.py."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spool.info import TEXT_MAX_BYTES, Info

SAFE = settings(deadline=None)
FILES = (
    st.none()
    | st.binary(min_size=1, max_size=80)
    | st.sampled_from([b"\n", b"a\nb", b"\n\n", b" 5"])
)
TIMES = st.none() | st.integers(-(10**14), 10**14).map(lambda ns: Decimal(ns).scaleb(-9))
INFOS = st.builds(Info, TIMES, st.none() | st.integers(0, 2**63 - 1), FILES)


@SAFE
@given(INFOS)
def test_what_is_written_is_what_is_read(info: Info) -> None:
    assert Info.parse(info.format()) == info


@SAFE
@given(st.binary(max_size=200) | INFOS.map(Info.format))
def test_any_bytes_are_an_info_or_a_value_error(data: bytes) -> None:
    try:
        info = Info.parse(data)
    except ValueError:
        return

    assert Info.parse(info.format()) == info


@SAFE
@given(INFOS, st.integers(0, 300))
def test_a_torn_text_never_makes_up_a_file_or_a_number(info: Info, cut: int) -> None:
    """Cut anywhere, it is refused, or says part of what it said, or less."""
    try:
        torn = Info.parse(info.format()[:cut])
    except ValueError:
        return

    assert (info.associated_file or b"").startswith(torn.associated_file or b"") or (
        # the final newline was lost, so one of the file's own is taken for it
        (info.associated_file or b"").startswith((torn.associated_file or b"") + b"\n")
    )
    if torn.associated_file is not None:
        assert (torn.started, torn.bytes_done) == (info.started, info.bytes_done)


@pytest.mark.parametrize(
    ("data", "info"),
    [
        (
            b"1795354349.347901695s 753296\na b%c\n",
            Info(Decimal("1795354349.347901695"), 753296, b"a b%c"),
        ),
        (b"1795354386.229433925s 491280\n\n", Info(Decimal("1795354386.229433925"), 491280)),
        (b"1795345404s\nf\n", Info(Decimal(1795345404), None, b"f")),
        (b" 5\nf\n", Info(None, 5, b"f")),
        (b"\n\n", Info()),
    ],
)
def test_texts_that_git_annex_wrote_are_read_and_written_the_same(data: bytes, info: Info) -> None:
    assert Info.parse(data) == info
    assert info.format() == data


@pytest.mark.parametrize(
    ("data", "info"),
    [
        (b"", Info()),
        (b"\n", Info()),
        (b"123", Info(Decimal(123))),
        (b"123s", Info(Decimal(123))),
        (b"123.50s", Info(Decimal("123.5"))),
        (b"123s\nno final newline", Info(Decimal(123), None, b"no final newline")),
        (b"123s\ntwo\nlines\n", Info(Decimal(123), None, b"two\nlines")),
        (b"123s\nf\n\n", Info(Decimal(123), None, b"f\n")),
        (b"-5s\nf\n", Info(Decimal(-5), None, b"f")),
    ],
)
def test_what_git_annex_tolerates_is_tolerated(data: bytes, info: Info) -> None:
    assert Info.parse(data) == info


@pytest.mark.parametrize(
    "data",
    [
        *(
            b"junk\nf\n",
            b"1e9s\n",
            b"123s x\n",
            b"123s -7\n",
            b"123s 5 6\n",
            b"0x10\n",
            b"1_000s\n",
        ),
        *(b"inf\n", b"nan\n", b"9" * 400 + b"s\n", b"1s " + b"9" * 40 + b"\n", b"\0\n", b"123s \n"),
        b"123s\n" + b"x" * TEXT_MAX_BYTES,
    ],
)
def test_what_is_no_info_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a transfer info"):
        Info.parse(data)


def test_a_file_name_that_does_not_fit_is_refused_before_it_is_written() -> None:
    with pytest.raises(ValueError, match="too long"):
        Info(None, None, b"x" * TEXT_MAX_BYTES).format()


def test_an_info_begun_now_tells_the_time_to_the_microsecond() -> None:
    assert Info.begun(1795345404.25, b"f").format() == b"1795345404.25s\nf\n"
    assert Info.begun(1795345404.0, b"").format() == b"1795345404s\n\n"
