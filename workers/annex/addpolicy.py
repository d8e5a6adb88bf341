"""What becomes of a file that is added: git-annex's, git's, or nobody's.

The same answer as ``git annex add`` gives, or the assistant, from the same settings:

* ``annex.largefiles`` decides between git-annex and git; git's configuration goes before the file's
  attribute, and that before ``git annex config``.
* Dotfiles (any part of the path begins with a dot) go to git unless ``annex.dotfiles`` is set.
* ``annex.addsmallfiles=false`` leaves alone what would go to git.
* The assistant adds unlocked, and looks at ``annex.addunlocked`` only when
  ``annex.assistant.allowunlocked`` is set (the name misleads).  annexd does as the assistant.

One difference: ``.gitignore``, ``.gitattributes`` and ``.gitmodules`` always go to git.  git-annex
would annex them when ``annex.dotfiles`` is set, and git does not follow links there.

An expression that is not understood here (``mimetype=``, or one that git-annex rejects and then
adds nothing at all) means that ``git annex add`` has to do it.

Pure.  Source: git-annex-formats.md §3.7; ``git annex add`` is the oracle.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final, NamedTuple, Self, final

from workers.annex import datasize, expression, glob
from workers.annex.expression import Term
from workers.annex.matcher import Compiled, always, compile_expression, unknown
from workers.annex.settings import FALSE, TRUE, Settings

ALWAYS_GIT: Final = frozenset((b".gitignore", b".gitattributes", b".gitmodules"))

_DOTFILE: Final = re.compile(rb"(?:^|/)\.")


class Kind(Enum):
    """What becomes of a file."""

    ANNEX_UNLOCKED = auto()
    ANNEX_LOCKED = auto()
    GIT = auto()
    SKIP = auto()
    ASK_GIT_ANNEX = auto()


class Ground(Enum):
    """Which rule decides between git-annex and git."""

    NAME = auto()
    """It is one of git's own files."""
    DOTFILE = auto()
    OWN = auto()
    """``annex.largefiles`` in git's configuration."""
    ATTRIBUTE = auto()
    """``annex.largefiles`` in .gitattributes."""
    SHARED = auto()
    """What ``git annex config`` says, or nothing: then everything is git-annex's."""


class NewFile(NamedTuple):
    """A file as an expression is asked about it."""

    path: bytes
    """From the top of the work tree."""

    size: int
    """Bytes."""


