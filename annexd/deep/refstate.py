"""git's own files: refs, the index, lock files, and what an interrupted command leaves."""

import os
import re
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from annexd.deep.atwork import git_works
from annexd.deep.scene import Scene
from annexd.doctor import STALE_S
from annexd.finding import Finding, quoted, wrong
from annexd.openfiles import descriptors
from workers.git.index import read_index
from workers.git.index_format import UnsupportedIndexError
from workers.git.refs import TEXT_MAX, Refs
from workers.git.stream import CatFile

LOCKS: Final = (
    *("index.lock", "HEAD.lock", "config.lock", "packed-refs.lock", "shallow.lock"),
    *("MERGE_HEAD.lock", "annex/index.lock", "objects/info/commit-graph.lock"),
)

UNFINISHED: Final = (
    ("MERGE_HEAD", "a merge", "git merge --abort"),
    ("CHERRY_PICK_HEAD", "a cherry-pick", "git cherry-pick --abort"),
    ("REVERT_HEAD", "a revert", "git revert --abort"),
    ("rebase-merge", "a rebase", "git rebase --abort"),
    ("rebase-apply", "a rebase or am", "git rebase --abort"),
)

_REF: Final = re.compile(rb"[0-9a-f]{40}(?:[0-9a-f]{24})?\s*|ref: ?refs/[^\0\n]+\n?")
_LOGGED: Final = re.compile(rb"[0-9a-f]{40,64} ([0-9a-f]{40}(?:[0-9a-f]{24})?) ")
_LAST_LINES: Final = 4096


def look(scene: Scene) -> Iterator[Finding]:
    """Refs, index, locks, and unfinished work of a person's."""
    yield from _torn(scene)
    yield from _dangling(scene)
    yield from _index(scene)
    yield from _locks(scene)
    yield from _unfinished(scene)


def _torn(scene: Scene) -> Iterator[Finding]:
    common = scene.place.common
    heads = [scene.place.gitdir / "HEAD"]
    loose = () if (common / "reftable").is_dir() else _files(common / "refs")
    for path in (*heads, *loose):
        if path.name.endswith(".lock"):
            continue
        try:
            with path.open("rb") as file:
                text = file.read(TEXT_MAX)
        except (FileNotFoundError, IsADirectoryError):
            continue
        if _REF.fullmatch(text) is None:
            yield wrong(
                f"the ref {scene.shown(path)} is torn: {text[:40]!r}", _restored(path, common)
            )


def _files(directory: Path) -> Iterator[Path]:
    for at, _, names in os.walk(directory):
        yield from (Path(at, name) for name in names)


def _restored(path: Path, common: Path) -> str:
    """How the ref is made again: from its log, or from where it came."""
    name = os.fspath(path.relative_to(common)) if path.is_relative_to(common) else path.name
    last = _last_value(common / "logs" / name)
    if name == "HEAD":
        return "git symbolic-ref HEAD refs/heads/main, or whatever was checked out"
    removed = f"rm {quoted(path)}"
    if last is not None:
        return f"{removed} && git update-ref {quoted(name)} {last}"
    if name.startswith("refs/remotes/"):
        return f"{removed} && git fetch --all"
    return removed


def _last_value(log: Path) -> str | None:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _LAST_LINES))
            found = _LOGGED.findall(file.read())
    except FileNotFoundError:
        return None
    return found[-1].decode() if found else None


def _dangling(scene: Scene) -> Iterator[Finding]:
    """Refs to what is not in the repository."""
    with closing(CatFile(scene.repository.git)) as cat:
        for ref in Refs(scene.repository.git).list(b"refs/heads/", b"refs/remotes/"):
            if cat.get_small(ref.oid.encode(), 0) is None:
                yield wrong(
                    f"{os.fsdecode(ref.name)} leads to {ref.oid}, which is not here",
                    "git fetch --all; if that does not bring it: git fsck",
                )


def _index(scene: Scene) -> Iterator[Finding]:
    path = scene.place.gitdir / "index"
    try:
        read_index(os.fsencode(path), scene.repository.object_format).close()
    except UnsupportedIndexError:  # only git can read it, which is no fault
        return
    except ValueError as torn:
        yield wrong(
            f"git's index is torn: {torn}", f"rm {quoted(path)} && git reset -q; no file changes"
        )


def _locks(scene: Scene) -> Iterator[Finding]:
    place = scene.place
    paths = {base / name for base in (place.gitdir, place.common) for name in LOCKS}
    refs = (path for path in _files(place.common / "refs") if path.name.endswith(".lock"))
    left = [path for path in (*sorted(paths), *refs) if _is_ours_to_tell(path)]
    if not left or git_works(place):
        return
    opened = set(descriptors(None))
    for path in left:
        if os.path.realpath(path) not in opened:
            yield wrong(
                f"{scene.shown(path)} was left by a process that is gone, and keeps git from "
                "working",
                f"rm {quoted(path)}",
            )


def _is_ours_to_tell(path: Path) -> bool:
    """Whether it is there; those that are old are told without --deep already."""
    try:
        age_s = time.time() - path.lstat().st_mtime
    except FileNotFoundError:
        return False
    return age_s < STALE_S or path.parent.name in {"annex", "info"}


def _unfinished(scene: Scene) -> Iterator[Finding]:
    for name, what, end in UNFINISHED:
        path = scene.place.gitdir / name
        try:
            age_s = time.time() - path.lstat().st_mtime
        except FileNotFoundError:
            continue
        if age_s > STALE_S and not git_works(scene.place):
            yield wrong(
                f"{what} was begun and not finished ({scene.shown(path)}); annexd waits for it",
                f"finish it, or: {end}",
            )
