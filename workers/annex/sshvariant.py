"""What kind of ssh the user's own command is, found out as git does, but once.

Of a command that is not called ``ssh`` git asks before each fetch and push whether it knows ssh's
options: it runs it, with ``-G``.  What says yes says so until it is another file.

Source: git-config(1), "ssh.variant"; connect.c (determine_ssh_variant).
"""

import contextlib
import hashlib
import os
import shlex
import shutil
from typing import Final

from spool import cache
from workers.annex.ownssh import ASK_S, OwnSsh
from workers.annex.remoteurl import Ssh
from workers.annex.repository import Repository
from workers.git.run import GitError, GitTimeoutError, environment, run

VARIANT: Final = "GIT_SSH_VARIANT"
_VERSION: Final = 1
_KNOWN: Final = frozenset(("ssh", "plink", "tortoiseplink"))
"""By these names git knows them, with or without ``.exe``."""

_ASKS: Final = ("-G", "-o", "SendEnv=GIT_PROTOCOL")


def for_git(here: Repository, own: OwnSsh, way: Ssh) -> dict[str, str]:
    """What git's environment has to have so that it need not ask; nothing if it does not ask."""
    if environment().get(VARIANT) or here.settings.get("ssh.variant"):
        return {}
    try:
        program = next(iter(shlex.split(own.text)), "")
    except ValueError:  # a quote is open: git will not run it, either
        return {}
    if os.path.basename(program).lower().removesuffix(".exe") in _KNOWN:
        return {}
    port = () if way.port is None else ("-p", str(way.port))
    variant = _variant(here, own, program, (*port, way.destination))
    return {} if variant is None else {VARIANT: variant}


def _variant(
    here: Repository, own: OwnSsh, program: str, destination: tuple[str, ...]
) -> str | None:
    """``ssh``, or ``simple``, which has no options; None if it does not say in time."""
    question = "\0".join((own.text, *destination)).encode(errors="surrogateescape")
    name = hashlib.sha256(question).hexdigest()[:32]
    kept = os.fsencode(here.common / "annex/annexd/cache/ssh" / name)
    stamp = _stamp(program)
    if stamp and cache.load(kept, _VERSION) == stamp:
        return "ssh"
    try:
        run(own.argv(*_ASKS, *destination), cwd=here.top, timeout_s=ASK_S)
    except GitTimeoutError:
        return None
    except GitError:
        return "simple"  # not kept: it may have failed for something else
    if stamp:
        with contextlib.suppress(OSError):  # on a full disk it is asked again
            cache.store(kept, _VERSION, stamp)
    return "ssh"


def _stamp(program: str) -> list[int]:
    """Which file it is; empty if it is none."""
    found = shutil.which(program)
    try:
        status = os.stat(found or program)
    except OSError:
        return []
    return [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns]
