import pytest
from hypothesis import given
from hypothesis import strategies as st

from spool.transfer import Direction
from workers.annex.limits import ANY_PROGRESS, Limits, Pace, limits, parse_duration

UP, DOWN = Direction.UPLOAD, Direction.DOWNLOAD
NAMES = ["bwlimit", "stalldetection"]


def test_nothing_set_is_no_limit() -> None:
    assert limits({}, UP) == Limits(None, None)


def test_a_direction_has_its_own_limit_before_the_common_one() -> None:
    settings = {"bwlimit": "1MiB", "bwlimit-download": "10 kb", "bwlimit-upload": "0"}

    assert limits({"bwlimit": "1MiB"}, UP).bytes_per_s == 1 << 20
    assert limits(settings, DOWN).bytes_per_s == 10_000
    assert limits(settings, UP).bytes_per_s is None


@pytest.mark.parametrize(
    ("text", "pace"),
    [
        ("1KB/30s", Pace(1000, 30.0)),
        ("10MiB/1m30s", Pace(10 << 20, 90.0)),
        ("true", ANY_PROGRESS),
        ("nonsense", ANY_PROGRESS),
        ("1KB/", ANY_PROGRESS),
        ("1KB/0s", ANY_PROGRESS),
        ("false", None),
        ("no", None),
    ],
)
def test_a_stall_is_a_pace(text: str, pace: Pace | None) -> None:
    assert limits({"stalldetection": text}, UP).stall == pace
    assert limits({"stalldetection-download": text}, DOWN).stall == pace
    assert limits({"stalldetection-download": text}, UP).stall is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("1h5m", 3900), ("90", 90), ("1d", 86400), ("", None), ("x", None), ("1w", None)],
)
def test_a_duration_is_read_as_git_annex_writes_it(text: str, seconds: float | None) -> None:
    assert parse_duration(text) == seconds


@given(st.dictionaries(st.sampled_from(NAMES), st.text()))
def test_no_setting_breaks_it(settings: dict[str, str]) -> None:
    found = limits(settings, DOWN)

    assert found.bytes_per_s is None or found.bytes_per_s > 0
    assert found.stall is None or found.stall.period_s > 0
