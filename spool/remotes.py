"""What is known of each remote: ``.git/annex/annexd/remotes/NAME/{reach,push,tree,transfer}``.

* ``reach`` is the sentry's: whether the remote can be reached.
* ``push`` is the pusher's: how exchanging refs with it goes.
* ``tree`` is the pusher's: how exporting files to it and importing them goes.
* ``transfer`` is the transferrers', under a lock of its own: how moving contents goes.

Points in time are Unix seconds.

A remote's name may hold anything that git allows in its configuration, so the directory is named
by ``directory_name``, and every record is free to be absent.
"""

import contextlib
import dataclasses
import hashlib
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, final

from spool import lock
from spool.record import Fields, format_record, parse_record, read, replace

_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_@+-.")
_NAME_MAX = 200

PAUSE_FIRST_S = 2.0
PAUSE_MIN_S = 30.0
PAUSE_MAX_S = 1800.0
"""Bounds of ``pause_s``."""

FAILURES = 2
"""So many in a row, and the remote is left alone for a while."""

TRANSFER_LOCK = "transfer.lck"
"""Beside ``transfer``: whoever writes that has it locked."""

_LOCK_S = 1.0


def directory_name(remote: bytes) -> str:
    """The directory for a remote: its name, percent-encoded where that is not plain.

    A name too long for a directory keeps its beginning and gets a digest.
    """
    name = "".join(chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in remote)
    if name.startswith("."):  # neither "..", nor hidden
        name = "%2E" + name[1:]
    if len(name) <= _NAME_MAX:
        return name
    return f"{name[: _NAME_MAX - 33]}%{hashlib.sha256(remote).hexdigest()[:32]}"


@final
@dataclass(frozen=True, slots=True)
class Reach:
    """Whether a remote can be reached."""

    here: bool
    since: float
    why: str
    uuid: str = ""
    """The repository found there; empty if it has none or it is not known."""

    def format(self) -> bytes:
        """The text of the record."""
        fields = [("reach", "here" if self.here else "away"), ("since", f"{self.since:.3f}")]
        fields += [("why", self.why), ("uuid", self.uuid)]
        return format_record(fields)

    @classmethod
    def parse(cls, data: bytes) -> "Reach":
        """The inverse of ``format``; raises ``ValueError``."""
        fields = dict(parse_record(data))
        if fields.get("reach") not in {"here", "away"}:
            raise ValueError("neither here nor away")
        return cls(
            here=fields["reach"] == "here",
            since=_time(fields.get("since", "0")),
            why=fields.get("why", ""),
            uuid=fields.get("uuid", ""),
        )


@final
@dataclass(frozen=True, slots=True)
class Exchange:
    """How pushing to a remote, or transferring with it, has gone.  None: there is none."""

    last_success: float | None = None
    failing_since: float | None = None
    """The first failure since the last success."""

    failures: int = 0
    """How many since then."""

    not_before: float | None = None
    last_error: str = ""

    def format(self) -> bytes:
        """The text of the record."""
        times = (
            ("last_success", self.last_success),
            ("failing_since", self.failing_since),
            ("not_before", self.not_before),
        )
        fields: Fields = tuple((name, f"{at:.3f}") for name, at in times if at is not None)
        if self.failures:
            fields += (("failures", str(self.failures)),)
        if self.last_error:
            fields += (("last_error", self.last_error),)
        return format_record(fields)

    @classmethod
    def parse(cls, data: bytes) -> "Exchange":
        """The inverse of ``format``; raises ``ValueError``."""
        fields = dict(parse_record(data))

        def at(name: str) -> float | None:
            return _time(fields[name]) if name in fields else None

        return cls(
            last_success=at("last_success"),
            failing_since=at("failing_since"),
            failures=int(fields.get("failures", "0")),
            not_before=at("not_before"),
            last_error=fields.get("last_error", ""),
        )


