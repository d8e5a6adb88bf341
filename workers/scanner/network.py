"""Who there is to send to and fetch from, as of now: a survey of settings, logs and reachability.

Read anew whenever one of those may have changed.  ``Network.fingerprint`` says whether that makes
a difference to what is wanted: what has been decided under one fingerprint stays decided.

A remote that is away still gets jobs to send: they wait, are shown as waiting, and are due when it
comes back.  Contents are fetched only from where they can be had now, and where that just fails,
rather from elsewhere.
"""

import hashlib
import os
import time
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, final

from spool.place import Place
from spool.remotes import Reach, is_failing, read_reach, read_transfer
from spool.transfer import UUID
from workers.annex import preferred, proxies, remotes, uuidlogs
from workers.annex.branch import REF, Branch
from workers.annex.maplog import by_name
from workers.annex.preferred import Preferences
from workers.annex.remotecommands import answered
from workers.annex.remotes import Remote
from workers.annex.repository import Repository
from workers.annex.sharedsettings import CONFIG_LOG
from workers.git.refname import RefName, parse_ref_name
from workers.git.refs import Refs, all_merge_bases
from workers.git.run import Git
from workers.wanted import Plan, syncs_content

_UUID: Final = b"uuid.log"
_MAXSIZE: Final = b"maxsize.log"
_ANNEX: Final = RefName(REF)

_DECIDING: Final = frozenset((*preferred.LOGS, _MAXSIZE, CONFIG_LOG))
SETTING_LOGS: Final = _DECIDING | {_UUID} | proxies.LOGS
"""The files of the git-annex branch that a survey reads."""


@final
@dataclass(frozen=True, slots=True)
class Network:
    """One repository among its remotes."""

    plan: Plan
    remotes: tuple[Remote, ...]
    """All of them, also those that nothing may be sent to."""

    near: Mapping[str, float]
    """The names of those that are not known to be away, and since when (Unix time, s)."""

    fingerprint: bytes

    special: Mapping[UUID, Mapping[bytes, bytes]]
    """How special remotes were set up (``remote.log``)."""

    def reachable(self) -> frozenset[UUID]:
        """The repositories that are not known to be away."""
        return frozenset(
            remote.uuid
            for remote in self.remotes
            if remote.uuid is not None and remote.name in self.near
        )

    def returned(self, before: "Network") -> frozenset[UUID]:
        """The repositories that can be reached anew, since ``before``."""
        return frozenset(
            remote.uuid
            for remote in self.remotes
            if remote.uuid is not None
            and remote.name in self.near
            and self.near[remote.name] != before.near.get(remote.name)
        )


def survey(place: Place, repository: Repository, branch: Branch) -> Network:
    """Look at everything once.  Runs the user's commands, if settings are any."""
    logs = branch.read_all(SETTING_LOGS)
    special = uuidlogs.remote_settings(logs[preferred.REMOTE])
    top = repository.top
    found = remotes.parse(repository.settings, special, top=top, home=Path.home())
    asked = [answered(each, top) if _has_commands(each) else each for each in found]
    known = (*asked, *proxies.behind(asked, logs, repository.uuid))
    reach = {each.name: read_reach(place.remotes, os.fsencode(each.reached_as)) for each in known}
    near = {
        name: 0.0 if seen is None else seen.since
        for name, seen in reach.items()
        if seen is None or seen.here
    }
    preferences = Preferences.parse(logs, remotes.trust_levels(known))
    acquainted = uuidlogs.descriptions(logs[_UUID]).keys()
    useful = (
        [each for each in known if not is_stranger(each, acquainted, repository.git)]
        if syncs_content(repository.settings, by_name(logs[CONFIG_LOG]))
        else []
    )
    every = Plan.make(repository.uuid, preferences, useful, frozenset(reach))
    now = Plan.make(repository.uuid, preferences, useful, near, _failing(place, known, reach))
    plan = replace(every, downloads=now.downloads, speculative=now.speculative)
    deciding = {name: logs[name] for name in _DECIDING}
    return Network(plan, known, near, _fingerprint(plan, deciding), special)


def _failing(
    place: Place, known: Iterable[Remote], reach: Mapping[str, Reach | None]
) -> frozenset[str]:
    """The remotes with which transfers fail."""
    now = time.time()
    told = {each.name: read_transfer(place.remotes, os.fsencode(each.name)) for each in known}
    return frozenset(name for name, last in told.items() if is_failing(last, reach[name], now))


def is_stranger(remote: Remote, acquainted: Container[UUID], git: Git) -> bool:
    """Whether its git-annex branch has not been united with ours.

    Not yet, or never: the pusher fetches nothing where the files have no history in common with
    ours.  Somebody mistook one repository for another, perhaps; his files are not spread.  Where
    nothing is fetched by git we cannot know.
    """
    return (
        remote.carries_git
        and remote.pulls
        and remote.uuid not in acquainted
        and not _is_united(git, remote)
    )


def _is_united(git: Git, remote: Remote) -> bool:
    """Whether what its git-annex branch says is in ours, though it does not describe itself.

    By ssh, a git-annex that has just been initialised over there commits its description only
    with the first content.
    """
    try:
        kept = parse_ref_name(b"refs/remotes/%b/git-annex" % os.fsencode(remote.name))
    except ValueError:  # a name under which git can keep nothing
        return False
    refs = Refs(git)
    ours, theirs = refs.get(_ANNEX), refs.get(kept)
    return ours is not None and theirs is not None and theirs in all_merge_bases(git, ours, theirs)


def _has_commands(remote: Remote) -> bool:
    commands = remote.commands
    return bool(commands.cost or commands.ignore or commands.sync)


def _fingerprint(plan: Plan, logs: Mapping[bytes, bytes]) -> bytes:
    trust = sorted((uuid, level.value) for uuid, level in plan.preferences.trust.items())
    said = (plan.here, plan.uploads, plan.downloads, plan.speculative, trust, sorted(logs.items()))
    return hashlib.sha256(repr(said).encode()).digest()
