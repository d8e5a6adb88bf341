"""Whether git's push or fetch would do no more between two paths than carry objects and move refs.

Where it would (refuse, check, sign, prune, ask a hook), it is left to git.

Source: git-config(1), "receive", "transfer", "uploadpack", "fetch", "push", "protocol",
"extensions", "remote"; gitrepository-layout(5), "shallow".
"""

import os
from pathlib import Path
from typing import Final

from workers.annex.settings import Settings

_SAY: Final = ("receive.", "transfer.", "uploadpack.", "extensions.", "fetch.fsck", "push.gpgsign")
_SAY_OPTIONS: Final = "push.pushoption"
_SAY_NOTHING: Final = frozenset(
    (
        *("receive.autogc", "receive.unpacklimit", "transfer.unpacklimit"),
        # Of branches that are checked out, and we move none.
        *("receive.denycurrentbranch", "receive.denydeletecurrent"),
        *("extensions.worktreeconfig", "extensions.refstorage"),
        "extensions.objectformat",  # compared
    )
)
_OF_REMOTE: Final = frozenset(("url", "fetch", "skipfetchall", "skipdefaultupdate"))


def is_plain(settings: Settings, common: Path) -> bool:
    """Whether one of the two repositories is plain; ``common`` is where its objects are."""
    if any((common / name).exists() for name in ("shallow", "info/grafts")):
        return False
    if os.stat(common).st_uid != os.geteuid():  # git would refuse to work there, or ask
        return False
    for name in settings.values:
        says = name.startswith((*_SAY, _SAY_OPTIONS)) and name not in _SAY_NOTHING
        if says or (name.startswith("protocol.") and settings.get(name) == "never"):
            return False
    return True


def is_plain_remote(settings: Settings, remote: str) -> bool:
    """Whether the remote is configured here in the plain way."""
    prefix = f"remote.{remote}."
    named = {name.removeprefix(prefix) for name in settings.values if name.startswith(prefix)}
    fetches = settings.values.get(f"{prefix}fetch", ())
    return (
        all(name in _OF_REMOTE or name.startswith("annex") for name in named)
        and fetches in ((), (f"+refs/heads/*:refs/remotes/{remote}/*",))
        and not any(name.endswith(".pushinsteadof") for name in settings.values)
    )
