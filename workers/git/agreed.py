"""What a merge has not, though git calls it clean.

git follows renames.  Where one side has renamed ``d`` to ``v``, and the other side has a copy there
and has changed ``d``, it either takes that change for one to ``v``, so that what both have at ``v``
is in no file any more, or forgets the change.  (Two repositories that have resolved conflicts of
three, in another order, are like that.)  Such paths are given as conflicts, as if nobody had
thought of a rename.

The work is not recursive: how deep a directory is, a peer decides.

Pure.  Source: git 2.39, seen with ``git merge-tree``; its documentation does not tell.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

from workers.git.index_entry import TREE
from workers.git.merge import Conflict
from workers.git.stream import ObjectId
from workers.git.tree import Version
from workers.git.tree_edit import entry_at
from workers.git.tree_object import TreeObject

ReadTree = Callable[[ObjectId], TreeObject]


class _Overruled(NamedTuple):
    path: bytes
    agreed: Version
    """What both sides have."""
    merged: Version | None


class _Three(NamedTuple):
    """A directory of both sides, and what the merge has there."""

    above: bytes
    ours: ObjectId
    theirs: ObjectId
    merged: ObjectId | None


def disagreements(
    sides: tuple[ObjectId, ObjectId],
    merged: ObjectId,
    bases: Collection[ObjectId],
    made: Collection[ObjectId],
    tree_object: ReadTree,
) -> list[Conflict]:
    """From trees: the paths to be decided about otherwise.  ``made``: what git has merged itself.

    Those that both sides have alike and the merge has not; and those that one side has changed, and
    the merge has neither there nor under a name that it may have followed a rename to.
    """
    changed = {
        path: version
        for side in sides
        for path, version in _without(side, merged, tree_object)
        if all(entry_at(base, path, tree_object) != version for base in bases)
    }
    overruled = list(_overruled(*sides, merged, tree_object))
    if not changed and not overruled:
        return []
    agreed = {each.path for each in overruled}
    news = Counter(
        version
        for path, version in _without(merged, sides[0], tree_object, is_other_file=True)
        if path not in agreed and entry_at(sides[1], path, tree_object) != version
    )
    unfound = {path: version for path, version in changed.items() if not news[version]}
    followed = sum(count for version, count in news.items() if version.oid in made)
    lost = set(unfound) if len(unfound) > followed else set[bytes]()
    found = {
        path: Conflict(path, None, *(_file(entry_at(side, path, tree_object)) for side in sides))
        for path in lost | agreed
    }
    for each in overruled:
        if each.merged is not None and each.merged not in changed.values():  # made of several
            found[each.path] = Conflict(each.path, None, each.agreed, each.merged)
    return list(found.values())


def _overruled(
    ours: ObjectId, theirs: ObjectId, merged: ObjectId, tree_object: ReadTree
) -> Iterator[_Overruled]:
    """The files that two trees have alike, and a third one not."""
    pending = [_Three(b"", ours, theirs, merged)]
    while pending:
        each = pending.pop()
        one, other = tree_object(each.ours), tree_object(each.theirs)
        result = None if each.merged is None else tree_object(each.merged)
        there = {} if result is None else result.directories()
        unlike = one.without(result)
        for name, version in unlike.without(unlike.without(other)).versions().items():
            path = each.above + name
            if version.mode == TREE:
                pending.append(_Three(path + b"/", version.oid, version.oid, there.get(name)))
            else:
                found = {} if result is None else result.find(frozenset((name,)))
                yield _Overruled(path, version, _file(found.get(name)))
        left, right = one.directories(), other.directories()
        for name in left.keys() & right.keys() & there.keys():
            below = (left[name], right[name], there[name])
            if len(set(below)) == len(below):
                pending.append(_Three(each.above + name + b"/", *below))


def _without(
    tree: ObjectId, other: ObjectId, tree_object: ReadTree, *, is_other_file: bool = False
) -> Iterator[tuple[bytes, Version]]:
    """The files of a tree where another one has none; or, if so asked, none or another one."""
    pending: list[tuple[bytes, ObjectId, ObjectId | None]] = [(b"", tree, other)]
    while pending:
        above, here, elsewhere = pending.pop()
        result = None if elsewhere is None else tree_object(elsewhere)
        unlike = tree_object(here).without(result).versions()
        there = result.find(frozenset(unlike)) if result is not None and unlike else {}
        for name, version in unlike.items():
            now = there.get(name)
            if version.mode == TREE:
                below = now.oid if now is not None and now.mode == TREE else None
                pending.append((above + name + b"/", version.oid, below))
            elif now is None or now.mode == TREE or is_other_file:
                yield above + name, version


def _file(version: Version | None) -> Version | None:
    return None if version is None or version.mode == TREE else version
