"""What trees hold, and how two of them differ; read record by record.

Renames are not looked for: a renamed file is one removed and one added.  Trees may be large, so
everything here is an iterator that holds one buffer.

Sources: git-diff-tree(1), "Raw output format"; git-ls-tree(1).
"""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from workers.git.records import records
from workers.git.run import Git
from workers.git.stream import ObjectId

LITERAL: Final = {"GIT_LITERAL_PATHSPECS": "1"}
"""Paths are names, whatever characters they hold."""

ARGS: Final = 400
"""Paths per command: of the longest there are, they fit (ARG_MAX)."""

_RAW: Final = (
    *("-r", "-z", "--raw", "--no-abbrev", "--no-renames", "--no-ext-diff"),
    "--ignore-submodules=none",
)


class Version(NamedTuple):
    """What is at a path."""

    # Tuples, not dataclasses: one per path of a repository.
    mode: int
    oid: ObjectId


class Change(NamedTuple):
    """A path that differs; ``old`` or ``new`` is None where there is nothing."""

    path: bytes
    old: Version | None
    new: Version | None


class Deed(NamedTuple):
    """What a commit has done to a path."""

    commit: ObjectId
    subject: bytes
    change: Change


class TreeEntry(NamedTuple):
    """A path in a tree."""

    path: bytes
    mode: int
    oid: ObjectId


def diff_trees(git: Git, old: str, new: str) -> Iterator[Change]:
    """Paths that differ between two commits or trees, in order.  Raises ``GitError``."""
    return _changes(records(git, "diff-tree", *_RAW, "--end-of-options", old, new))


def diff_index(git: Git, tree: str) -> Iterator[Change]:
    """Paths at which the index differs from a commit or tree: what is staged.

    A path in conflict counts as absent.  Files are not looked at.  Raises ``GitError``.
    """
    return _changes(records(git, "diff-index", "--cached", *_RAW, "--end-of-options", tree))


def diff_commits(git: Git, old: str, new: str, limit: int) -> Iterator[Change]:
    """What each commit that ``new`` has and ``old`` has not changed, against each of its parents.

    Of the newest ``limit`` commits; one path may come many times.  Raises ``GitError``.
    """
    each = ("-m", "--no-show-signature", "--format=", f"-{limit}")
    return _changes(records(git, "log", *_RAW, *each, "--end-of-options", f"{old}..{new}"))


def versions_before(
    git: Git, commits: Iterable[str], paths: Iterable[bytes], limit: int
) -> Iterator[tuple[bytes, Version]]:
    """What was at these paths, each in turn, before one of the last commits changed it.

    Of the newest ``limit`` commits that ``commits`` lead to (but not those with ``^`` before them);
    of a merge, what each side had.
    Raises ``GitError``.
    """
    history = git.run("rev-list", f"-{limit}", "--end-of-options", *commits)
    every, wanted = ("-m", "--stdin", "--no-commit-id"), list(paths)
    for start in range(0, len(wanted), ARGS):
        few: list[str | bytes] = ["--", *wanted[start : start + ARGS]]
        found = records(git, "diff-tree", *_RAW, *every, *few, stdin=history, env=LITERAL)
        yield from ((each.path, each.old) for each in _changes(found) if each.old is not None)


def commits_between(git: Git, old: str, new: str) -> Iterator[tuple[ObjectId, list[Change]]]:
    """Each commit that ``new`` has and ``old`` has not, and what it has changed; no merges.

    Raises ``GitError``.
    """
    commits = git.run("rev-list", "--no-merges", "--end-of-options", new, f"^{old}")
    commit, changes = ObjectId(""), list[Change]()
    found = records(git, "diff-tree", *_RAW, "--root", "--stdin", stdin=commits)
    for record in found:
        if record.startswith(b":"):
            changes.append(_change(record, next(found)))
            continue
        if commit:
            yield commit, changes
        commit, changes = ObjectId(record.decode()), []
    if commit:
        yield commit, changes


def deeds_at(git: Git, commit: str, paths: Iterable[bytes], limit: int) -> Iterator[Deed]:
    """What was done to these paths, the newest first; no merges.

    By the newest ``limit`` commits that ``commit`` leads to.  Raises ``GitError``.
    """
    wanted = list(paths)
    if not wanted:
        return
    asked = ("--no-show-signature", "--no-merges", f"-{limit}", "--format=%H %s")
    listed = git.run("log", *asked, "--end-of-options", commit)
    # Not splitlines(): a subject may hold a CR.
    subjects = dict(line.split(b" ", 1) for line in listed.split(b"\n")[:-1])
    history = b"".join(each + b"\n" for each in subjects)
    asked_for = set(wanted)
    for start in range(0, len(wanted), ARGS):
        few: list[str | bytes] = ["--", *wanted[start : start + ARGS]]
        found = records(
            git, "diff-tree", *_RAW, "--root", "--stdin", *few, stdin=history, env=LITERAL
        )
        by = b""
        for record in found:
            if not record.startswith(b":"):
                by = record
            # A path that was a directory once matches what was in it.
            elif (change := _change(record, next(found))).path in asked_for:
                yield Deed(ObjectId(by.decode()), subjects[by], change)


def list_tree(git: Git, tree: str) -> Iterator[TreeEntry]:
    """All files, links and submodules of a commit or tree, in order.  Raises ``GitError``."""
    return _entries(records(git, "ls-tree", "-r", "-z", "--full-tree", tree))


def look_up(git: Git, tree: str, *paths: bytes) -> Iterator[TreeEntry]:
    """Those of the paths that are in a commit or tree; directories too (mode 040000)."""
    # Of a directory and something in it, asked for at once, git shows only the latter.
    for depth in {path.count(b"/") for path in paths}:
        level = [path for path in paths if path.count(b"/") == depth]
        for start in range(0, len(level), ARGS):
            few = level[start : start + ARGS]
            asked = ("-z", "--full-tree", tree, "--")
            yield from _entries(records(git, "ls-tree", *asked, *few, env=LITERAL))


def _changes(found: Iterator[bytes]) -> Iterator[Change]:
    for meta in found:
        yield _change(meta, next(found))


def _change(meta: bytes, path: bytes) -> Change:
    old_mode, new_mode, old, new, _status = meta[1:].split(b" ")
    return Change(path, _version(old_mode, old), _version(new_mode, new))


def _version(mode: bytes, oid: bytes) -> Version | None:
    if mode == b"000000":
        return None
    return Version(int(mode, 8), ObjectId(oid.decode()))


def _entries(found: Iterator[bytes]) -> Iterator[TreeEntry]:
    for record in found:
        meta, _, path = record.partition(b"\t")
        mode, _kind, oid = meta.split(b" ")
        yield TreeEntry(path, int(mode, 8), ObjectId(oid.decode()))
