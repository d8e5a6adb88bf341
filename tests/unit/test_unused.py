"""How long unused contents are kept, and which have been so for long enough."""

import pytest

from workers.annex import unused
from workers.annex.settings import Settings

DAY_S = 86_400.0
FILE = b"""\
2 SHA256E-s2--4355a46b19d348dc2f57c046f8ef63d4538ebb936000f3c9ee954a27460dd865 1795937041.967284s
1 SHA256E-s2--53c234e5e8472b6ac51c1ae1cab3fe06fad053beb8ebfd8977b010655bfdd3c3 1795937045.102593059s
3 WORM-s2-m1--a 1795937049s
torn 17959
"""


@pytest.mark.parametrize(
    ("said", "kept_s"),
    [
        ("7d", 7 * DAY_S),
        ("1m", 30 * DAY_S),
        ("1w12h", 7.5 * DAY_S),
        ("1y", 365 * DAY_S),
        ("0s", 0.0),
        ("false", None),
        ("true", None),
        ("", None),
        ("7", None),
        ("soon", None),
    ],
)
def test_how_long_is_read_so_that_nothing_is_lost_by_a_slip(
    said: str, kept_s: float | None
) -> None:
    assert unused.kept_for(Settings({unused.SETTING: (said,)})) == kept_s


def test_nothing_is_forgotten_unless_it_is_asked_for() -> None:
    assert unused.kept_for(Settings({})) is None


def test_what_was_seen_to_be_unused_only_lately_is_kept() -> None:
    assert unused.expired(FILE, 1_795_937_045.5) == ["2", "1"]
    assert unused.expired(FILE, 1_795_937_000.0) == []
