"""The remotes of a repository, from git's configuration and the git-annex branch.

A remote is a way to reach a repository; several may lead to the same one, which has the same uuid
(``routes`` groups them).  Every setting ``remote.NAME.annex-X`` falls back to ``annex.X``.

Pure: ``remotecommands`` runs the commands that some settings are, ``pathremote`` looks whether a
repository is there.  Source: git-annex-formats.md §8.4; ``git annex info REMOTE`` is the oracle.
"""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, final

from spool.transfer import UUID, parse_uuid
from workers.annex import remoteurl
from workers.annex.remoteurl import Address, Helper, LocalPath, Ssh, Web
from workers.annex.settings import Settings
from workers.annex.uuidlogs import Trust

WEB: Final = UUID(b"00000000-0000-0000-0000-000000000001")
BITTORRENT: Final = UUID(b"00000000-0000-0000-0000-000000000002")
"""git-annex always has these two; they need no configuration, and nothing can be sent there."""

COST_LOCAL: Final = 100.0
COST_NEARLY_LOCAL: Final = 110.0
COST_NETWORK: Final = 200.0
COST_ENCRYPTED: Final = 50.0
COST_SLOWEST: Final = 1000.0

_SPECIAL_COSTS: Final = {
    b"directory": COST_LOCAL,
    b"adb": COST_NEARLY_LOCAL,
    b"borg": COST_NEARLY_LOCAL,
    b"bup": COST_NEARLY_LOCAL,
    b"ddar": COST_NEARLY_LOCAL,
    b"gcrypt": COST_NEARLY_LOCAL,
    b"glacier": COST_SLOWEST,
}
"""Type of special remote -> cost.  The others are on a network."""

_ONLY_READ: Final = frozenset((b"web", b"bittorrent", b"httpalso", b"borg", b"compute"))
"""Types of special remotes to which nothing can be sent."""

_CLEAR: Final = frozenset((b"none", b""))
_CONTROL: Final = re.compile("[\0-\x1f\x7f]")
_COST: Final = re.compile(r"-?[0-9]{1,9}(?:\.[0-9]{1,9})?")
_TRUST: Final = {level.value: level for level in Trust}

SHARED: Final = frozenset(
    (
        *("cost", "cost-command", "ignore", "ignore-command", "sync", "sync-command"),
        *("pull", "push", "readonly", "checkuuid", "verify", "trustlevel", "speculate-present"),
        *("start-command", "stop-command", "retry", "forward-retry", "retrydelay"),
        *("stalldetection", "stalldetection-upload", "stalldetection-download"),
        *("bwlimit", "bwlimit-upload", "bwlimit-download"),
        *("shell", "ssh-options", "fastcopy", "tracking-branch"),
    )
)
"""Settings that, as ``annex.X``, hold for every remote that has not its own.  Not ``uuid``."""


@final
@dataclass(frozen=True, slots=True)
class Special:
    """A store that only git-annex can use."""

    takes_keys: bool = True
    """Whether single contents can be sent there."""

    exports: bool = False
    """It holds a tree of files under their names, which is exported there as a whole."""

    imports: bool = False
    """What others change in that tree can be imported."""


@final
@dataclass(frozen=True, slots=True)
class Unusable:
    """A remote that is left alone."""

    reason: str


Way = Address | Special | Unusable


@final
@dataclass(frozen=True, slots=True)
class Commands:
    """Settings that are shell commands of the user's; None if not set."""

    cost: str | None
    ignore: str | None
    sync: str | None


@final
@dataclass(frozen=True, slots=True)
class Remote:
    """One configured remote."""

    name: str
    way: Way
    url: str | None
    """As git uses it; None for a store that git does not know."""

    uuid: UUID | None
    """None until it has been learnt (``git annex`` or ``pathremote`` writes it down)."""

    cost: float
    """Lower is better."""

    ignored: bool
    """``annex-ignore``: contents are neither sent nor fetched; git still syncs."""

    syncs: bool
    """``annex-sync``: False keeps all automatic use away, git's too."""

    pulls: bool
    pushes: bool
    read_only: bool
    speculate_present: bool
    """Contents are looked for there though the location log does not know of them."""

    trust: Trust | None
    """``annex-trustlevel``, which goes before what the git-annex branch says."""

    tracking_branch: str | None
    native: bool
    """git-annex's own transport is not asked for (``annexurl``), so contents may go natively."""

    commands: Commands
    settings: Mapping[str, str]
    """All of ``remote.NAME.annex-*``, without ``annex-``, and their fallbacks."""

    behind: str | None = None
    """The name of the remote that gives access to it (``proxies``)."""

    @property
    def reached_as(self) -> str:
        """The name of the remote that must be there for this one to be."""
        return self.behind or self.name

    @property
    def carries_git(self) -> bool:
        """Whether refs can be exchanged."""
        return self.url is not None and not isinstance(self.way, Unusable)

    @property
    def sends(self) -> bool:
        """Whether contents may be sent there."""
        takes_keys = not isinstance(self.way, (Unusable, Web)) and not (
            isinstance(self.way, Special) and not self.way.takes_keys
        )
        allowed = self.syncs and self.pushes and not (self.ignored or self.read_only)
        return takes_keys and allowed and self.uuid not in {None, WEB, BITTORRENT}

    @property
    def fetches(self) -> bool:
        """Whether contents may be fetched from there."""
        usable = not isinstance(self.way, Unusable) and self.uuid is not None
        return usable and self.syncs and self.pulls and not self.ignored


