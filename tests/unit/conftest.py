"""What tests of a single piece share."""

from collections.abc import Iterator

import pytest

from workers.wakeup import Wakeup


@pytest.fixture
def wakeup() -> Iterator[Wakeup]:
    """A wake-up in the runner's own process."""
    wakeup = Wakeup()
    yield wakeup
    wakeup.close()
