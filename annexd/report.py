"""A ``Status`` as text for people, or as JSON for programs.

Pure.  Everything that came from elsewhere (names, errors) is escaped in the text; in JSON,
``json`` escapes it, and bytes that are no UTF-8 are lone surrogates, as Python has them.
"""

import json
import math
import os
from collections.abc import Iterator

from annexd.duration import format_duration
from annexd.limiting import describe as describe_limits
from annexd.service import State as LifeState
from annexd.status import RemoteStatus, Status, Worker
from spool.key import parts
from spool.record import escape
from spool.remotes import Exchange
from spool.running import Running
from spool.state import BEHIND, SCANNED, Activity
from spool.transfer import Direction, Transfer
from workers.annex.credentials import are_needed

Json = dict[str, object]

_KILO = 1000
_NOTHING = ("pending", "0")


def to_json(status: Status) -> str:
    """One object on one line."""
    return json.dumps(
        {
            "repository": os.fspath(status.place.worktree),
            "running": status.runs,
            "ready": status.ready,
            "in_sync": status.in_sync,
            "pid": status.holder.pid if status.holder is not None and status.runs else None,
            "started": status.started,
            "workers": [_worker_json(worker) for worker in status.workers],
            "remotes": [_remote_json(remote) for remote in status.remotes],
            "transfers": {
                "running": [running_json(one) for one in status.running],
                "queued": status.queued,
                "failed": status.failed,
            },
            "paused": [
                {
                    "uuid": pause.uuid.decode() if pause.uuid is not None else None,
                    "until": _finite(pause.until),
                }
                for pause in status.pauses
            ],
            "limits": [
                {
                    "uuid": each.uuid.decode() if each.uuid is not None else None,
                    "direction": each.direction.value,
                    "rate": each.rate,
                    "until": _finite(each.until),
                }
                for each in status.limits
            ],
            "no_git_path": [
                {"uuid": os.fsdecode(uuid), "description": os.fsdecode(description)}
                for uuid, description in status.pathless
            ],
            "held": {"until": status.hold.until, "pid": status.hold.pid} if status.hold else None,
        }
    )


def _worker_json(worker: Worker) -> Json:
    life, state = worker.life, worker.state
    return {
        "role": life.name,
        "pid": life.pid,
        "started": life.started,
        "restarts": life.restarts,
        "state": life.state.value,
        "activity": state.activity.value if state else None,
        "notes": dict(state.notes) if state else {},
        "hook": worker.hook.name if worker.hook else None,
        "silence": worker.silence or None,
        "last_crash": worker.last_word or None,
    }


def _remote_json(status: RemoteStatus) -> Json:
    return {
        "name": os.fsdecode(status.remote.name),
        "uuid": os.fsdecode(status.remote.uuid) or None,
        "reachable": status.reach.here if status.reach else None,
        "reachable_since": status.reach.since if status.reach else None,
        "why": status.reach.why if status.reach else None,
        "last_push": status.push.last_success if status.push else None,
        "last_push_error": (status.push.last_error or None) if status.push else None,
        "last_export": status.tree.last_success if status.tree else None,
        "last_export_error": (status.tree.last_error or None) if status.tree else None,
        "needs_credentials": _needs_credentials(status),
        "pending": status.pending,
        "to_send": status.to_send,
        "to_get": status.to_get,
        "bytes_to_send": status.bytes_to_send,
        "bytes_to_get": status.bytes_to_get,
        "ahead": status.drift.ahead if status.drift else None,
        "behind": status.drift.behind if status.drift else None,
        "last_transfer": status.transfer.last_success if status.transfer else None,
        "next_attempt": status.transfer.not_before if status.transfer else None,
        "failing_since": status.transfer.failing_since if status.transfer else None,
        "last_error": (status.transfer.last_error or None) if status.transfer else None,
    }


def _needs_credentials(status: RemoteStatus) -> bool:
    every = (status.push, status.tree, status.transfer)
    failing = (each for each in every if each and each.failing_since is not None)
    return any(are_needed(each.last_error) for each in failing)


def transfer_json(transfer: Transfer, file: bytes | None) -> Json:
    """What identifies a transfer, and the file it is about."""
    return {
        "direction": transfer.direction.value,
        "uuid": transfer.uuid.decode(),
        "key": os.fsdecode(transfer.key),
        "file": os.fsdecode(file) if file is not None else None,
        "size": parts(transfer.key).size,
    }


def running_json(one: Running) -> Json:
    """A running transfer."""
    started = one.info.started
    return {
        **transfer_json(one.transfer, one.info.associated_file),
        "bytes_done": one.info.bytes_done,
        "started": float(started) if started is not None else None,
        "pid": one.pid,
    }


def to_text(status: Status) -> str:
    """Several lines, the most important one first."""
    return "\n".join(_lines(status))


def _lines(status: Status) -> Iterator[str]:
    yield _headline(status)
    yield from _processes(status)
    if status.remotes:
        yield "remotes"
    for remote in status.remotes:
        yield f"  {_name(remote.remote.name):16}{_remote(remote, status.now)}"
    names = {each.remote.uuid: _name(each.remote.name) for each in status.remotes}
    if status.running or status.queued or status.failed:
        failed = f", {status.failed} failed (annexd transfers)" if status.failed else ""
        yield f"transfers: {len(status.running)} running, {status.queued} waiting{failed}"
    for one in status.running:
        yield f"  {describe(one.transfer, one.info.associated_file, names)}{progress_text(one)}"
    for pause in status.pauses:
        what = (
            "everything" if pause.uuid is None else f"{names.get(pause.uuid, pause.uuid.decode())}"
        )
        yield f"paused: {what}{_until(pause.until, status.now)} (annexd resume)"
    for line in describe_limits(status.limits, names, status.now):
        yield f"limited: {line} (annexd limit)"
    for _uuid, description in status.pathless:
        yield f"no git path to {_name(description)}: no remote here carries git"
    yield from _held_back(status)
    if status.hold is not None:
        who = f" by process {status.hold.pid}" if status.hold.pid else " (annexd release)"
        yield f"commits are held{_until(status.hold.until, status.now)}{who}"