def pause_s(failures: int, failing_s: float) -> float:
    """How long to leave a remote alone that has failed so often in a row, in so many seconds.

    A server that is started again tells nobody.  So in the first half minute it is as long again as
    it has failed for; then twice as long each time, but no longer than a fifth of that time: after
    five minutes it is missed within one.
    """
    if failing_s < PAUSE_MIN_S:
        return max(PAUSE_FIRST_S, failing_s)
    longest_s = max(PAUSE_MIN_S, min(failing_s / 5, PAUSE_MAX_S))
    return min(PAUSE_MIN_S * 2.0 ** min(failures - 1, 16), longest_s)


def _time(text: str) -> float:
    at = float(text)
    if not math.isfinite(at):
        raise ValueError(f"not a point in time: {text!r}")
    return at


_Record = TypeVar("_Record", Reach, Exchange)


def write_reach(remotes: Path, remote: bytes, reach: Reach) -> None:
    """The sentry's word."""
    replace(remotes / directory_name(remote) / "reach", reach.format())


def read_reach(remotes: Path, remote: bytes) -> Reach | None:
    """What the sentry last said of ``remote``; None if nothing that can be understood."""
    return _read(remotes / directory_name(remote) / "reach", Reach.parse)


def write_push(remotes: Path, remote: bytes, exchange: Exchange) -> None:
    """The pusher's word."""
    replace(remotes / directory_name(remote) / "push", exchange.format())


def read_push(remotes: Path, remote: bytes) -> Exchange | None:
    """How pushing to ``remote`` goes; None if it was never tried."""
    return _read(remotes / directory_name(remote) / "push", Exchange.parse)


def write_tree(remotes: Path, remote: bytes, exchange: Exchange) -> None:
    """The pusher's word, where ``remote`` holds a tree of files."""
    replace(remotes / directory_name(remote) / "tree", exchange.format())


def read_tree(remotes: Path, remote: bytes) -> Exchange | None:
    """How exporting to ``remote`` and importing from it goes; None if it was never tried."""
    return _read(remotes / directory_name(remote) / "tree", Exchange.parse)


def is_failing(exchange: Exchange | None, reach: Reach | None, now: float) -> bool:
    """Whether transfers have failed again and again, and lately.  Pure."""
    if exchange is None or exchange.failing_since is None or exchange.failures < FAILURES:
        return False
    if reach is not None and reach.here and reach.since > exchange.failing_since:
        return False
    tried = exchange.not_before or exchange.failing_since
    return now < tried + PAUSE_MAX_S  # longer ago: nobody has had a reason to try since


def write_transfer(remotes: Path, remote: bytes, exchange: Exchange) -> None:
    """A transferrer's word; it holds the lock of this record."""
    replace(remotes / directory_name(remote) / "transfer", exchange.format())


def read_transfer(remotes: Path, remote: bytes) -> Exchange | None:
    """How transfers with ``remote`` go; None if none was ever tried."""
    return _read(remotes / directory_name(remote) / "transfer", Exchange.parse)


def forgive_transfers(remotes: Path) -> None:
    """Have transfers tried again with all remotes that are left alone after failures."""
    for directory in remotes.glob("*/"):
        forgive_transfer(directory)


def forgive_transfer(directory: Path) -> None:
    """The same for one remote: ``directory`` has what is known of it.

    The pause ends; since when it has failed, and why, stays on record.
    """
    path = directory / "transfer"
    # Whoever has the lock is trying the remote just now; what is no file, transferrers put aside.
    with (
        contextlib.suppress(lock.LockBusyError, lock.NotAFileError, OSError),
        lock.held(os.fsencode(directory / TRANSFER_LOCK), within_s=_LOCK_S),
    ):
        record = _read(path, Exchange.parse)
        if record is not None and record.failures:
            replace(path, dataclasses.replace(record, not_before=None, failures=0).format())


def errors(remotes: Path, remote: bytes) -> tuple[str, ...]:
    """Why exchanging refs, a tree, or contents, with ``remote`` fails now."""
    found = (each(remotes, remote) for each in (read_push, read_tree, read_transfer))
    return tuple(
        each.last_error for each in found if each is not None and each.failing_since is not None
    )


def _read(path: Path, parse: Callable[[bytes], _Record]) -> _Record | None:
    try:
        data = read(path)
        return parse(data) if data is not None else None
    except ValueError:  # not ours: as good as none, since its owner writes it again
        return None
