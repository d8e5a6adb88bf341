"""Dropping what is not wanted any more, as ``git annex drop --auto`` does, and by it.

What may have become unwanted is noted, and shown to git-annex some seconds later: it looks at all
files that have the content, at required content, and at copies elsewhere, which it verifies; so
the last word is never ours.  Content is never dropped within ``GRACE_S`` of its getting here.

Only a repository whose preferred content is set has anything unwanted.  ``annexd.drop`` says where:
``here`` (the default), ``remotes`` (here, and from remotes that can be reached), ``none``.

git-annex may take long over it (it asks remotes), so a child does it, one at a time.
"""

import logging
import math
import os
import time
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Final, final

from spool.key import Key
from spool.transfer import UUID
from workers import errand
from workers.annex.oneshot import drop_unwanted
from workers.annex.repository import Repository
from workers.annex.stream import AnnexEndedError
from workers.errand import Errand
from workers.scanner.network import Network
from workers.wakeup import Wakeup
from workers.wanted import Item

log = logging.getLogger(__name__)

GRACE_S: Final = 10.0
BATCH: Final = 1000
"""Keys that one git-annex is asked about."""

NOTED_MAX: Final = 50_000
"""What is beyond that is noted by the next sweep."""

HERE: Final = ""


@final
class Dropper:
    """What may have become unwanted, and the child that sees to it."""

    def __init__(self, wakeup: Wakeup, repository: Repository) -> None:
        self.repository = repository
        self._wakeup = wakeup
        self._noted: dict[str, dict[Key, float]] = {}
        # Remote, or HERE -> keys -> from when on (monotonic, s).
        self._errand: Errand | None = None

    def note(self, network: Network, items: Iterable[Item]) -> None:
        """Look which of the items may be unwanted where they are."""
        where = self._where(network)
        at = time.monotonic() + GRACE_S
        for item in items if where else ():
            for name, uuid in where.items():
                noted = self._noted.setdefault(name, {})
                if network.plan.unwanted(uuid, item) is False:
                    noted.pop(item.key, None)
                elif len(noted) < NOTED_MAX:
                    noted[item.key] = at

    def next_look(self) -> float:
        """When there is something to do again (monotonic, s)."""
        if self._errand is not None:
            return math.inf  # its end wakes us
        return min(
            (min(noted.values()) for noted in self._noted.values() if noted), default=math.inf
        )

    def work(self) -> None:
        """See after the child, and send another one if that is due."""
        if self._errand is not None:
            if not self._errand.has_ended():
                return
            self._wakeup.ignore(self._errand.fd)
            self._errand.reap()
            self._errand = None
        now = time.monotonic()
        for name, noted in self._noted.items():
            due = list(islice((key for key, at in noted.items() if at <= now), BATCH))
            if due:
                for key in due:
                    del noted[key]
                self._errand = errand.send(lambda: _drop(self.repository, due, name))  # noqa: B023 -- forked at once
                self._wakeup.attend(self._errand.fd)
                return

    def _where(self, network: Network) -> Mapping[str, UUID]:
        wish = self.repository.settings.get("annexd.drop", "here")
        if wish not in {"here", "remotes"}:
            return {}
        where = {HERE: network.plan.here}
        if wish == "remotes":
            where |= {
                remote.name: remote.uuid
                for remote in network.remotes
                if remote.uuid in network.plan.uploads and remote.name in network.near
            }
        return {
            name: uuid
            for name, uuid in where.items()
            if network.plan.preferences.rule(uuid) is not None
        }


def _drop(repository: Repository, keys: list[Key], remote: str) -> bool:
    dropped = 0
    try:
        for result in drop_unwanted(repository, keys, remote or None):
            dropped += result.done
    except AnnexEndedError as failure:
        log.warning("tempfail to drop what is not wanted: %s", failure)
        return False
    finally:
        if dropped:
            log.info("dropped %d contents that are not wanted %s", dropped, _place(remote))
    return True


def _place(remote: str) -> str:
    return f"by {os.fsencode(remote)!a}" if remote else "here"
