"""Which deletions a person has to accept."""

import pytest

from workers.massdeletion import is_suspicious


@pytest.mark.parametrize(
    ("deleted", "files", "suspicious"),
    [
        (1, 1, False),
        (20, 20, False),
        (21, 21, True),
        (21, 209, True),
        (21, 210, False),
        (1000, 10_000, False),
        (1001, 10_000, True),
    ],
)
def test_twenty_or_a_tenth_are_believed(deleted: int, files: int, *, suspicious: bool) -> None:
    assert is_suspicious(deleted, files) is suspicious
