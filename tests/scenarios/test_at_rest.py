"""L6: in sync, annexd sleeps: nobody wakes up, and no process is started."""

from typing import Final

import pytest

from tests.daemons import Fleet
from tests.processes import wait_until
from tests.repo import Repo
from tests.sleeping import Sleep
from tests.synced import synced

REST_S: Final = 150.0
"""Longer than twice the shortest of the looks now and then that there ever were (60 s)."""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_daemons_in_sync_do_not_wake_up(pair: tuple[Repo, Repo], fleet: Fleet) -> None:
    daemons = [fleet.annexd(repo) for repo in pair]
    pair[0].write("file", b"content" * 1000)
    synced(*pair)

    wait_until(Sleep((daemon.pid() for daemon in daemons), REST_S).lasts, 600)

    pair[0].write("another", b"it still hears")
    synced(*pair)
