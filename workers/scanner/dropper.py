"""Dropping what is not wanted any more, as ``git annex drop --auto`` does, and by it.

What may have become unwanted is noted, and shown to git-annex some seconds later: it looks at all
files that have the content, at required content, and at copies elsewhere, which it verifies; so
the last word is never ours.  Content is never dropped within ``GRACE_S`` of its getting here.

Only a repository whose preferred content is set has anything unwanted.  ``annexd.drop`` says where:
``here`` (the default), ``remotes`` (here, and from remotes that can be reached), ``none``.

Two repositories that drop the same content at once each keep the other from it, since each has to
lock the other's copy.  So what git-annex refuses to drop is shown to it again, a few times, after
a while that is not the same everywhere.

git-annex may take long over it (it asks remotes), so a child does it, one at a time.
"""

import logging
import math
import os
import random
import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import Final, NamedTuple, final

from spool.key import Key
from spool.transfer import UUID
from workers import errand
from workers.annex.matcher import BySize
from workers.annex.oneshot import Result, drop_unwanted, drop_unwanted_files
from workers.annex.questions import Asked
from workers.annex.repository import Repository
from workers.annex.stream import AnnexEndedError
from workers.errand import Errand
from workers.scanner.network import Network
from workers.wakeup import Wakeup
from workers.wanted import Item

log = logging.getLogger(__name__)

GRACE_S: Final = 10.0
TRIES: Final = 4
"""After so many refusals in a row only a change is a reason to ask again."""

BATCH: Final = 1000
"""Keys that one git-annex is asked about."""

NOTED_MAX: Final = 50_000
"""What is beyond that is noted by the next sweep."""

HERE: Final = ""


class Noted(NamedTuple):
    """When and how to ask about a key."""

    at: float
    """Not before; monotonic, s."""

    path: bytes | None
    """One of its files, if it makes no difference which; else git-annex finds out all of them."""

    by_size: bool
    """What is dropped before it may change the answer."""


@final
class Dropper:
    """What may have become unwanted, and the child that sees to it."""

    def __init__(self, wakeup: Wakeup, repository: Repository) -> None:
        self.repository = repository
        self._wakeup = wakeup
        self._noted: dict[str, dict[Key, Noted]] = {}
        # By remote, or HERE.
        self._errand: Errand | None = None
        self._sent: tuple[str, dict[Key, Noted]] = (HERE, {})
        # What the child is about.
        self._refusals = 0

    def note(self, network: Network, items: Iterable[Item]) -> None:
        """Look which of the items may be unwanted where they are."""
        where = self._where(network)
        at = time.monotonic() + GRACE_S
        for item in items if where else ():
            for name, uuid in where.items():
                noted = self._noted.setdefault(name, {})
                unwanted = network.plan.unwanted(uuid, item)
                if unwanted is False:
                    noted.pop(item.key, None)
                elif len(noted) < NOTED_MAX:
                    any_does = unwanted or len(item.paths) == 1
                    by_size = network.plan.preferences.by_size(uuid) is not BySize.NO
                    noted[item.key] = Noted(at, item.paths[0] if any_does else None, by_size)
                    self._refusals = 0

    def next_look(self) -> float:
        """When there is something to do again (monotonic, s)."""
        if self._errand is not None:
            return math.inf  # its end wakes us
        return min(
            (each.at for noted in self._noted.values() for each in noted.values()),
            default=math.inf,
        )

    def work(self) -> None:
        """See after the child, and send another one if that is due."""
        if self._errand is not None:
            if not self._errand.has_ended():
                return
            self._wakeup.ignore(self._errand.fd)
            refused = self._errand.reap() == errand.FAILED
            self._errand = None
            self._refusals = self._refusals + 1 if refused else 0
            if refused and self._refusals < TRIES:
                self._note_again()
        now = time.monotonic()
        for name, noted in self._noted.items():
            due = dict(islice((each for each in noted.items() if each[1].at <= now), BATCH))
            if due:
                for key in due:
                    del noted[key]
                self._sent = (name, due)
                try:
                    self._errand = errand.send(lambda: _drop(self.repository, due, name))  # noqa: B023 -- forked at once
                except OSError as failure:
                    log.warning("tempfail to drop what is not wanted: %s", failure.strerror)
                    self._refusals = max(self._refusals, 1)
                    self._note_again()
                    return
                self._wakeup.attend(self._errand.fd)
                return

    def _note_again(self) -> None:
        name, sent = self._sent
        chance = random.uniform(0.5, 1.5)  # noqa: S311 -- no secret
        at = time.monotonic() + GRACE_S * self._refusals * chance
        for key, noted in sent.items():
            self._noted[name].setdefault(key, noted._replace(at=at))

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


def _drop(repository: Repository, due: Mapping[Key, Noted], remote: str) -> bool:
    """Whether git-annex refuses nothing that it would like to drop."""
    dropped = refused = 0
    try:
        where = remote or None
        sized = {key: each.path for key, each in due.items() if each.by_size}
        others = {key: each.path for key, each in due.items() if not each.by_size}
        files = [path for path in others.values() if path is not None]
        keys = [key for key, path in others.items() if path is None]
        by_file = drop_unwanted_files(repository, files, where) if files else ()
        by_key = drop_unwanted(repository, keys, where) if keys else ()
        for result in chain(by_file, by_key, _one_by_one(repository, sized, where)):
            dropped += result.done
            refused += result.reason != ""
    except AnnexEndedError as failure:
        log.warning("tempfail to drop what is not wanted: %s", failure)
        return False
    finally:
        if dropped:
            log.info("dropped %d contents that are not wanted %s", dropped, _place(remote))
    return not refused


def _one_by_one(
    repository: Repository, candidates: Mapping[Key, bytes | None], remote: str | None
) -> Iterator[Result]:
    """Each by a git-annex that knows what has become of the one before.

    git-annex 10.20261026 goes by the sizes of its start: a ``drop --auto`` in a repository that is
    too full drops all that it has.
    """
    left = dict(candidates)
    while left:
        if remote is None:
            left = _to_drop(repository, left)
        for key, path in list(left.items()):
            del left[key]
            results = list(
                drop_unwanted(repository, [key], remote)
                if path is None
                else drop_unwanted_files(repository, [path], remote)
            )
            yield from results
            if remote is None and not any(each.done or each.reason for each in results):
                break  # it is wanted now, and so are others, perhaps


def _to_drop(
    repository: Repository, candidates: Mapping[Key, bytes | None]
) -> dict[Key, bytes | None]:
    """Which of them git-annex would drop here, if it went by the sizes of now for all."""
    with Asked(repository, "find", "--batch", "--json", "--want-drop") as asked:
        return {
            key: path
            for key, path in candidates.items()
            if path is None or b"\n" in path or asked.ask(path + b"\n") != b""
        }


def _place(remote: str) -> str:
    return f"by {os.fsencode(remote)!a}" if remote else "here"
