"""Where contents are, as the logs have said lately: what is logged is committed soon.

True as long as all that the logs say is learnt from them.
"""

from collections.abc import Collection, Mapping
from typing import Final, final

from spool.key import Key
from spool.transfer import UUID
from workers.annex.branch import Branch
from workers.annex.feed import locations_of

MOST: Final = 20_000
"""Keys that are remembered."""


@final
class Whereabouts:
    """What the logs of one repository have said lately."""

    def __init__(self, branch: Branch) -> None:
        self._branch = branch
        self._known: dict[Key, frozenset[UUID]] = {}

    def learn(self, news: Mapping[Key, frozenset[UUID]]) -> None:
        """The logs say that now."""
        if len(self._known) > MOST:
            self.forget()
        self._known |= news

    def forget(self) -> None:
        """Read the logs again."""
        self._known = {}

    def of(self, keys: Collection[Key]) -> Mapping[Key, frozenset[UUID]]:
        """Where each of them is."""
        unknown = [key for key in keys if key not in self._known]
        found = locations_of(self._branch, unknown) if unknown else {}
        return {key: found[key] if key in found else self._known[key] for key in keys}
