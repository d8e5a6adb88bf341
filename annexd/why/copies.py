"""How many copies there are of contents, and how many there are to be.

Source: git-annex-numcopies(1): .gitattributes goes before what ``git annex numcopies`` has set, and
that before git's configuration.
"""

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, final

from annexd.report import size_text
from annexd.why.line import shown
from annexd.why.scene import Scene
from spool.key import Key, parts
from spool.transfer import UUID
from workers.annex import maplog
from workers.annex.feed import locations_of
from workers.annex.preferred import NUMCOPIES
from workers.annex.uuidlogs import Trust
from workers.git.attributes import CheckAttributes
from workers.scanner.contents import Contents, Shape, followed

_ATTRIBUTE = "annex.numcopies"
LEAST: Final = 1
"""git-annex takes less, 0 too, for this: no setting lets it drop the last copy."""

_NUMBER: Final = re.compile("[0-9]{1,9}")
_UNCOUNTED = frozenset((Trust.DEAD, Trust.UNTRUSTED))


@final
@dataclass(frozen=True, slots=True)
class Wish:
    """How many copies there are to be."""

    count: int
    source: str
    """Who says so, for people."""


@final
@dataclass(frozen=True, slots=True)
class Lacking:
    """A file of whose content there are too few copies."""

    path: bytes
    key: Key
    copies: int
    wish: Wish


def counted(scene: Scene, where: frozenset[UUID]) -> int:
    """How many of these places count."""
    preferences = scene.network.plan.preferences
    return sum(preferences.level(uuid) not in _UNCOUNTED for uuid in where)


def wishes(scene: Scene, paths: Sequence[bytes]) -> Iterator[Wish]:
    """How many copies there are to be of each of the files, in order."""
    default = wish(scene)
    if not paths:
        return
    with CheckAttributes(scene.repository.git, _ATTRIBUTE) as asked:
        for values in asked.ask(paths):
            said = values[_ATTRIBUTE]
            yield _wished(os.fsdecode(said), ".gitattributes") or default


def wish(scene: Scene) -> Wish:
    """How many there are to be of contents without a file, and of files without an attribute."""
    shared = maplog.number(scene.branch.read(NUMCOPIES))
    if shared is not None:
        return Wish(max(shared, LEAST), "git annex numcopies")
    own = scene.repository.settings.get(_ATTRIBUTE, "")
    return _wished(own, "git config annex.numcopies") or Wish(LEAST, "default")


def _wished(said: str, source: str) -> Wish | None:
    """None if that is no number."""
    return Wish(max(int(said), LEAST), source) if _NUMBER.fullmatch(said) else None


def lacking(scene: Scene) -> Iterator[Lacking]:
    """Every file of the branch of whose content there are too few copies, in order."""
    commit = followed(scene.refs).commit
    if commit is None:
        return
    contents = Contents(scene.branch, b"", Shape())
    for files in contents.in_tree(commit, b""):
        where = locations_of(scene.branch, {file.key for file in files})
        wanted = wishes(scene, [file.path for file in files])
        for file, least in zip(files, wanted, strict=True):
            copies = counted(scene, where[file.key])
            if copies < least.count:
                yield Lacking(file.path, file.key, copies, least)


def to_text(found: Sequence[Lacking]) -> str:
    """How many, and a line for each file."""
    sizes = {each.key: parts(each.key).size or 0 for each in found}
    lines = [f"{len(sizes)} contents with too few copies ({size_text(sum(sizes.values()))})"]
    lines += [
        f"  {shown(each.path)}: {each.copies} of {each.wish.count} ({each.wish.source})"
        for each in found
    ]
    return "\n".join(lines)


def to_json(found: Sequence[Lacking]) -> str:
    """One object on one line."""
    return json.dumps(
        {
            "lacking_copies": [
                {
                    "file": os.fsdecode(each.path),
                    "key": os.fsdecode(each.key),
                    "copies": each.copies,
                    "numcopies": each.wish.count,
                }
                for each in found
            ]
        }
    )
