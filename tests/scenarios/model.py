"""A random life of several repositories: what people do in them, planned from a seed.

The plan depends on the seed alone, so the same seed always plans the same operations.  What each
does depends on what is there when its turn comes: an edit of a file that is not there adds it.
"""

import enum
import random
from dataclasses import dataclass
from typing import final

REPOS = 3
ROUND = 25
"""Operations between two moments of rest."""

DIRECTORIES = ("", "d/", "d/e/", "g/")
FILES = ("one.txt", "two.txt", "three.bin", "four.bin", "five", "new\nline", "six ü", "-seven")
NAMES = tuple(directory + file for directory in DIRECTORIES for file in FILES)


@final
class Act(enum.StrEnum):
    """What somebody does."""

    SAVE = "save"
    """Add or edit, by writing another file and renaming it."""
    REWRITE = "rewrite"
    """Add or edit, in place."""
    APPEND = "append"
    RENAME = "rename"
    MOVE = "move"
    """A directory."""
    DELETE = "delete"
    SPLIT = "split"
    """A file becomes a directory with a file in it."""
    CHMOD = "chmod"
    LINK = "link"
    LOCK = "lock"
    UNLOCK = "unlock"
    STOP = "stop"
    START = "start"
    KILL = "kill"
    KILL_WORKER = "kill worker"


WEIGHTS: dict[Act, int] = {
    Act.SAVE: 30,
    Act.REWRITE: 20,
    Act.APPEND: 12,
    Act.RENAME: 12,
    Act.MOVE: 4,
    Act.DELETE: 8,
    Act.SPLIT: 2,
    Act.CHMOD: 4,
    Act.LINK: 3,
    Act.LOCK: 2,
    Act.UNLOCK: 2,
    Act.STOP: 2,
    Act.START: 4,
    Act.KILL: 2,
    Act.KILL_WORKER: 6,
}


@final
@dataclass(frozen=True, slots=True)
class Step:
    """One operation, and how long its user dawdles afterwards."""

    act: Act
    repo: int
    name: str
    other: str
    content: bytes
    chance: float
    """In [0, 1): whatever else there is to choose."""
    pause_s: float

    def __str__(self) -> str:
        return f"{'abc'[self.repo]} {self.act} {self.name!r} {self.other!r}"


def plan(seed: int, turn: int) -> list[Step]:
    """The steps of one round."""
    chance = random.Random(f"{seed}/{turn}")
    # Some rounds are about few names, so that people get into each other's way.
    names = chance.sample(NAMES, chance.choice([3, 8, len(NAMES)]))
    return [_step(chance, names, f"{seed}.{turn}.{number}") for number in range(ROUND)]


def _step(chance: random.Random, names: list[str], unique: str) -> Step:
    size = chance.choice([0, 1, 20, 3000, 200_000])
    return Step(
        act=chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0],
        repo=chance.randrange(REPOS),
        name=chance.choice(names),
        other=chance.choice(names),
        content=f"{unique}\n".encode() + chance.randbytes(size).hex().encode(),
        chance=chance.random(),
        pause_s=chance.choice([0, 0, 0.05, 0.3, 0.8]),
    )
