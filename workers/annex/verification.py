"""Special remotes that a person has yet to agree to: until then nothing is pushed to any remote.

Since 2026 git-annex does not use a special remote that another repository has described before
somebody has run ``git annex verifyremote`` here, and its pre-push hook refuses every push as long
as such a remote is enabled: whoever has sent us there may have sent us to an attacker.

Source: what the hook of git-annex 10.20261026 said to remotes in each state.
"""

import os
from typing import Final

from workers.annex.settings import Settings

AGREED: Final = "verified"
"""``remote.NAME.annex-verified`` of what a person has agreed to, or has set up here."""

LOG: Final = b"verified-remote.log"
"""A line for each of them, which begins with its uuid; also for those of before 2026."""

LOG_MAX: Final = 1 << 20


def unverified(settings: Settings, annex: bytes) -> list[str]:
    """The names of remotes that nobody has agreed to, as far as we know; git-annex knows better.

    ``annex``: ``.git/annex`` of the repository that has those settings.
    """
    remotes: dict[str, dict[str, str]] = {}
    for name, setting in settings.below("remote"):
        remote, dot, variable = name.rpartition(".")
        if dot:
            remotes.setdefault(remote, {})[variable] = setting
    doubtful = [name for name, known in remotes.items() if _is_doubtful(known)]
    agreed = _agreed(annex) if doubtful else set()
    return [name for name in doubtful if os.fsencode(remotes[name]["annex-uuid"]) not in agreed]


def _is_doubtful(known: dict[str, str]) -> bool:
    is_special = "annex-verified" in known or "annex-gcrypt" in known or "url" not in known
    return is_special and "annex-uuid" in known and known.get("annex-verified") != AGREED


def _agreed(annex: bytes) -> set[bytes]:
    try:
        with open(os.path.join(annex, LOG), "rb") as log:
            return {line.partition(b" ")[0] for line in log.read(LOG_MAX).splitlines()}
    except OSError:  # there is none, or none that git-annex could read, either
        return set()
