"""The refs of annexd's own, below ``refs/annexd``: neither pushed nor fetched."""

from typing import Final

from workers.git.refname import RefName

PRIVATE: Final = RefName(b"refs/annexd/watcher")
"""What the watcher is making: keeps ``git gc`` away from it."""

PUSHED: Final = b"refs/annexd/pushed/"
"""Followed by the name of a commit that somebody has pushed into the checked-out branch; until it
is merged."""

IMPORTED: Final = b"refs/annexd/imported/"
"""Followed by UUID/BRANCH: what was imported from a special remote, until it is merged."""
