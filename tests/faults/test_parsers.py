"""Thousands of broken inputs for every parser; ``contrib/torture R`` gives each a million."""

import pytest

from tests.faults.parsers import ALL, fuzz
from tests.faults.seeds import seed

ROUNDS = 1500


@pytest.mark.parametrize("name", ALL)
def test_broken_input_is_read_or_refused_and_never_slowly(name: str) -> None:
    assert fuzz(name, ROUNDS, seed()) is None


@pytest.mark.parametrize("name", ALL)
def test_the_examples_are_read(name: str) -> None:
    """Else only the first step of a parser would be tried."""
    for example in ALL[name].examples:
        ALL[name].parse(example)
