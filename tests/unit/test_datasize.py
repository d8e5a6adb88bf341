"""Sizes; that git-annex reads them so is tested in tests/annex/test_expression_terms.py."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.annex import datasize


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("10", 10),
        ("100kb", 100_000),
        ("1KiB", 1024),
        ("1.5 GB", 1_500_000_000),
        ("20 megabytes", 20_000_000),
        ("1k", 1000),
        ("1ki", 1024),
        ("8kbit", 1000),
        ("1.5", 2),
        ("2.5", 2),
        ("3.5b", 4),
        ("1.0005kb", 1000),
    ],
)
def test_a_size_is_read_as_people_write_it(text: str, size: int) -> None:
    assert datasize.parse(text) == size


@pytest.mark.parametrize("text", ["", "kb", "1kilo", "1e3", "0x10", "-1", "+1", ".5", "1kbx"])
def test_what_is_not_plainly_a_size_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="not a size"):
        datasize.parse(text)


@given(st.text(max_size=50))
def test_nothing_else_is_raised(text: str) -> None:
    try:
        assert datasize.parse(text) >= 0
    except ValueError:
        return