@final
@dataclass(frozen=True, slots=True)
class AddPolicy:
    """The settings that decide, compiled."""

    largefiles: Compiled[NewFile] | None
    """From git's configuration; None if it is silent."""

    shared_largefiles: Compiled[NewFile]
    """From the git-annex branch; everything is large if it is silent."""

    unlocked: Compiled[NewFile]
    dotfiles: bool
    small_files: bool
    _attributes: dict[str, Compiled[NewFile]] = field(default_factory=dict, compare=False)
    """There are as many different attributes as somebody wrote down: a handful."""

    @classmethod
    def for_assistant(cls, settings: Settings, shared: Mapping[bytes, bytes]) -> Self:
        """As the assistant adds; ``shared`` is what ``config.log`` says."""
        if settings.flag("annex.assistant.allowunlocked", default=False):
            return cls.for_add(settings, shared)
        return cls._make(settings, shared, always(answer=True))

    @classmethod
    def for_add(cls, settings: Settings, shared: Mapping[bytes, bytes]) -> Self:
        """As ``git annex add`` adds."""
        if not settings.flag("core.symlinks", default=True):
            return cls._make(settings, shared, always(answer=True))
        unlocked = _setting("annex.addunlocked", settings, shared)
        return cls._make(settings, shared, _flag_or_expression(unlocked))

    @classmethod
    def _make(
        cls, settings: Settings, shared: Mapping[bytes, bytes], unlocked: Compiled[NewFile]
    ) -> Self:
        own = settings.get("annex.largefiles")
        return cls(
            largefiles=None if own is None else _compile(own),
            shared_largefiles=_compile(_shared("annex.largefiles", shared) or ""),
            unlocked=unlocked,
            dotfiles=_flag(_setting("annex.dotfiles", settings, shared)),
            small_files=settings.flag("annex.addsmallfiles", default=True),
        )

    def ground(self, path: bytes, attribute: str | None) -> Ground:
        """Which rule decides on one file; ``attribute`` as for ``kind``."""
        if path.rpartition(b"/")[2] in ALWAYS_GIT:
            return Ground.NAME
        if not self.dotfiles and _DOTFILE.search(path):
            return Ground.DOTFILE
        if self.largefiles is not None:
            return Ground.OWN
        return Ground.SHARED if attribute is None else Ground.ATTRIBUTE

    def kind(self, path: bytes, size: int, attribute: str | None) -> Kind:
        """What becomes of one file.

        ``attribute`` is its ``annex.largefiles`` as ``git check-attr`` prints it; None if
        unspecified.
        """
        ground = self.ground(path, attribute)
        small = Kind.GIT if self.small_files or ground is Ground.NAME else Kind.SKIP
        if ground in {Ground.NAME, Ground.DOTFILE}:
            return small
        file = NewFile(path, size)
        large = self._largefiles(attribute).match(file)
        if large is None:
            return Kind.ASK_GIT_ANNEX
        if not large:
            return small
        unlocked = self.unlocked.match(file)
        if unlocked is None:
            return Kind.ASK_GIT_ANNEX
        return Kind.ANNEX_UNLOCKED if unlocked else Kind.ANNEX_LOCKED

    def _largefiles(self, attribute: str | None) -> Compiled[NewFile]:
        if self.largefiles is not None:
            return self.largefiles
        if attribute is None:
            return self.shared_largefiles
        found = self._attributes.get(attribute)
        if found is None:
            found = self._attributes[attribute] = _compile(attribute)
        return found


def _setting(name: str, settings: Settings, shared: Mapping[bytes, bytes]) -> str | None:
    own = settings.get(name)
    return _shared(name, shared) if own is None else own


def _shared(name: str, shared: Mapping[bytes, bytes]) -> str | None:
    """A setting of the git-annex branch; an empty one is one that was unset."""
    value = shared.get(name.encode())
    return value.decode(errors="surrogateescape") if value else None


def _flag(value: str | None) -> bool:
    return value is not None and value.lower() in TRUE


def _flag_or_expression(value: str | None) -> Compiled[NewFile]:
    """``annex.addunlocked``: git's true and false, or an expression; an empty one is false."""
    if value is None or value.lower() in FALSE:
        return always(answer=False)
    return always(answer=True) if value.lower() in TRUE else _compile(value)


def _compile(text: str) -> Compiled[NewFile]:
    try:
        parsed = expression.parse(text)
        return always(answer=True) if parsed is None else compile_expression(parsed, _term)
    except ValueError:  # exotic or wrong: git-annex will say what is wrong with it
        return unknown()


def _term(term: Term) -> Compiled[NewFile]:
    value = term.value
    if value is None:
        if term.name in {"anything", "nothing"}:
            return always(answer=term.name == "anything")
    elif term.name == "include":
        return _include(value)
    elif term.name == "exclude":
        matches = glob.matcher(value)
        return Compiled(lambda file: not matches(file.path), by_path=True)
    elif term.name == "largerthan":
        limit = datasize.parse(value)
        return Compiled(lambda file: file.size > limit)
    elif term.name == "smallerthan":
        limit = datasize.parse(value)
        return Compiled(lambda file: file.size < limit)
    elif term.name in {"mimetype", "mimeencoding"}:
        return unknown()
    raise ValueError(f"term {term.name}")


def _include(value: str) -> Compiled[NewFile]:
    matches = glob.matcher(value)
    return Compiled(lambda file: matches(file.path), by_path=True)
