"""Conflict markers that a program has committed as its user's edit, and not as a merge.

git-annex's assistant adds what ``git merge`` has left in the work tree, and commits it on top of
what was there before: a commit with one parent, as if somebody had saved the file.  Such a version
is nobody's, and is not to stand beside both others as a third.

Nothing says that there was a merge.  But what git writes about two versions is known, so it is
proof enough: each side of a marked conflict in a text is part of what the parent has, or of what we
have had; and of an annexed file the key is the hash of just that text about the two pointers, with
one of few names of what was merged.  A commit on top of what has arrived says what was there.

Source: git-merge(1), "How conflicts are presented".
"""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Final

from spool.key import Key, parts
from workers.annex.pointer import POINTER_MAX, parse_pointer
from workers.git.commit import Commits, Signature, committer_time, parents_of
from workers.git.index_entry import EXECUTABLE, FILE
from workers.git.stream import ObjectId
from workers.git.tree import Version, deeds_at, look_up
from workers.losses import AUTOMATIC
from workers.unite import EMAIL, NAME
from workers.watcher.botched import BOTH, MESSAGE, TEXT_MAX
from workers.watcher.maker import is_made_by_annexd

NEAR: Final = 16
"""Commits in a row that are looked at; each costs microseconds."""

OURS_MAX: Final = 16
"""Versions of ours that it may have been merged with."""

HISTORY: Final = 256
"""Commits of ours that are looked at for them."""

SHOWN_MAX: Final = 1024
"""Bytes of markers about two pointers and of the names in them; longer ones are not looked for."""

HUNKS_MAX: Final = 64
"""Conflicts in one text; in one that has more nobody looks for where each side comes from."""

_START: Final = b"<<<<<<< HEAD"
_MIDDLE: Final = b"======="
_END: Final = b">>>>>>> "


def without_markers(
    commits: Commits, head: ObjectId, tip: ObjectId, branch: bytes, names: Iterable[bytes]
) -> ObjectId:
    """What is to be merged for ``tip``: itself, or a commit on top of it.

    ``branch``: the short name of the checked-out branch; ``names``: how others may call us as a
    remote.  Raises ``GitError``, ``MissingObjectError``.
    """
    edits: dict[bytes, Version | None] = {}
    labels = _labels(branch, names)
    for commit, parent in _automatic(commits, head, tip):
        found = {
            change.path: (change.old, change.new)
            for change in commits.changes(parent, commit)
            if change.path not in edits and change.old is not None and change.new is not None
            if _may_be(commits, change.new)
        }
        now = {each.path: each.oid for each in look_up(commits.git, tip, *found)}
        stays = {path for path, (_, new) in found.items() if now.get(path) == new.oid}
        for path, ours in _ours(commits, head, stays).items():
            before, marked = found[path]
            if any(_is_about(commits, marked, before, each, labels) for each in ours):
                edits[path] = before
    if not edits:
        return tip
    tree = commits.tree(commits.tree_of(tip), edits)
    who = Signature(NAME, EMAIL, committer_time(commits.text_of(tip) or b""))
    return commits.commit(tree, (tip,), author=who, committer=who, message=MESSAGE)


def _automatic(
    commits: Commits, head: ObjectId, tip: ObjectId
) -> Iterator[tuple[ObjectId, ObjectId]]:
    """The commits next to ``tip`` that programs other than annexd have made, and their parents."""
    at = tip
    for _step in range(NEAR):
        text = commits.text_of(at) or b""
        parents = parents_of(text)
        if at == head or len(parents) != 1:
            return
        message = text.partition(b"\n\n")[2]
        if message.startswith(AUTOMATIC) and not is_made_by_annexd(text):
            yield at, parents[0]
        at = parents[0]


def _may_be(commits: Commits, version: Version) -> bool:
    """Whether it is worth looking for what it may have been made of."""
    if version.mode not in (FILE, EXECUTABLE):
        return False
    text = commits.content(version.oid, TEXT_MAX)
    key = _key(text)
    if key is None:
        return bool(_taken_apart(text)[0])
    size = parts(key).size
    return size is not None and size <= SHOWN_MAX


def _ours(commits: Commits, head: ObjectId, paths: set[bytes]) -> dict[bytes, list[Version]]:
    """What we have had there, the newest first."""
    found: dict[bytes, list[Version]] = {path: [] for path in paths}
    for deed in deeds_at(commits.git, head, paths, HISTORY):
        versions = found[deed.change.path]
        if deed.change.new is not None and len(versions) < OURS_MAX:
            versions.append(deed.change.new)
    return found


def _is_about(
    commits: Commits, marked: Version, before: Version, ours: Version, labels: list[bytes]
) -> bool:
    """Whether git writes this when it merges these two."""
    text, theirs, other = (commits.content(each.oid, TEXT_MAX) for each in (marked, before, ours))
    key = _key(text)
    if key is None:
        # git ends the last line of each side, if that has not done so.
        theirs, other = theirs + b"\n", other + b"\n"
        hunks, around = _taken_apart(text)
        lines = {*theirs.splitlines(keepends=True), *other.splitlines(keepends=True)}
        return (
            bool(hunks)
            and lines.issuperset(around)
            and all(
                one != two and one in theirs and two in other and label in labels
                for one, two, label in hunks
            )
        )
    told, name = parts(key), parts(key).name.partition(b".")[0].decode(errors="replace")
    if _key(theirs) is None or _key(other) is None or told.backend not in (b"SHA256", b"SHA256E"):
        return False
    shown = (
        b"<<<<<<< HEAD\n%b=======\n%b>>>>>>> %b\n" % (theirs, other, label) for label in labels
    )
    return any(
        len(each) == told.size and hashlib.sha256(each).hexdigest() == name for each in shown
    )


def _taken_apart(text: bytes) -> tuple[list[tuple[bytes, bytes, bytes]], list[bytes]]:
    """The two sides of each conflict, and what was merged; and the lines around them.

    Nothing if any of that looks otherwise than git writes it.
    """
    found = list[tuple[bytes, bytes, bytes]]()
    around, sides = list[bytes](), list[list[bytes]]()
    for line in text.splitlines(keepends=True) if text.count(_START) <= HUNKS_MAX else ():
        bare = line.rstrip(b"\r\n")
        if bare == _START and not sides:
            sides = [[]]
        elif bare == _MIDDLE and len(sides) == 1:
            sides.append([])
        elif bare.startswith(_END) and len(sides) == BOTH:
            one, two = map(b"".join, sides)
            found.append((one, two, bare.removeprefix(_END)))
            sides = []
        else:
            (sides[-1] if sides else around).append(line)
    return ([], []) if sides else (found, around)


def _key(text: bytes) -> Key | None:
    return parse_pointer(text) if len(text) <= POINTER_MAX else None


def _labels(branch: bytes, names: Iterable[bytes]) -> list[bytes]:
    """What somebody may have told git to merge, when he merged what is ours."""
    remotes = [b"refs/remotes/%b/" % name for name in dict.fromkeys((b"origin", *names))]
    places = [b"refs/heads/synced/", *remotes, *(place + b"synced/" for place in remotes)]
    return [place + branch for place in places]
