"""What ``git annex config`` has set for all clones: it counts where git's configuration is silent.

An empty value is one that was unset.  ``annex.largefiles``, ``annex.dotfiles`` and
``annex.addunlocked`` are ``addpolicy``'s: .gitattributes come between them and git's configuration.

Pure.  Source: git-annex-config(1).
"""

import os
from collections.abc import Mapping
from typing import Final

from workers.annex.settings import Settings

CONFIG_LOG: Final = b"config.log"
"""On the git-annex branch; ``maplog.by_name`` reads it."""

_NAMES: Final = (
    "annex.autocommit",
    "annex.resolvemerge",
    "annex.securehashesonly",
    "annex.synccontent",
    "annex.synconlyannex",
)


def with_shared(settings: Settings, shared: Mapping[bytes, bytes]) -> Settings:
    """A clone's settings, with what all clones share beneath; ``shared``: name -> value."""
    beneath = {
        name: (os.fsdecode(value),) for name in _NAMES if (value := shared.get(os.fsencode(name)))
    }
    return Settings({**beneath, **settings.values}) if beneath else settings
