"""What the supervisor says of itself: ``.git/annex/annexd/supervisor``.

    pid 4242
    started 1795345404.092
    token 9f86d081884c7d65
    ready 1795345405.120
    worker watcher 4250 1795345404.101 0 up
    worker transferrer-2 0 1795345404.110 3 throttled

One ``worker`` line each: name, pid (0: none now), start of its present or last life (Unix s), how
often it was started again, and its state.  The supervisor alone writes it, at every change.  It
outlives the supervisor; only the daemon lock says whether that still runs.
"""

import re
from dataclasses import dataclass
from typing import final

from annexd.service import State
from spool.record import format_record, parse_record

_WORKER = re.compile(r"([a-z][a-z0-9-]*) ([0-9]+) ([0-9]+\.[0-9]+) ([0-9]+) ([a-z]+)\Z")


@final
@dataclass(frozen=True, slots=True)
class Life:
    """One worker."""

    name: str
    pid: int | None
    started: float
    restarts: int
    state: State

    @property
    def rests(self) -> bool:
        """Whether it has nothing to do, so that nothing needs to be asked of it."""
        return self.state is State.RESTING


@final
@dataclass(frozen=True, slots=True)
class Bulletin:
    """The supervisor and its workers."""

    pid: int
    started: float
    token: str
    """Marks the supervisor's descendants (``annexd.strays``)."""

    ready: float | None
    workers: tuple[Life, ...]

    def format(self) -> bytes:
        """The text of the file."""
        lines = [("pid", str(self.pid)), ("started", f"{self.started:.3f}"), ("token", self.token)]
        if self.ready is not None:
            lines.append(("ready", f"{self.ready:.3f}"))
        lines += [("worker", _format_life(life)) for life in self.workers]
        return format_record(lines)

    @classmethod
    def parse(cls, data: bytes) -> "Bulletin":
        """The inverse of ``format``; raises ``ValueError``."""
        fields = parse_record(data)
        one = dict(fields)
        ready = one.get("ready")
        try:
            return cls(
                pid=int(one["pid"]),
                started=float(one["started"]),
                token=one["token"],
                ready=float(ready) if ready is not None else None,
                workers=tuple(_parse_life(text) for name, text in fields if name == "worker"),
            )
        except KeyError as missing:
            raise ValueError(f"no {missing}") from missing


def _format_life(life: Life) -> str:
    times = f"{life.started:.3f} {life.restarts}"
    return f"{life.name} {life.pid or 0} {times} {life.state.value}"


def _parse_life(text: str) -> Life:
    match = _WORKER.match(text)
    if match is None:
        raise ValueError(f"not a worker: {text!r}")
    name, pid, started, restarts, state = match.groups()
    return Life(name, int(pid) or None, float(started), int(restarts), State(state))
