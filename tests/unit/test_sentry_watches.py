"""The sentry's watches: whatever it does with them meanwhile, what happens is told."""

import math
import os
from pathlib import Path

from tests.processes import python, start
from workers.sentry import trail
from workers.sentry.watches import Watches
from workers.wakeup import Wakeup

COMING = """
import os, sys
for number in range(5000):
    os.close(os.open(f"{sys.argv[1]}/{number}", os.O_CREAT))
"""


def test_what_comes_while_the_watches_are_set_anew_is_told(wakeup: Wakeup, tmp_path: Path) -> None:
    """A remote that is moved to where it is sought, just when something happens to another one.

    Observed: the directory was watched for its own end only, for a moment, and then for new names.
    """
    at = tmp_path / "mnt"
    at.mkdir()
    told: set[bytes] = set()
    watches = Watches(wakeup)
    way = {"remote": tuple(trail.seek(os.fsencode(at / "repo"), ()))}
    watches.set(way)

    coming = start(python(COMING, at), tmp_path / "stderr")
    while coming.poll() is None:
        watches.set(way)
        told |= {event.name for event in wakeup.wait(-math.inf).events}
    told |= {event.name for event in wakeup.wait(-math.inf).events}

    assert coming.returncode == 0
    assert len(told - {b""}) == 5000
