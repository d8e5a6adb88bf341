"""Which cipher ssh is to try first: one that processors have instructions for.

ssh's own first choice, ChaCha20, takes twice as long where there are such, and bounds how fast a
large content goes.  Both are on ssh's own list, and what is moved to the front is no weaker.
Whoever has chosen ciphers, in a configuration or on the command line, has what he has chosen: then
the list that holds for the destination is another one than ssh's own.

Source: ssh(1), "-G", "-F none"; ssh_config(5), "Ciphers".
"""

import functools
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from workers.git.run import environment

FAST: Final = "aes128-gcm@openssh.com"

TIMEOUT_S: Final = 5.0
"""A configuration may run programs (``Match exec``)."""

_CONFIGURATIONS: Final = ("~/.ssh/config", "/etc/ssh/ssh_config")
_CPUINFO: Final = "/proc/cpuinfo"


def preferred(options: tuple[str, ...], destination: tuple[str, ...], cwd: Path) -> tuple[str, ...]:
    """The options for it, if any; ``options`` are the user's."""
    return _preferred(options, destination, cwd, *map(_stamp, _CONFIGURATIONS))


@functools.lru_cache(maxsize=256)
def _preferred(
    options: tuple[str, ...], destination: tuple[str, ...], cwd: Path, *_stamps: object
) -> tuple[str, ...]:
    if not _is_fast():
        return ()
    own = _ciphers(("-F", "none", "-G", *destination), cwd)
    if FAST not in own or own != _ciphers((*options, "-G", *destination), cwd):
        return ()
    return ("-o", "Ciphers=" + ",".join((FAST, *(name for name in own if name != FAST))))


def _ciphers(args: Sequence[str], cwd: Path) -> list[str]:
    """The ciphers that ssh would offer, the first choice first; none if it does not say."""
    try:
        said = subprocess.run(
            ("ssh", *args),
            cwd=cwd,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=TIMEOUT_S,
            check=False,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return []
    lines = (line.partition(b" ") for line in said.splitlines())
    found = (rest for head, _, rest in lines if head == b"ciphers")
    return next(found, b"").decode(errors="replace").split(",")


def _stamp(name: str) -> object:
    try:
        status = os.stat(os.path.expanduser(name))
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


@functools.cache
def _is_fast() -> bool:
    try:
        info = Path(_CPUINFO).read_bytes()
    except OSError:
        return False
    flags = (line for line in info.splitlines() if line.startswith((b"flags", b"Features")))
    return b"aes" in next(flags, b"").split()
