"""The commands that ask one thing: ``configlist``, ``inannex``."""

import os
from collections.abc import Sequence

from spool import key as keys
from workers.annex.objects import Objects
from workers.annex.repository import Repository
from workers.shell.request import RequestError


def configuration(repository: Repository) -> str:
    """What ``configlist`` prints; clients take the uuid from it."""
    gcrypt = repository.settings.get("core.gcrypt-id") or ""
    return f"annex.uuid={repository.uuid.decode()}\ncore.gcrypt-id={gcrypt}\n"


def all_here(repository: Repository, spelled: Sequence[str]) -> bool:
    """Whether the contents of all keys are here."""
    objects = Objects(repository)
    try:
        wanted = [keys.parse(os.fsencode(word)) for word in spelled]
    except ValueError as wrong:
        raise RequestError("bad key") from wrong
    return all(objects.locate(key) is not None for key in wanted)
