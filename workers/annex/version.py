"""What the git-annex on this machine can do; asked once."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self, final

from workers.git.run import GitError, run

NUMBER = re.compile(rb"git-annex version: (\d+)\.(\d{4})(\d\d)(\d\d)")


class NoGitAnnexError(Exception):
    """git-annex is not in PATH, or is not one that we understand."""

    exit_status = 100


@final
@dataclass(frozen=True, slots=True)
class GitAnnex:
    """One installed git-annex."""

    released: tuple[int, int, int]
    """Year, month, day: the part of its version that says what it can do."""

    backends: frozenset[bytes]
    """Key backends, as in ``annex.backend``; external ones (``X…``) are not listed."""

    @classmethod
    def installed(cls) -> Self:
        """The one in PATH; raises ``NoGitAnnexError``."""
        try:
            return cls.parse(run(("git-annex", "version"), cwd=Path("/")))
        except (OSError, GitError, ValueError) as wrong:
            raise NoGitAnnexError(f"git-annex cannot be run: {wrong}") from wrong

    @classmethod
    def parse(cls, text: bytes) -> Self:
        """From the output of ``git-annex version``; raises ``ValueError``."""
        number = NUMBER.match(text)
        if number is None:
            raise ValueError(f"not the version of a git-annex: {text[:60]!r}")
        fields = dict(line.split(b": ", 1) for line in text.splitlines() if b": " in line)
        return cls(
            released=(int(number[2]), int(number[3]), int(number[4])),
            backends=frozenset(fields.get(b"key/value backends", b"").split()),
        )
