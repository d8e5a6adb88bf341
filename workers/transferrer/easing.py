"""How git-annex is told of the limits of speed: by settings, when it is started.  Pure.

git-annex holds each transfer to ``annex-bwlimit`` by itself, and rsync to ``--bwlimit``; so what
they move flows evenly.  Programs of special remotes know of neither, and a process that runs does
not read its settings again: to those the limit is kept by stopping them (``byannex``).

Source: git-annex(1), ``annex-rsync-upload-options``; rsync(1).
"""

from typing import Final

from spool.transfer import Direction
from workers.annex.limits import limits
from workers.annex.remotes import Remote

AGAIN_S: Final = 2.0
"""What would take longer than this at the old speed is begun anew for a better one."""

AGAIN_TIMES: Final = 2.0
"""So much better it must be: what the remote cannot resume is moved again."""

_KIB: Final = 1024


def settings(remote: Remote, direction: Direction, bytes_per_s: int | None) -> tuple[str, ...]:
    """What to start git-annex with, as ``-c NAME=VALUE``, to have it move so much a second."""
    own = limits(remote.settings, direction).bytes_per_s
    if bytes_per_s is None or (own is not None and own <= bytes_per_s):
        return ()
    prefix = f"remote.{remote.name}.annex-"
    # Of the three, git-annex takes the most special one that is set, and not for each direction.
    said = [f"{prefix}bwlimit{suffix}={bytes_per_s}B" for suffix in ("", "-upload", "-download")]
    if "rsyncurl" in remote.settings:
        name = f"rsync-{direction.value}-options"
        options = f"{remote.settings.get(name, '')} --bwlimit={max(1, bytes_per_s // _KIB)}"
        said.append(f"{prefix}{name}={options.strip()}")
    return tuple(word for setting in said for word in ("-c", setting))


def is_deaf(remote: Remote) -> bool:
    """Whether what moves the bytes is a program that knows of no settings."""
    return "externaltype" in remote.settings


def begins_anew(left: int | None, told: int | None, bytes_per_s: int | None) -> bool:
    """Whether to start git-annex again in the middle of a transfer, of which so much is left.

    ``told`` is the speed it was started for, the other that of now; None: as fast as it goes.
    """
    if told is None or (bytes_per_s is not None and bytes_per_s < told * AGAIN_TIMES):
        return False
    return left is None or left > told * AGAIN_S
