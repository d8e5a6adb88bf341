"""What tests of a single piece share."""

import signal
from collections.abc import Iterator

import pytest

from workers.wakeup import Wakeup

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@pytest.fixture
def wakeup() -> Iterator[Wakeup]:
    """A wake-up; the runner's own signal handlers come back afterwards."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    wakeup = Wakeup()
    yield wakeup
    signal.set_wakeup_fd(-1)
    for number, handler in before.items():
        signal.signal(number, handler)
    wakeup.close()
