"""git's configuration, read once.

``git config --list -z`` with everything that git itself would see (system, user, repository,
included files).  Names are as git prints them: section and variable in lower case, the subsection
(a remote's name) as written.  Values are text, with bytes that are not UTF-8 as surrogates
(``os.fsencode`` gives them back).
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Self, final, overload

from workers.git.run import Git

TRUE = frozenset(("true", "yes", "on", "1"))
FALSE = frozenset(("false", "no", "off", "0", ""))
"""git-config(1), "Values", boolean.  A variable without ``=`` is true, an empty one is false."""

NUMBER = re.compile("[0-9]{1,18}")


@final
@dataclass(frozen=True, slots=True)
class Settings:
    """Every variable with its values, the last one winning."""

    values: Mapping[str, tuple[str, ...]]

    @classmethod
    def read(cls, git: Git) -> Self:
        """Ask git; raises ``GitError`` when a configuration file does not parse."""
        return cls.parse(git.run("config", "--list", "-z"))

    @classmethod
    def parse(cls, listed: bytes) -> Self:
        """From the output of ``git config --list -z``."""
        values: dict[str, list[str]] = {}
        for entry in listed.split(b"\0")[:-1]:
            name, equals, value = entry.partition(b"\n")
            values.setdefault(os.fsdecode(name), []).append(
                os.fsdecode(value) if equals else "true"
            )
        return cls({name: tuple(found) for name, found in values.items()})

    @overload
    def get(self, name: str) -> str | None: ...
    @overload
    def get(self, name: str, default: str) -> str: ...
    def get(self, name: str, default: str | None = None) -> str | None:
        """The value that counts; the default if it is not set."""
        values = self.values.get(name)
        return values[-1] if values else default

    def flag(self, name: str, *, default: bool) -> bool:
        """A boolean; what git would not take for one counts as not set."""
        value = self.get(name)
        if value is None:
            return default
        value = value.lower()
        return True if value in TRUE else False if value in FALSE else default

    def number(self, name: str, default: int) -> int:
        """A plain decimal number; anything else counts as not set."""
        value = self.get(name)
        return int(value) if value is not None and NUMBER.fullmatch(value) else default

    def below(self, section: str) -> Iterator[tuple[str, str]]:
        """Every variable of a section or subsection (``remote.origin``), without that prefix."""
        prefix = section + "."
        for name, values in self.values.items():
            if name.startswith(prefix):
                yield name[len(prefix) :], values[-1]
