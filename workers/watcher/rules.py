"""What the user's rules say of paths: ignored or not, git's or the annex's.

``.gitignore`` and ``.gitattributes`` are read by long-lived git processes that keep what they have
read: ``reload`` ends them when one of those files has changed.  If git gives no answer for a path,
the path counts as ignored: what may be ignored is not added.
"""

import logging
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

from spool.record import escape
from workers.annex import maplog
from workers.annex.addpolicy import AddPolicy, Kind
from workers.annex.backend import choose
from workers.annex.branch import REF
from workers.annex.sharedsettings import CONFIG_LOG, with_shared
from workers.annex.version import GitAnnex
from workers.git.attributes import CheckAttributes, CheckIgnore, Rule
from workers.git.refname import RefName
from workers.git.stream import ObjectId, StreamEndedError
from workers.watcher.autocommit import Commits
from workers.watcher.desk import Desk

log = logging.getLogger(__name__)

_CONVERTING: Final = ("text", "eol", "crlf", "ident", "working-tree-encoding")
_ATTRIBUTES: Final = ("annex.largefiles", "annex.backend", "filter", *_CONVERTING)
_SILENT: Final = frozenset((b"unspecified", b"unset"))

_PASSING: Final = re.compile(
    rb"(?:.*/)?(?:\.~lock\.[^/]*\#|\.[^/]*\.sw[g-px]|\.\#[^/]*|\.goutputstream-[A-Z0-9]{6}"
    rb"|~\$[^/]*\.(?:doc|xls|ppt)[xm]?)",
    re.DOTALL,
)
"""Locks and unfinished files of programs: LibreOffice, vim (not .swf), Emacs, GLib, MS Office.

Not what holds a user's work, as Emacs's ``#file#``."""


@final
@dataclass(frozen=True, slots=True)
class Attributes:
    """What .gitattributes says of a path."""

    largefiles: str | None
    backend: bytes | None
    converts: bool
    """Whether git stores something else than the file's bytes."""


_UNKNOWN: Final = Attributes(None, None, converts=False)


