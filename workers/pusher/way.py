"""How git is to reach a remote: the programs it runs, the hooks it need not, the connection."""

import os
import shlex
from typing import Final

from workers.annex import ssh
from workers.annex.remotes import Remote, Special
from workers.annex.remoteurl import Helper, Ssh
from workers.annex.repository import Repository
from workers.annex.stockhooks import PUSH_HOOKS, only_stock_hooks
from workers.annex.verification import unverified
from workers.git.exchange import NO_DELTAS, UPLOAD, Way
from workers.git.refs import Refs
from workers.pusher.values import Task, own

WITHIN: Final = ("core.hooksPath=/dev/null",)
"""For the git that a remote helper runs in its turn, where our hooks are git-annex's own.

git-remote-gcrypt pushes from within, and its stdout is what git listens to: what git-annex's
pre-push hook said there, "(recording state in git...)", made the push fail.
"""

ANNEXDS: Final = frozenset(("annexd", "annexd-shell"))
"""What ``annexd shell`` is called, in ``remote.NAME.annex-shell``."""


def way_to(here: Repository, task: Task) -> Way:
    """Which way one exchange goes."""
    peer, way, configured = task.peer, task.remote.way, here.settings.values
    silent = _have_hooks_nothing_to_say(here)
    setting = f"remote.{task.remote.name}."
    receives = _annexd_over_there(task.remote) if peer is None else peer.receive_pack()
    sends = None if peer is None else UPLOAD
    names = {}
    if isinstance(task.remote.way, Special):  # git-remote-annex pushes refs, not commits
        tips = ((oid, own(name)) for name, oid in task.ours.tips())
        names = {oid: ref for oid, ref in tips if Refs(here.git).get(ref) == oid}
    return Way(
        task.remote.name,
        names=names,
        env=ssh.for_git(here, task.remote.settings, way) if isinstance(way, Ssh) else {},
        verify=not silent,
        receive_pack=None if setting + "receivepack" in configured else receives,
        upload_pack=None if setting + "uploadpack" in configured else sends,
        settings=NO_DELTAS if peer else WITHIN if silent and isinstance(way, Helper) else (),
    )


def _have_hooks_nothing_to_say(here: Repository) -> bool:
    """Whether a push runs no hook here but git-annex's own, and that would not refuse it."""
    elsewhere = here.settings.get("core.hookspath") is not None
    if elsewhere or not only_stock_hooks(here.common, PUSH_HOOKS):
        return False
    asks = (here.common / "hooks" / "pre-push").exists()  # older ones do not make it
    return not (asks and unverified(here.settings, here.layout.annex))


def _annexd_over_there(remote: Remote) -> str | None:
    """How to have a push received by ``annexd shell``, which knows what hooks it need not run.

    git-annex-shell would not know the command in this form, so it has to be annexd by name.
    """
    shell = remote.settings.get("shell", "")
    try:
        program = next(iter(shlex.split(shell)), "")
    except ValueError:  # git-annex would not get far with it, either
        return None
    known = isinstance(remote.way, Ssh) and os.path.basename(program) in ANNEXDS
    return f"{shell} git-receive-pack" if known else None
