"""Why there is no exchange, or not a whole one, with a remote that can be reached."""

import logging
from collections.abc import Iterator
from typing import Final, final

from workers.pusher.values import Result

log = logging.getLogger(__name__)

BARRED: Final = "has commits that annex-pull=false keeps away; ours are in its refs/synced only"


@final
class Refusal:
    """Why the last exchange with one remote was none, or not a whole one."""

    def __init__(self, remote: str) -> None:
        self._remote = remote
        self._unrelated = ""
        """The branch that has no history in common with ours; empty: it has."""

        self.is_barred = False
        """Whether it cannot take what we have, for what it has and we may not pull."""

    def judge(self, result: Result, branch: bytes) -> None:
        """Take note of how an exchange has ended; ``branch`` is ours."""
        self.is_barred = result is Result.BARRED
        unrelated = ""
        if result is Result.UNRELATED:
            unrelated = branch.decode(errors="backslashreplace")
            if unrelated != self._unrelated:
                log.warning(
                    "refuse %s: its branch %s has no history in common with ours",
                    self._remote,
                    unrelated,
                )
        self._unrelated = unrelated

    def notes(self) -> Iterator[tuple[str, str]]:
        """What to say of it in the pusher's state."""
        if self.is_barred:
            yield "held", f"{self._remote} {BARRED}"
        if self._unrelated:
            yield "unrelated", self._remote
