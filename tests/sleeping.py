"""Whether processes sleep: they do not wake up, and start nothing."""

import time
from collections.abc import Iterable
from typing import final

from tests.procfs import family, work_done


@final
class Sleep:
    """Of some processes and all below them."""

    def __init__(self, roots: Iterable[int], rest_s: float) -> None:
        self._roots = tuple(roots)
        self._rest_s = rest_s
        self._seen = self._look()
        self._since = time.monotonic()

    def lasts(self) -> bool:
        """Whether nothing has happened for ``rest_s``, as far as was seen by asking."""
        seen = self._look()
        if seen != self._seen:
            self._seen, self._since = seen, time.monotonic()
        return time.monotonic() >= self._since + self._rest_s

    def _look(self) -> dict[int, tuple[int, int]]:
        return {pid: work_done(pid) for root in self._roots for pid in family(root)}