def _processes(status: Status) -> Iterator[str]:
    if status.silence:
        yield f"  {'supervisor':16}{status.silence}"
    for worker in status.workers:
        yield f"  {worker.life.name:16}{_activity(worker, status.now)}"


def _held_back(status: Status) -> Iterator[str]:
    """What a person must decide."""
    for worker in status.workers:
        for name, value in worker.state.notes if worker.state is not None else ():
            if name == "held":
                yield f"held back: {escape(value)}"


def _headline(status: Status) -> str:
    where = escape(os.fspath(status.place.worktree))
    if status.holder is None:
        return f"annexd does not run in {where} (annexd start)"
    if not status.runs:
        return f"{status.holder} runs in {where}, not annexd"
    if status.place.has_linked():
        where += " or another of its work trees"
    what = "working" if status.ready else "starting"
    if status.at_rest:
        what = "in sync" if status.in_sync else "not in sync"
    since = f", for {format_duration(status.now - status.started)}" if status.started else ""
    return f"{what}: annexd (pid {status.holder.pid}) in {where}{since}"


def _activity(worker: Worker, now: float) -> str:
    life, state = worker.life, worker.state
    if life.state is LifeState.THROTTLED and not life.started:
        return "not started yet"
    if life.state is LifeState.THROTTLED:
        crash = f": {escape(worker.last_word)}" if worker.last_word else ""
        return f"{life.state.value}, died {life.restarts + 1} times{crash}"
    if life.state is not LifeState.UP:
        return life.state.value
    hook = [str(worker.hook)] if worker.hook else []
    if worker.silence:
        return worker.silence
    if state is None:
        return "; ".join((f"starting, for {format_duration(now - life.started)}", *hook))
    word = "idle" if worker.is_idle else "waiting" if state.activity is Activity.IDLE else "busy"
    notes = [
        f"{name} {escape(value)}"
        for name, value in state.notes
        if (name, value) != _NOTHING
        and name not in {SCANNED, BEHIND}  # which are for other programs
    ]
    often = "once" if life.restarts == 1 else f"{life.restarts} times"
    again = [f"started again {often}"] if life.restarts else []
    return "; ".join((word, *hook, *notes, *again))


def _remote(status: RemoteStatus, now: float) -> str:
    said = [_reach(status, now)]
    if status.push is not None:
        said.append(_exchanged("push", "pushed", status.push, now))
    if status.tree is not None:
        said.append(_exchanged("export", "exported", status.tree, now))
    if status.drift is not None and status.drift.ahead:
        said.append(f"lacks {status.drift.ahead} commits")
    if status.drift is not None and status.drift.behind:
        said.append(f"{status.drift.behind} commits more than here")
    if status.to_send:
        said.append(f"{status.to_send} to send ({size_text(status.bytes_to_send)})")
    if status.to_get:
        said.append(f"{status.to_get} to get ({size_text(status.bytes_to_get)})")
    if status.pending and status.transfer is not None and status.transfer.failing_since is not None:
        since = format_duration(now - status.transfer.failing_since)
        said.append(_failure("transfers fail", since, status.transfer.last_error))
    if status.paused_until is not None:
        said.append(f"paused{_until(status.paused_until, now)}")
    return "; ".join(said)


def _reach(status: RemoteStatus, now: float) -> str:
    if status.reach is None:
        return "not seen yet"
    if status.reach.here:
        return "here"
    why = f" ({escape(status.reach.why)})" if status.reach.why else ""
    return f"away for {format_duration(now - status.reach.since)}{why}"


def _exchanged(verb: str, done: str, record: Exchange, now: float) -> str:
    last = record.last_success
    if record.failing_since is None:
        return f"{done} {f'{format_duration(now - last)} ago' if last else 'never'}"
    return _failure(
        f"cannot {verb}", format_duration(now - record.failing_since), record.last_error
    )


def _failure(what: str, since: str, error: str) -> str:
    if are_needed(error):
        return f"needs credentials, for {since}: {escape(error)}"
    return f"{what} for {since}: {escape(error)}"


def describe(transfer: Transfer, file: bytes | None, names: dict[bytes, str]) -> str:
    """``sending photos/a.jpg to usb``."""
    what = escape(os.fsdecode(file if file is not None else transfer.key))
    where = names.get(transfer.uuid, transfer.uuid.decode())
    if transfer.direction is Direction.UPLOAD:
        return f"sending {what} to {where}"
    return f"getting {what} from {where}"


def progress_text(one: Running) -> str:
    """``: 45 % of 3.2 GB``; empty if it is not known."""
    done, size = one.info.bytes_done, parts(one.transfer.key).size
    if done is None:
        return ""
    return f": {done * 100 // size} % of {size_text(size)}" if size else f": {size_text(done)}"


def size_text(size: int) -> str:
    """A number of bytes, for people: ``512 B``, ``3.2 GB``."""
    if size < _KILO:
        return f"{size} B"
    value = float(size)
    for unit in ("kB", "MB", "GB"):
        value /= _KILO
        if value < _KILO:
            return f"{value:.1f} {unit}"
    return f"{value / _KILO:.1f} TB"


def _until(until: float, now: float) -> str:
    return "" if math.isinf(until) else f" for {format_duration(until - now)}"


def _finite(at: float) -> float | None:
    return None if math.isinf(at) else at


def _name(name: bytes) -> str:
    return escape(os.fsdecode(name))
