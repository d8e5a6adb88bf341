"""Waiting for what somebody has replaced in his branch to be merged there as done with.

Who amends a commit that we have merged shows us the new one in its place: fetched in that moment,
it looks as if both he and somebody else had edited the same files.  annexd over there sees what he
has done, and makes the commit that has both in its history (``rewritten``); we need only
follow.  Where no annexd is, nothing comes, and it is merged as what it looks like.
"""

import time
from collections.abc import Iterable
from typing import Final, final

from workers.git.ancestry import Ancestry
from workers.git.refname import RefName
from workers.git.stream import ObjectId
from workers.watcher.arrivals import Arrival
from workers.watcher.desk import Desk
from workers.watcher.maker import is_made_by_annexd

_HEADS: Final = b"refs/heads/"
REPLACED_S: Final = 4.0
"""For annexd over there, on a busy machine."""


@final
class Withdrawn:
    """What is waited for; all times are the monotonic clock's."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._ancestry = Ancestry(desk.git, desk.commits.text_of)
        self._since: dict[ObjectId, float] = {}

    def wait(
        self, branch: RefName | None, head: ObjectId, arrived: Iterable[Arrival]
    ) -> float | None:
        """Until when to wait; None: merge it."""
        now = time.monotonic()
        has_come = branch is not None and self._has_come(branch, head)
        replacing = {
            each.commit
            for each in arrived
            if self._is_replacing(head, each) or (has_come and self._is_amended(head, each.commit))
        }
        self._since = {commit: self._since.get(commit, now) for commit in replacing}
        until = max(self._since.values(), default=-REPLACED_S) + REPLACED_S
        return until if now < until else None

    def _is_replacing(self, head: ObjectId, arrival: Arrival) -> bool:
        before = arrival.before
        return (
            before is not None
            and self._ancestry.nearby(arrival.commit, before) is False
            and self._ancestry.nearby(head, before) is True
        )

    def _has_come(self, branch: RefName, head: ObjectId) -> bool:
        """Whether HEAD's commit may be what somebody has pushed to us."""
        synced = RefName(_HEADS + b"synced/" + branch.removeprefix(_HEADS))
        return self._desk.refs.get(synced) == head

    def _is_amended(self, head: ObjectId, commit: ObjectId) -> bool:
        """Whether it was made from the same, by the same person and at the same time.

        Two daemons of one person may commit in the same second; they say where.
        """
        old, new = (self._desk.commits.text_of(each) or b"" for each in (head, commit))
        if is_made_by_annexd(new) and _message(new) != _message(old):
            return False
        return _origin(old) == _origin(new) != b""


def _origin(text: bytes) -> bytes:
    """Parents, and the author with the time."""
    first, _, rest = text.partition(b"\ncommitter ")
    return first.partition(b"\n")[2] if rest else b""


def _message(text: bytes) -> bytes:
    return text.partition(b"\n\n")[2]
