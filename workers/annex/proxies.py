"""Remotes behind a remote: it gives access to its own ones (``git annex updateproxy``).

They need no configuration: whoever has the gateway as a remote over ssh, or http, has them too,
under its name and theirs (``work-usb``).  Only contents go there.  Of a cluster its nodes are such
remotes, and each gets what it wants; the cluster as such, by which a gateway spreads contents
itself, is not used: no location log ever has its uuid.

Pure.  Source: git-annex-updateproxy(1), git-annex-initcluster(1); the logs that they made.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from spool.transfer import UUID, parse_uuid
from workers.annex import maplog
from workers.annex.remotes import Remote, is_usable_name
from workers.annex.remoteurl import Helper, Ssh

PROXIES: Final = b"proxy.log"
CLUSTERS: Final = b"cluster.log"
LOGS: Final = frozenset((PROXIES, CLUSTERS))

MOST: Final = 100
"""Remotes behind one."""

COST: Final = 1.0
"""More than the gateway: what both have comes from there."""


def behind(found: Iterable[Remote], logs: Mapping[bytes, bytes], here: UUID) -> Iterator[Remote]:
    """The remotes behind those that were found; ``logs``: what the git-annex branch has as LOGS."""
    clusters = maplog.by_name(logs[CLUSTERS])
    proxies = maplog.by_name(logs[PROXIES])
    for gateway in found:
        if not isinstance(gateway.way, (Ssh, Helper)) or gateway.uuid is None:
            continue
        words = proxies.get(gateway.uuid, b"").split(b" ")
        for word in words[:MOST]:
            uuid, _, name = word.partition(b":")
            known = _parsed(uuid, f"{gateway.name}-{name.decode(errors='surrogateescape')}")
            if known is not None and uuid not in clusters and uuid not in {here, gateway.uuid}:
                yield _behind(gateway, *known)


def _parsed(uuid: bytes, name: str) -> tuple[UUID, str] | None:
    try:
        return (parse_uuid(uuid), name) if is_usable_name(name) else None
    except ValueError:
        return None


def _behind(gateway: Remote, uuid: UUID, name: str) -> Remote:
    return replace(
        gateway,
        name=name,
        url=None,
        uuid=uuid,
        cost=gateway.cost + COST,
        trust=None,
        tracking_branch=None,
        behind=gateway.name,
    )
