"""What has been decided a moment ago: a file is logged, then committed; each is a cause to decide.

The second time its job may just have been done, while the log that says so is not read yet; then
it would be queued, claimed and found needless once more.
"""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Final, final

from spool.key import Key
from spool.transfer import UUID
from workers.wanted import Item

MOST: Final = 4000
"""Keys that are remembered: a commit comes soon after its logs."""


@final
class Decided:
    """The items that were decided last, as they were then."""

    def __init__(self) -> None:
        self._items: dict[Key, Item] = {}

    def learn(self, news: Mapping[Key, frozenset[UUID]]) -> None:
        """The logs say that now: who is not where he was is to be decided about again."""
        items = self._items
        for key in items.keys() & news.keys():
            if items[key].locations != news[key]:
                del items[key]

    def covers(self, item: Item) -> bool:
        """Whether deciding about it again would tell nothing new."""
        known = self._items.get(item.key)
        return (
            known is not None
            and known.locations == item.locations
            and set(known.paths).issuperset(item.paths)
        )

    def note(self, items: Iterable[Item]) -> None:
        """These have been decided."""
        self._items |= {item.key: item for item in items}
        for key in list(islice(self._items, max(0, len(self._items) - MOST))):
            del self._items[key]

    def forget(self, keys: Iterable[Key]) -> None:
        """Decide about these again, for another cause."""
        for key in keys:
            self._items.pop(key, None)