@final
class Rules:
    """The rules of one repository."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._ignore: CheckIgnore | None = None
        self._attributes: CheckAttributes | None = None
        self._tip: ObjectId | None = None
        self._shared: dict[bytes, bytes] | None = None
        self._git_annex: GitAnnex | None = None
        self.policy = self._read_policy()

    def reload(self) -> None:
        """Rules or settings may have changed."""
        self.close()
        self._shared = None
        self.policy = self._read_policy()

    def refresh(self) -> bool:
        """Look whether ``git annex config`` has set something; that it has is told once."""
        before = self._shared
        if self._desk.refs.get(RefName(REF)) != self._tip:
            self.policy = self._read_policy()
        return self._shared != before

    def close(self) -> None:
        """End the git processes."""
        for asker in (self._ignore, self._attributes):
            if asker is not None:
                asker.close()
        self._ignore = self._attributes = None

    @property
    def autocommit(self) -> bool:
        """Whether changes of files are committed of one's own accord."""
        return self._commits() is Commits.AUTO

    @property
    def commits_staged(self) -> bool:
        """Whether what a user has staged is committed."""
        return self._commits() is not Commits.OFF

    def _commits(self) -> Commits:
        return Commits.of(with_shared(self._desk.repository.settings, self._shared or {}))

    @property
    def admission(self) -> tuple[object, ...]:
        """What decides whether new files are added at all: if it changes, look at all of them.

        Also what git-annex may have refused some of them for.
        """
        settings = self._desk.repository.settings
        names = ("core.excludesfile", "annex.addsmallfiles", "annex.dotfiles")
        refused = ("annex.largefiles", "annex.backend", "annex.backends", "annex.addunlocked")
        return self.autocommit, self.only_secure_hashes, *map(settings.get, (*names, *refused))

    @property
    def adds_unlocked(self) -> bool:
        """Whether all new files are added unlocked, as the assistant does by default."""
        settings = self._desk.repository.settings
        return not settings.flag("annex.assistant.allowunlocked", default=False)

    def backend(self, attributes: Attributes) -> bytes:
        """The name of the backend for new content."""
        if attributes.backend is not None and self._git_annex is None:
            self._git_annex = GitAnnex.installed()
        return choose(attributes.backend, self._desk.repository.settings, self._git_annex)

    @property
    def only_secure_hashes(self) -> bool:
        """``annex.securehashesonly``: git-annex refuses to add what has another backend."""
        settings = with_shared(self._desk.repository.settings, self._shared or {})
        return settings.flag("annex.securehashesonly", default=False)

    def kind(self, path: bytes, size: int, attributes: Attributes) -> Kind:
        """What becomes of a new file."""
        return self.policy.kind(path, size, attributes.largefiles)

    def shared_kind(self, path: bytes, size: int, attributes: Attributes) -> Kind | None:
        """As ``kind``, from the rules that every clone has; None if they are silent."""
        if attributes.largefiles is None and not (self._shared or {}).get(b"annex.largefiles"):
            return None
        if self.policy.largefiles is not None:
            return None  # this clone's own setting goes before them
        return self.kind(path, size, attributes)

    def ignores(self, path: bytes) -> bool:
        """Whether a path that is not tracked is to be left alone."""
        return bool(self.ignored((path,)))

    def ignored(self, paths: Sequence[bytes]) -> set[bytes]:
        """Those of the paths that are to be left alone, unless they are tracked."""
        found: set[bytes] = set()
        at, doubted = 0, -1
        while at < len(paths):
            try:
                if self._ignore is None:
                    self._ignore = CheckIgnore(self._desk.git)
                for path, rule in zip(paths[at:], self._ignore.ask(paths[at:]), strict=True):
                    at += 1
                    if _is_ignored(path, rule):
                        found.add(path)
            except StreamEndedError:
                if self._ignore is not None:
                    self._ignore.close()
                self._ignore = None
                if doubted != at:  # somebody may have killed it; if the path did, so ends the next
                    doubted = at
                    continue
                log.info("skip %s: git cannot tell whether it is ignored", _shown(paths[at]))
                found.add(paths[at])
                at += 1
        return found

    def attributes(self, paths: Sequence[bytes]) -> list[Attributes]:
        """The attributes of each path, in order."""
        found: list[Attributes] = []
        while len(found) < len(paths):
            try:
                if self._attributes is None:
                    self._attributes = CheckAttributes(self._desk.git, *_ATTRIBUTES)
                found.extend(map(self._read, self._attributes.ask(paths[len(found) :])))
            except StreamEndedError:
                if self._attributes is not None:
                    self._attributes.close()
                self._attributes = None
                found.append(_UNKNOWN)
        return found

    def _read(self, values: dict[str, bytes]) -> Attributes:
        large, backend = values["annex.largefiles"], values["annex.backend"]
        converts = values["filter"] not in (*_SILENT, b"annex") or any(
            values[name] not in _SILENT for name in _CONVERTING
        )
        return Attributes(
            None if large in _SILENT else large.decode(errors="surrogateescape"),
            None if backend in _SILENT else backend,
            converts or self._autocrlf,
        )

    def _read_policy(self) -> AddPolicy:
        self._tip = self._desk.refs.get(RefName(REF))
        shared = maplog.by_name(self._desk.branch.read(CONFIG_LOG))
        settings = self._desk.repository.settings
        crlf = settings.get("core.autocrlf", "false").lower()
        self._autocrlf = crlf not in ("false", "no", "off", "0", "")
        if shared != self._shared:
            self._shared = shared
            return AddPolicy.for_assistant(settings, shared)
        return self.policy


def _is_ignored(path: bytes, rule: Rule | None) -> bool:
    if rule is not None:
        return rule.ignores  # a rule with "!" overrides the list of passing files
    return is_passing(path)


def is_passing(path: bytes) -> bool:
    """Whether it is a lock or an unfinished file of a program, by its name."""
    return _PASSING.fullmatch(path) is not None


def _shown(path: bytes) -> str:
    return escape(os.fsdecode(path))
