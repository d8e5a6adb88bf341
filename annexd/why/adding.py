"""Why a file of the work tree is committed or not, and whether it is git's or git-annex's."""

import os
import stat
from collections.abc import Iterator, Sequence
from typing import Final

from annexd.why.line import Line, shown
from annexd.why.scene import Scene
from spool import key as keys
from spool.record import escape
from spool.state import read_states
from workers.annex.addpolicy import AddPolicy, Ground, Kind
from workers.annex.pointer import POINTER_MAX, parse_pointer, resembles_pointer
from workers.annex.sharedsettings import with_shared
from workers.git.attributes import CheckAttributes, CheckIgnore
from workers.git.conventions import Conventions
from workers.git.index import Index
from workers.git.index_entry import LINK, Entry
from workers.git.run import GitError
from workers.git.settings import Settings
from workers.git.trackable import is_trackable
from workers.git.tree import LITERAL, look_up
from workers.watcher.autocommit import Commits
from workers.watcher.examine import Look, look
from workers.watcher.guard import hindrance
from workers.watcher.rules import is_passing
from workers.writers import writers

FILE: Final = "file"
_DOUBTED: Final = frozenset((Look.READ, Look.MODE, Look.LINK))
_SILENT: Final = frozenset((b"unspecified", b"unset"))


def explain(scene: Scene, index: Index, path: bytes) -> Iterator[Line]:
    """What there is to say about one path, from the top of the work tree."""
    status = _lstat(scene, path)
    entries = index.stages(path)
    elsewhere = _elsewhere(scene, path)
    if elsewhere is not None:
        yield Line(FILE, elsewhere, {"path": os.fsdecode(path), "committed": False})
        return
    if status is None and not entries:
        yield Line(FILE, f"there is no file {shown(path)} here", {"path": os.fsdecode(path)})
        return
    if status is not None and stat.S_ISDIR(status.st_mode) and not entries:
        text = f"{shown(path)} is a directory: ask about a file in it"
        yield Line(FILE, text, {"path": os.fsdecode(path)})
        return
    yield _commit(scene, index, path, status, entries)
    key = scene.key_of(entries[0]) if entries else None
    if key is not None:
        yield _kind(scene, path, keys.parts(key).size or 0, "git-annex")
    elif status is not None and stat.S_ISREG(status.st_mode):
        yield _kind(scene, path, status.st_size, "git" if entries else None)


