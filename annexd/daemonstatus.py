"""``annex/daemon.status``: when a daemon last ran here, in git-annex's own words.

    lastRunning:1795354073.987066661s
    scanComplete:True
    sanityCheckRunning:False
    lastSanityCheck:

The assistant that starts next reads it: what changed before ``lastRunning`` it takes as seen.  So
it is written when annexd has started (the startup scan will see everything since), and again when
it has stopped in good order.  (Format as the assistant writes it, 10.20261026;
Assistant/Types/DaemonStatus.hs, writeDaemonStatusFile.)
"""

import contextlib
import os
import re

from spool.place import Place

_NAME = "daemon.status"
_LAST_CHECK = re.compile(rb"^lastSanityCheck:([0-9.]*s?)$", re.MULTILINE)


def write_daemon_status(place: Place, now: float, *, scan_complete: bool) -> None:
    """Say that a daemon runs here now; keeps the time of the assistant's last check."""
    path = place.annex / _NAME
    last_check = b""
    with contextlib.suppress(FileNotFoundError):  # the first daemon here
        found = _LAST_CHECK.search(path.read_bytes())
        last_check = found[1] if found else b""
    temporary = place.tmp / f"{_NAME}.{os.getpid()}"
    temporary.write_bytes(
        b"lastRunning:%.9fs\nscanComplete:%s\nsanityCheckRunning:False\nlastSanityCheck:%s\n"
        % (now, str(scan_complete).encode(), last_check)
    )
    temporary.rename(path)
