"""What git said when something went wrong, on one line."""

import os
import re
from typing import Final

from workers.git.exchange import Said
from workers.git.run import GitError
from workers.git.told import told

REASONS_MAX: Final = 4
_NOISE: Final = re.compile(
    r"\s*\Z|Please make sure you have|and the repository exists|hint:|"
    r"(?:remote: )?[A-Z][a-z]+ objects|"
    r"gpg: +(?:Signature made|using|Good signature)|gcrypt: (?:De|En)crypting"
)


def explain(failure: GitError) -> str:
    """What git, ssh and the remote said, without progress and advice; on one line."""
    lines = told(failure.stderr.replace(b"\r", b"\n"))
    said = [line.strip() for line in lines if not _NOISE.match(line)]
    return " / ".join(said[-REASONS_MAX:]) or str(failure)


def quote(refused: list[Said]) -> str:
    """Which refs were refused, and why."""
    shown = (
        f"{os.fsdecode(answer.target)}: {answer.reason.decode(errors='backslashreplace')}"
        for answer in refused
    )
    return "refused: " + "; ".join(shown)
