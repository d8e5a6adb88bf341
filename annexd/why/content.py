"""Why a content is here or there or not: who has it, who wants it, and what it waits for."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, final

from annexd.duration import format_duration
from annexd.limiting import describe as describe_limits
from annexd.pathless import without_git_path
from annexd.remotelist import list_remotes
from annexd.report import size_text
from annexd.why.copies import counted, wish, wishes
from annexd.why.line import Line, shown
from annexd.why.obstacles import Standing, obstacles
from annexd.why.rule import rule_of
from annexd.why.scene import HERE, Scene
from spool import failed, hold, limit, running
from spool import key as keys
from spool.key import Key
from spool.queue import Queue
from spool.remotes import read_reach, read_transfer
from spool.transfer import UUID, Direction, Transfer
from workers.annex.feed import locations_of
from workers.annex.objects import Objects
from workers.annex.questions import Wants
from workers.annex.remotes import Remote
from workers.annex.uuidlogs import Trust
from workers.scanner.contents import Contents, Shape, followed
from workers.scanner.network import is_stranger
from workers.wanted import Item, syncs_content

_DEPTHS: Final = 32
"""In so many directories a locked file may be to be found by its key."""


@final
@dataclass(frozen=True, slots=True)
class Known:
    """One content."""

    item: Item
    is_here: bool
    """By looking; the log may say otherwise."""


def files_of(scene: Scene, key: Key) -> tuple[bytes, ...]:
    """The files that have this content."""
    index = os.fsencode(scene.place.gitdir / "index")
    contents = Contents(scene.branch, index, Shape(set(range(_DEPTHS))))
    try:
        return contents.find([key], followed(scene.refs)).get(key, ())
    finally:
        contents.close()


def explain(scene: Scene, key: Key, files: Sequence[bytes], only: UUID | None) -> Iterator[Line]:
    """All there is to say, or what is about one repository."""
    where = locations_of(scene.branch, [key])[key]
    item = Item(key, tuple(files), where)
    known = Known(item, Objects(scene.repository).locate(key) is not None)
    yield _content(known)
    yield _copies(scene, known)
    if only is None:
        yield _here(scene, known)
    told: set[UUID] = set()
    for remote in sorted(scene.network.remotes, key=lambda each: (each.cost, each.name)):
        uuid = remote.uuid
        useful = uuid is not None and (uuid in where or remote.sends or _is_configured(remote))
        if uuid is None or not useful or uuid in told or only not in {None, uuid}:
            continue
        told.add(uuid)
        yield _there(scene, known, remote, uuid)
    if only is None:
        yield from _out_of_reach(scene)


def _out_of_reach(scene: Scene) -> Iterator[Line]:
    for uuid, description in without_git_path(scene.place, list_remotes(scene.place)):
        text = "no git path: no remote here carries git, so it does not learn of this"
        yield Line(shown(description), text, {"uuid": os.fsdecode(uuid)})


def _is_configured(remote: Remote) -> bool:
    """Not those that every repository has: the web, bittorrent."""
    return remote.url is not None or bool(remote.settings.get("uuid"))


def _content(known: Known) -> Line:
    item = known.item
    size = keys.parts(item.key).size
    text = shown(item.key) + (f", {size_text(size)}" if size is not None else "")
    if not item.paths:
        text += "; no file of the work tree has it, so nothing is done about it"
    facts = {
        "key": os.fsdecode(item.key),
        "size": size,
        "files": [os.fsdecode(path) for path in item.paths],
    }
    return Line("content", text, facts)


def _copies(scene: Scene, known: Known) -> Line:
    where = known.item.locations
    copies = counted(scene, where)
    least = next(wishes(scene, known.item.paths[:1]), wish(scene))
    names = ", ".join(sorted(map(scene.name, where))) or "nowhere that is known"
    text = f"{copies} ({names}); numcopies is {least.count}, by {least.source}"
    if copies < least.count:
        text += ": too few, so git-annex drops none of them"
    if copies < len(where):
        text += "; untrusted and dead repositories do not count"
    facts = {
        "copies": copies,
        "numcopies": least.count,
        "locations": sorted(map(os.fsdecode, where)),
    }
    return Line("copies", text, facts)


def _here(scene: Scene, known: Known) -> Line:
    uuid = scene.repository.uuid
    wants, rule = _wants(scene, known.item, uuid), rule_of(scene.network.plan.preferences, uuid)
    facts = {"uuid": os.fsdecode(uuid), "has": known.is_here, "wants": wants, "rule": rule}
    if known.is_here:
        logged = "" if uuid in known.item.locations else ", though no log says so (yet)"
        if wants is not False:
            return Line(HERE, f"has it{logged}, and wants it ({rule})", facts)
        keeps = scene.repository.settings.get("annexd.drop") == "none"
        why = "kept, as annexd.drop is none" if keeps else "dropped if enough others have it"
        return Line(HERE, f"has it{logged}, and does not want it ({rule}): {why}", facts)
    lost = " (the log says it is here: git annex fsck)" if uuid in known.item.locations else ""
    if wants is False:
        return Line(HERE, f"does not have it{lost}, and does not want it ({rule})", facts)
    return Line(HERE, f"wants it ({rule}){lost}; {_coming(scene, known)}", facts)


def _coming(scene: Scene, known: Known) -> str:
    """What keeps a content from coming here."""
    plan = scene.network.plan
    for uuid in plan.sources(known.item):
        transfer = Transfer(Direction.DOWNLOAD, uuid, known.item.key)
        remote = _remote_to(scene, uuid)
        if remote is not None:
            blocked = obstacles(_standing(scene, remote, Direction.DOWNLOAD), scene.now)
            return f"from {scene.name(uuid)}: {_state(scene, transfer, blocked)}"
    away = [
        f"{scene.name(uuid)} has it: "
        + "; ".join(
            obstacles(_standing(scene, remote, Direction.DOWNLOAD), scene.now)
            or ["it cannot be reached"]
        )
        for uuid in known.item.locations
        if (remote := _remote_to(scene, uuid)) is not None
    ]
    if away:
        return "; ".join(away)
    elsewhere = sorted(
        scene.name(uuid) for uuid in known.item.locations if uuid != scene.repository.uuid
    )
    if elsewhere:
        return f"only {', '.join(elsewhere)} has it, to which no remote leads from here"
    return "no repository is known to have it"


def _remote_to(scene: Scene, uuid: UUID) -> Remote | None:
    ways = [each for each in scene.network.remotes if each.uuid == uuid]
    return min(ways, key=lambda each: (each.cost, each.name), default=None)


def _there(scene: Scene, known: Known, remote: Remote, uuid: UUID) -> Line:
    item = known.item
    wants, rule = _wants(scene, item, uuid), rule_of(scene.network.plan.preferences, uuid)
    has = uuid in item.locations
    facts: dict[str, object] = {"uuid": os.fsdecode(uuid), "has": has, "wants": wants, "rule": rule}
    if has:
        wish = "and does not want it" if wants is False else "and wants it"
        return Line(remote.name, f"has it, {wish} ({rule})", facts)
    blocked = obstacles(_standing(scene, remote, Direction.UPLOAD), scene.now)
    facts["obstacles"] = blocked
    if wants is False:
        return Line(remote.name, f"does not have it, and does not want it ({rule})", facts)
    if not known.is_here:
        return Line(
            remote.name, f"wants it ({rule}); it cannot come from here, where it is not", facts
        )
    transfer = Transfer(Direction.UPLOAD, uuid, item.key)
    return Line(remote.name, f"wants it ({rule}); {_state(scene, transfer, blocked)}", facts)


def _wants(scene: Scene, item: Item, uuid: UUID) -> bool | None:
    """Whether a repository wants it; git-annex is asked if only that knows."""
    known = scene.network.plan.wants(uuid, item)
    if known is None and item.paths:
        with Wants(scene.repository, uuid, is_here=uuid == scene.repository.uuid) as asked:
            return asked.any_of(item.paths)
    return known


def _state(scene: Scene, transfer: Transfer, blocked: Sequence[str]) -> str:
    """Where a transfer stands in the spool, and what is in its way."""
    paths, now = scene.place.layout, scene.now
    in_the_way = "; ".join(blocked)
    for one in running.listing(paths):
        if one.transfer == transfer:
            names: dict[bytes, str] = {transfer.uuid: scene.name(transfer.uuid)}
            limits = limit.of(paths, None, now) + limit.of(paths, transfer.uuid, now)
            told = describe_limits(
                (e for e in limits if e.direction is transfer.direction), names, now
            )
            slow = "".join(f"; limited: {each}" for each in told)
            return f"it is being transferred, by process {one.pid}{slow}"
    for job in Queue(paths).jobs(transfer.lane):
        if job.transfer == transfer:
            since = ""
            if job.info.started is not None:
                since = f" for {format_duration(now - float(job.info.started))}"
            late = job.not_before - now
            put_off = "after it failed, or while another may have a cheaper way (annexd map --for)"
            again = f", put off for {format_duration(late)} {put_off}" if late > 0 else ""
            return f"it has been queued{since}{again}" + (f": {in_the_way}" if blocked else "")
    if any(each.transfer == transfer for each in failed.listing(paths)):
        return "the last attempt failed, and was given up (annexd log; annexd retry)"
    if blocked:
        return f"it is not queued: {in_the_way}"
    return "it is not queued (yet); annexd poke has everything looked at again"


def _standing(scene: Scene, remote: Remote, direction: Direction) -> Standing:
    name, remotes = os.fsencode(remote.name), scene.place.remotes
    uuid = remote.uuid
    return Standing(
        remote=remote,
        direction=direction,
        runs=scene.runs,
        moves_contents=syncs_content(scene.repository.settings, scene.shared),
        is_dead=uuid is not None and scene.network.plan.preferences.level(uuid) is Trust.DEAD,
        is_stranger=is_stranger(remote, scene.descriptions, scene.repository.git),
        reach=read_reach(remotes, os.fsencode(remote.reached_as)),
        exchange=read_transfer(remotes, name),
        pauses=tuple(
            each
            for each in hold.listing(scene.place.layout, scene.now)
            if each.uuid in {None, uuid}
        ),
    )
