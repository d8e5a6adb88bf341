"""Lengths of time, as git-annex writes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annexd.duration import DurationError, format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("30", 30),
        ("30s", 30),
        ("5m", 300),
        ("1h", 3600),
        ("1h30m", 5400),
        ("1h5m10s", 3910),
        ("1h5", 3605),
        ("2d", 172800),
        ("1w", 604800),
        ("1y", 31536000),
    ],
)
def test_a_length_of_time_is_understood(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "1x", "-1", "1 h", "1.5h", "1h-5m", "٣s", "1" * 40])
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(DurationError, match="write it like 30s, 5m or 1h30m"):
        parse_duration(text)


@given(st.integers(0, 10**8))
def test_what_is_shown_is_right_to_the_second_unit(seconds: int) -> None:
    shown = parse_duration(format_duration(seconds))
    assert shown <= seconds
    assert seconds - shown < max(1, seconds / 60, shown / 20)


def test_times_are_shown_in_two_units() -> None:
    shown = {0: "0s", 59.6: "1m", 200: "3m20s", 3600: "1h", 90061: "1d1h", 86460: "1d"}
    assert {seconds: format_duration(seconds) for seconds in shown} == shown
