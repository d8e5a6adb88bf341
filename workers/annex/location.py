"""Location logs: which repositories have the content of a key.

``xxx/yyy/KF.log`` in the git-annex branch is a presence log of repositories' uuids.  What it names
comes from peers: keys and uuids that our parsers refuse are left out.
"""

import functools
import re
from typing import Final

from spool.key import Key, from_file, to_file
from spool.transfer import UUID, parse_uuid
from workers.annex import presence
from workers.annex.hashdirs import Tuning

PATH: Final = re.compile(rb"[0-9a-f]{3}/(?:[0-9a-f]{3}/)?([^/]+)\.log", re.DOTALL)


def log_path(key: Key, tuning: Tuning) -> bytes:
    """The file of the branch that is the key's location log."""
    return b"%b/%b.log" % (tuning.log_directory(key), to_file(key))


def log_key(path: bytes) -> Key | None:
    """The key whose location log a file of the branch is; None if it is another kind of file."""
    match = PATH.fullmatch(path)
    if match is None:
        return None
    try:
        return from_file(match[1])
    except ValueError:
        return None


def locations(log: bytes) -> frozenset[UUID]:
    """The repositories that a location log says have the content."""
    uuids = map(_uuid, presence.present(log))
    return frozenset(uuid for uuid in uuids if uuid is not None)


@functools.lru_cache(maxsize=1024)
def _uuid(item: bytes) -> UUID | None:
    try:
        return parse_uuid(item)
    except ValueError:
        return None
