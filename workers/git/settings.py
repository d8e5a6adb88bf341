"""git's configuration, read once: every value, where it stands, and git's way of reading it.

One ``git config --list`` sees what git itself would see: system, user, repository, work tree,
``-c``, and everything included.  Names are compared as git does: section and variable without
regard to case, the subsection (a remote's name) exactly.

Source: git-config(1), "Syntax" and "Values".
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final, Self, final

from workers.git.run import Git

_TRUE: Final = frozenset((b"true", b"yes", b"on"))
_FALSE: Final = frozenset((b"false", b"no", b"off", b""))
_NUMBER: Final = re.compile(
    rb"[ \t\n\v\f\r]*(?P<sign>[+-]?)"
    rb"(?P<digits>0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)(?P<unit>[kKmMgG]?)"
)
_UNITS: Final = {b"": 1, b"k": 1 << 10, b"m": 1 << 20, b"g": 1 << 30}
_MAX: Final = 1 << 63
_INT_MAX: Final = 1 << 31
"""A boolean may be a number, but a small one."""


class SettingError(ValueError):
    """A value that git would not take either; names the variable."""

    exit_status = 100


@final
@dataclass(frozen=True, slots=True)
class Setting:
    """One value of a variable."""

    value: bytes | None
    """None: named without ``=``, which is true for a boolean."""
    file: Path | None
    """Where it stands; None for the command line."""


@final
@dataclass(frozen=True, slots=True)
class Settings:
    """All variables; each with its values in the order in which git reads them: the last counts."""

    values: Mapping[bytes, tuple[Setting, ...]]
    files: tuple[Path, ...]
    """The files that were read and set something, included ones too: what to watch."""

    @classmethod
    def read(cls, git: Git) -> Self:
        """Ask git; raises ``GitError`` if a file does not parse."""
        listed = git.run("config", "--list", "--show-origin", "--includes", "-z")
        return cls.parse(listed, git.worktree or git.gitdir)

    @classmethod
    def parse(cls, listed: bytes, directory: Path) -> Self:
        """From ``git config --list --show-origin -z``, run in ``directory``."""
        values: dict[bytes, list[Setting]] = {}
        files: dict[Path, None] = {}
        fields = iter(listed.split(b"\0")[:-1])
        for origin in fields:
            kind, _, where = origin.partition(b":")
            file = directory / os.fsdecode(where) if kind == b"file" else None
            if file is not None:
                files[file] = None
            name, newline, value = next(fields).partition(b"\n")
            values.setdefault(name, []).append(Setting(value if newline else None, file))
        frozen = {name: tuple(found) for name, found in values.items()}
        return cls(MappingProxyType(frozen), tuple(files))

    def all(self, name: str | bytes) -> tuple[bytes, ...]:
        """Every value of a variable; one without ``=`` as ``b""``."""
        return tuple(setting.value or b"" for setting in self.values.get(_normal(name), ()))

    def get(self, name: str | bytes) -> bytes | None:
        """The value that counts; None if the variable is not set."""
        found = self.all(name)
        return found[-1] if found else None

    def flag(self, name: str | bytes) -> bool | None:
        """A boolean; None if it is not set.  Raises ``SettingError``."""
        setting = self._last(name)
        if setting is None:
            return None
        if setting.value is None or setting.value.lower() in _TRUE:
            return True
        if setting.value.lower() in _FALSE:
            return False
        return _number(name, setting.value, _INT_MAX) != 0

    def number(self, name: str | bytes) -> int | None:
        """An integer, with git's units (``10k``); None if it is not set.

        Raises ``SettingError``.
        """
        setting = self._last(name)
        return None if setting is None else _number(name, setting.value or b"")

    def path(self, name: str | bytes) -> Path | None:
        """A path, ``~`` and ``~user`` expanded; None if it is not set, or empty.

        A relative one is relative to whatever the variable's description says.
        """
        value = self.get(name)
        return Path(os.path.expanduser(os.fsdecode(value))) if value else None

    def subsections(self, section: str) -> Iterator[bytes]:
        """The names under ``[section "NAME"]``, each once, in order."""
        prefix = section.lower().encode() + b"."
        seen: dict[bytes, None] = {}
        for name in self.values:
            if name.startswith(prefix) and name.count(b".") > 1:
                seen[name[len(prefix) : name.rindex(b".")]] = None
        return iter(seen)

    def _last(self, name: str | bytes) -> Setting | None:
        found = self.values.get(_normal(name))
        return found[-1] if found else None


def _normal(name: str | bytes) -> bytes:
    raw = name.encode() if isinstance(name, str) else name
    section, dot, rest = raw.partition(b".")
    subsection, last_dot, variable = rest.rpartition(b".")
    return section.lower() + dot + subsection + last_dot + variable.lower()


def _number(name: str | bytes, value: bytes, limit: int = _MAX) -> int:
    found = _NUMBER.fullmatch(value)
    if found is None:
        raise SettingError(f"{os.fsdecode(_normal(name))}: not a number: {value[:80]!r}")
    digits = found["digits"].lower()
    base = 16 if digits.startswith(b"0x") else 8 if digits.startswith(b"0") else 10
    number = int(digits, base) * _UNITS[found["unit"].lower()]
    if found["sign"] == b"-":
        number = -number
    if not -limit <= number < limit:
        raise SettingError(f"{os.fsdecode(_normal(name))}: out of range: {value[:80]!r}")
    return number