def parse(
    settings: Settings,
    special: Mapping[UUID, Mapping[bytes, bytes]],
    *,
    top: Path,
    home: Path,
) -> tuple[Remote, ...]:
    """All remotes, by name; ``special`` is what ``remote.log`` says (``uuidlogs``).

    ``top`` is what relative paths are relative to, ``home`` the user's.
    """
    names = {
        name.removeprefix("remote.").rpartition(".")[0]
        for name in settings.values
        if name.startswith("remote.")
    }
    found = [
        _remote(name, settings, special, top=top, home=home)
        for name in sorted(filter(None, names))
        if any(f"remote.{name}.{key}" in settings.values for key in ("url", "annex-uuid"))
    ]
    known = {remote.uuid for remote in found}
    return (*found, *(remote for remote in builtin() if remote.uuid not in known))


def routes(remotes: Iterable[Remote]) -> dict[UUID, tuple[Remote, ...]]:
    """Repository -> the ways to it, the cheapest first."""
    found: dict[UUID, list[Remote]] = {}
    for remote in sorted(remotes, key=lambda remote: (remote.cost, remote.name)):
        if remote.uuid is not None:
            found.setdefault(remote.uuid, []).append(remote)
    return {uuid: tuple(ways) for uuid, ways in found.items()}


def trust_levels(remotes: Iterable[Remote]) -> dict[UUID, Trust]:
    """What the configuration says about trust (for ``Preferences.parse``)."""
    return {
        remote.uuid: remote.trust
        for remote in remotes
        if remote.uuid is not None and remote.trust is not None
    }


def builtin() -> tuple[Remote, ...]:
    """The web and bittorrent, from which contents can be fetched without configuration."""
    return tuple(
        _made(name, _Route(Special(), None, uuid, COST_NETWORK), Settings({}))
        for name, uuid in (("web", WEB), ("bittorrent", BITTORRENT))
    )


class _Route(NamedTuple):
    """What is found out before the other settings are looked at."""

    way: Way
    url: str | None
    uuid: UUID | None
    cost: float


def _remote(
    name: str,
    settings: Settings,
    special: Mapping[UUID, Mapping[bytes, bytes]],
    *,
    top: Path,
    home: Path,
) -> Remote:
    own = _own(name, settings)
    urls = settings.values.get(f"remote.{name}.url")
    url = remoteurl.rewrite(urls[0], settings.values) if urls and urls[0] else None
    try:
        uuid = _uuid(own.get("uuid"))
        described = special.get(_uuid(own.get("config-uuid")) or uuid or WEB, {})
        way = _way(name, url, described, top, home)
        route = _Route(way, url, uuid, _default_cost(way, described))
    except ValueError as refused:
        route = _Route(Unusable(str(refused)), url, None, COST_NETWORK)
    annex_url = settings.get(f"remote.{name}.annexurl")
    if annex_url is not None and isinstance(route.way, Web):
        route = route._replace(way=Helper(annex_url.partition(":")[0]))
    return _made(name, route, own, native=annex_url is None)


def _own(name: str, settings: Settings) -> Settings:
    """The remote's ``annex-`` settings, with what holds for all remotes beneath."""
    values = {
        key: settings.values[f"annex.{key}"] for key in SHARED if f"annex.{key}" in settings.values
    }
    for key, value in settings.below(f"remote.{name}"):
        if key.startswith("annex-"):
            values[key.removeprefix("annex-")] = (value,)
    return Settings(values)


def _made(name: str, route: _Route, own: Settings, *, native: bool = False) -> Remote:
    return Remote(
        name=name,
        way=route.way,
        url=route.url,
        uuid=route.uuid,
        cost=parse_cost(own.get("cost", ""), route.cost),
        ignored=own.flag("ignore", default=False),
        syncs=own.flag("sync", default=True),
        pulls=own.flag("pull", default=True),
        pushes=own.flag("push", default=True),
        read_only=own.flag("readonly", default=False),
        speculate_present=own.flag("speculate-present", default=False),
        trust=_TRUST.get(own.get("trustlevel", "")),
        tracking_branch=own.get("tracking-branch"),
        native=native and isinstance(route.way, (LocalPath, Ssh)),
        commands=Commands(
            own.get("cost-command"), own.get("ignore-command"), own.get("sync-command")
        ),
        settings={key: values[-1] for key, values in own.values.items()},
    )


def parse_cost(text: str, default: float) -> float:
    """A cost as git-annex reads it; what is not a number is not there."""
    return float(text) if _COST.fullmatch(text) else default


def _way(
    name: str, url: str | None, described: Mapping[bytes, bytes], top: Path, home: Path
) -> Way:
    if not is_usable_name(name):
        return Unusable("its name begins with a dash or has control characters")
    if url is not None and not url.startswith("annex::"):
        return remoteurl.parse(url, top=top, home=home)
    # annex:: is git's way to a special remote: contents still go as to any special remote.
    exports, imports = (described.get(name) == b"yes" for name in (b"exporttree", b"importtree"))
    by_key = described.get(b"annexobjects") == b"yes" or not (exports or imports)
    only_read = described.get(b"type") in _ONLY_READ
    return Special(takes_keys=by_key and not only_read, exports=exports, imports=imports)


def is_usable_name(name: str) -> bool:
    """Whether it cannot be taken for an option, nor spoil a line."""
    return not (_CONTROL.search(name) or name.startswith("-"))


def _default_cost(way: Way, described: Mapping[bytes, bytes]) -> float:
    if isinstance(way, LocalPath):
        return COST_LOCAL
    if not isinstance(way, Special):
        return COST_NETWORK
    cost = _SPECIAL_COSTS.get(described.get(b"type", b""), COST_NETWORK)
    return cost if described.get(b"encryption", b"") in _CLEAR else cost + COST_ENCRYPTED


def _uuid(text: str | None) -> UUID | None:
    return parse_uuid(os.fsencode(text)) if text else None