def _lstat(scene: Scene, path: bytes) -> os.stat_result | None:
    try:
        return os.lstat(os.fsencode(scene.place.worktree) + b"/" + path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _elsewhere(scene: Scene, path: bytes) -> str | None:
    """Whose it is, if it is not this repository's."""
    parts = path.split(b"/")
    if parts[0] == b"..":
        return "it is outside of the work tree"
    if parts[0] == b".git":
        return "it is git's own"
    top = os.fsencode(scene.place.worktree)
    for depth in range(1, len(parts)):
        above = b"/".join(parts[:depth])
        if os.path.lexists(top + b"/" + above + b"/.git"):
            return f"it is in a repository of its own, {shown(above)}, and not committed here"
    return None


def _commit(
    scene: Scene,
    index: Index,
    path: bytes,
    status: os.stat_result | None,
    entries: Sequence[Entry],
) -> Line:
    conventions = Conventions.of(Settings.read(scene.repository.git))
    seen = look(status, entries, conventions.stat, index.mtime_ns)
    facts: dict[str, object] = {"path": os.fsdecode(path), "committed": False}
    what = "deleted" if status is None else "changed" if entries else "new"
    if entries and status is not None and seen in _DOUBTED and not _differs(scene, path):
        seen = Look.CLEAN
    if seen is Look.CLEAN and entries:
        if _is_in_head(scene, path, entries[0]):
            return Line(FILE, f"{shown(path)} is committed", facts | {"committed": True})
        text = "is staged and not committed: that is left to whoever has staged it, for a while"
        return Line(FILE, f"{shown(path)} {text}", facts)
    if seen is Look.CONFLICT:
        return Line(FILE, f"{shown(path)} is in conflict: solve it, and git add it", facts)
    reasons = list(_reasons(scene, path, status, entries))
    facts["reasons"] = reasons
    why = "; ".join(reasons) or "nothing keeps it from being committed, so it is about to be"
    return Line(FILE, f"{shown(path)} is {what} and not committed: {why}", facts)


def _differs(scene: Scene, path: bytes) -> bool:
    """Whether git finds the file other than the index says, when it has looked into it."""
    try:
        scene.repository.git.run("diff", "--no-ext-diff", "--quiet", "--", path, env=LITERAL)
    except GitError as failure:
        if failure.status != 1:
            raise
        return True
    return False


def _is_in_head(scene: Scene, path: bytes, entry: Entry) -> bool:
    head = scene.refs.head().oid
    if head is None:
        return False
    found = list(look_up(scene.repository.git, head, path))
    return [(each.mode, each.oid) for each in found] == [(entry.mode, entry.oid)]


def _reasons(
    scene: Scene,
    path: bytes,
    status: os.stat_result | None,
    entries: Sequence[Entry],
) -> Iterator[str]:
    if not entries:
        yield from _never(scene, path)
    watcher = read_states(scene.place.state).get("watcher")
    notes = () if watcher is None else watcher.notes
    if status is None:
        yield from (f"held back: {escape(value)}" for name, value in notes if name == "held")
    else:
        yield from _content(scene, path, status)
        if ("skipped", os.fsdecode(path)) in notes:
            yield "it could not be added when that was tried last (annexd log)"
    commits = Commits.of(with_shared(scene.repository.settings, scene.shared))
    if commits is not Commits.AUTO:
        yield commits.value
    hindered = hindrance(scene.place, scene.refs.head())
    if hindered is not None:
        cure = " (annexd release)" if hindered == "commits are held" else ""
        yield hindered + cure
    if os.path.lexists(scene.place.gitdir / "index.lock"):
        yield "a git is changing the index"
    if not scene.runs:
        yield "annexd does not run here (annexd start)"


def _never(scene: Scene, path: bytes) -> Iterator[str]:
    """Why it is left alone whatever happens."""
    if not is_trackable(path, LINK):
        yield "git refuses such a name"
        return
    with CheckIgnore(scene.repository.git) as asked:
        rule = next(iter(asked.ask([path])))
    if rule is not None and rule.ignores:
        yield f"ignored by {shown(rule.source)}, line {rule.line}: {shown(rule.pattern)}"
    elif rule is None and is_passing(path):
        yield "by its name a lock or an unfinished file of a program (!NAME in .gitignore adds it)"


def _content(scene: Scene, path: bytes, status: os.stat_result) -> Iterator[str]:
    if not stat.S_ISREG(status.st_mode):
        if not stat.S_ISLNK(status.st_mode):
            yield "it is neither a file nor a link"
        return
    full = os.fsencode(scene.place.worktree) + b"/" + path
    try:
        with open(full, "rb") as file:
            beginning = file.read(POINTER_MAX + 1)
    except OSError as failure:
        yield f"it cannot be read: {failure.strerror}"
        return
    if resembles_pointer(beginning) and parse_pointer(beginning) is None:
        yield "it looks like a pointer to a content, and is none"
    for pid in writers(status):
        yield f"it is open for writing, by process {pid} ({_name(pid)})"


def _name(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm", "rb") as file:
            return shown(file.read().strip())
    except OSError:  # it has ended
        return "gone"


def _kind(scene: Scene, path: bytes, size: int, now: str | None) -> Line:
    """Whose it is, or would be; ``now``: whose it is now, if it is tracked."""
    with CheckAttributes(scene.repository.git, "annex.largefiles") as asked:
        value = next(iter(asked.ask([path])))["annex.largefiles"]
    attribute = None if value in _SILENT else value.decode(errors="surrogateescape")
    policy = AddPolicy.for_assistant(scene.repository.settings, scene.shared)
    ground, kind = policy.ground(path, attribute), policy.kind(path, size, attribute)
    decides = _ground(scene, ground, attribute)
    facts: dict[str, object] = {"rule": ground.name.lower(), "decides": decides}
    if now is None:
        return Line(
            "kind", f"it would be {_KINDS[kind]}: {decides}", facts | {"kind": kind.name.lower()}
        )
    facts["kind"] = now
    if ground is Ground.ATTRIBUTE or (ground is Ground.SHARED and _shared(scene)):
        text = f"it is in {now}; when it changes: {_KINDS[kind]}: {decides}"
    else:
        text = f"it is in {now}, and a file that is tracked stays where it is"
        text += f" (a new one would be {_KINDS[kind]}: {decides})"
    return Line("kind", text, facts)


_KINDS: Final = {
    Kind.ANNEX_UNLOCKED: "git-annex's",
    Kind.ANNEX_LOCKED: "git-annex's, locked",
    Kind.GIT: "git's",
    Kind.SKIP: "left alone (annex.addsmallfiles is false)",
    Kind.ASK_GIT_ANNEX: "as git annex add decides",
}


def _shared(scene: Scene) -> str:
    return scene.shared.get(b"annex.largefiles", b"").decode(errors="replace")


def _ground(scene: Scene, ground: Ground, attribute: str | None) -> str:
    match ground:
        case Ground.NAME:
            return "git reads it, so it always is git's"
        case Ground.DOTFILE:
            return "it, or a directory above it, begins with a dot, and annex.dotfiles is not set"
        case Ground.OWN:
            own = escape(scene.repository.settings.get("annex.largefiles", ""))
            return f"git config annex.largefiles, in {_origin(scene)}: {own}"
        case Ground.ATTRIBUTE:
            return f"annex.largefiles in .gitattributes: {escape(attribute or '')}"
        case Ground.SHARED:
            said = _shared(scene)
            if said:
                return f"git annex config annex.largefiles: {escape(said)}"
            return "annex.largefiles is set nowhere, so every file is git-annex's"


def _origin(scene: Scene) -> str:
    """The file in which the setting stands that counts."""
    asked = ("config", "--show-origin", "-z", "--get", "annex.largefiles")
    try:
        origin = scene.repository.git.run(*asked).split(b"\0")[0]
    except GitError:
        return "no file"
    return shown(origin.removeprefix(b"file:"))
