"""What keeps a content that is wanted from going to, or coming from, a remote just now.  Pure."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

from annexd.duration import format_duration
from spool.hold import Hold
from spool.record import escape
from spool.remotes import Exchange, Reach
from spool.transfer import Direction
from workers.annex.credentials import are_needed
from workers.annex.remotes import Remote, Special, Unusable


@final
@dataclass(frozen=True, slots=True)
class Standing:
    """How things stand with one remote, for one direction."""

    remote: Remote
    direction: Direction
    runs: bool
    """Whether annexd runs here."""

    moves_contents: bool
    """Not so with ``annex.synccontent=false``."""

    is_dead: bool
    is_stranger: bool
    reach: Reach | None
    exchange: Exchange | None
    pauses: tuple[Hold, ...]


def obstacles(standing: Standing, now: float) -> list[str]:
    """Sentences without their ends; none if nothing is in the way."""
    return [*_settings(standing), *_circumstances(standing, now)]


def _settings(standing: Standing) -> Iterator[str]:
    remote, sending = standing.remote, standing.direction is Direction.UPLOAD
    prefix = f"remote.{remote.name}.annex-"
    keyless = isinstance(remote.way, Special) and not remote.way.takes_keys
    exports = isinstance(remote.way, Special) and (remote.way.exports or remote.way.imports)
    reason = remote.way.reason if isinstance(remote.way, Unusable) else None
    rules = (
        (not standing.moves_contents, "annex.synccontent is false, so no contents are moved"),
        (standing.is_dead, "it is declared dead (git annex semitrust brings it back)"),
        (reason is not None, f"it cannot be used: {reason}"),
        (remote.ignored, f"{prefix}ignore is set"),
        (not remote.syncs, f"{prefix}sync is false"),
        (sending and not remote.pushes, f"{prefix}push is false"),
        (not sending and not remote.pulls, f"{prefix}pull is false"),
        (sending and remote.read_only, f"{prefix}readonly is set"),
        (
            sending and keyless and exports,
            "it holds an exported tree, and takes no contents by themselves",
        ),
        (sending and keyless and not exports, "nothing can be sent there"),
        (
            standing.is_stranger,
            "its files have no history in common with ours, or are not fetched yet",
        ),
    )
    yield from (escape(text) for holds, text in rules if holds)


def _circumstances(standing: Standing, now: float) -> list[str]:
    found = []
    if not standing.runs:
        found.append("annexd does not run here (annexd start)")
    if standing.reach is not None and not standing.reach.here:
        why = f": {escape(standing.reach.why)}" if standing.reach.why else ""
        found.append(f"it has been away for {format_duration(now - standing.reach.since)}{why}")
    for pause in standing.pauses:
        what = "everything is" if pause.uuid is None else "it is"
        end = "" if math.isinf(pause.until) else f" for {format_duration(pause.until - now)}"
        found.append(f"{what} paused{end} (annexd resume)")
    exchange = standing.exchange
    if exchange is not None and exchange.failing_since is not None:
        since = format_duration(now - exchange.failing_since)
        what = "it needs credentials" if are_needed(exchange.last_error) else "transfers fail"
        again = ""
        if exchange.not_before is not None and exchange.not_before > now:
            again = f"; tried again in {format_duration(exchange.not_before - now)}"
        found.append(f"{what}, for {since}: {escape(exchange.last_error)}{again}")
    return found
