"""The life of one worker, as a table; and how long to wait before its next life.

Pure: no clock, no process.  ``annexd.crew`` turns wishes, exits and timers into events,
and carries out the actions.

    DOWN --wanted--> UP --died--> UP (a new process, at once)
     |                | `--died early--> THROTTLED --timer--> UP
     |                `--unwanted--> STOPPING --timer--> KILLED --timer--> DOWN
     `--delayed--> THROTTLED --unwanted--> DOWN           (died: DOWN, from both)

    UP --left to begin afresh--> UP (a new process)
    UP --left to rest--> RESTING --roused--> UP
                            `--unwanted--> DOWN
"""

import enum
import os
import signal
from dataclasses import dataclass
from typing import final

from workers.process import Leave


@final
class State(enum.StrEnum):
    """What a worker is, as ``annexd status`` shows it."""

    DOWN = "down"
    UP = "up"
    THROTTLED = "throttled"
    """It keeps dying, and is started again when its timer says so."""

    RESTING = "resting"
    """It had nothing to do and has ended; it is started again when others work."""

    STOPPING = "stopping"
    """It was asked to stop, and is killed when its timer says so."""

    KILLED = "killed"
    """It was killed; when its timer says so we no longer wait for the kernel to end it."""


@final
class Event(enum.Enum):
    """What can happen."""

    WANTED = enum.auto()
    DELAYED = enum.auto()
    """It is wanted, but not yet (``--startdelay``)."""

    UNWANTED = enum.auto()
    RENEWED = enum.auto()
    """It has ended to begin afresh, or to rest and it is too late for that."""

    RESTED = enum.auto()
    ROUSED = enum.auto()
    DIED = enum.auto()
    DIED_EARLY = enum.auto()
    """It died early, and not for the first time in a row; or it could not be started."""

    TIMER = enum.auto()


@final
class Action(enum.Enum):
    """What to do then."""

    NOTHING = enum.auto()
    SPAWN = enum.auto()
    ARM_TIMER = enum.auto()
    TERMINATE = enum.auto()
    """Ask it to stop, and arm the timer."""

    KILL = enum.auto()
    """SIGKILL to its whole group, and arm the timer."""

    GIVE_UP = enum.auto()


_S, _E, _A = State, Event, Action

TRANSITIONS: dict[tuple[State, Event], tuple[State, Action]] = {
    (_S.DOWN, _E.WANTED): (_S.UP, _A.SPAWN),
    (_S.DOWN, _E.DELAYED): (_S.THROTTLED, _A.ARM_TIMER),
    (_S.UP, _E.DIED): (_S.UP, _A.SPAWN),
    (_S.UP, _E.DIED_EARLY): (_S.THROTTLED, _A.ARM_TIMER),
    (_S.UP, _E.RENEWED): (_S.UP, _A.SPAWN),
    (_S.UP, _E.RESTED): (_S.RESTING, _A.NOTHING),
    (_S.UP, _E.UNWANTED): (_S.STOPPING, _A.TERMINATE),
    (_S.RESTING, _E.ROUSED): (_S.UP, _A.SPAWN),
    (_S.RESTING, _E.UNWANTED): (_S.DOWN, _A.NOTHING),
    (_S.THROTTLED, _E.TIMER): (_S.UP, _A.SPAWN),
    (_S.THROTTLED, _E.UNWANTED): (_S.DOWN, _A.NOTHING),
    (_S.STOPPING, _E.DIED): (_S.DOWN, _A.NOTHING),
    (_S.STOPPING, _E.DIED_EARLY): (_S.DOWN, _A.NOTHING),
    (_S.STOPPING, _E.TIMER): (_S.KILLED, _A.KILL),
    (_S.KILLED, _E.DIED): (_S.DOWN, _A.NOTHING),
    (_S.KILLED, _E.DIED_EARLY): (_S.DOWN, _A.NOTHING),
    (_S.KILLED, _E.TIMER): (_S.DOWN, _A.GIVE_UP),
}
"""Every pair that is absent means: stay, do NOTHING."""


def step(state: State, event: Event) -> tuple[State, Action]:
    """The next state, and the action that gets there."""
    return TRANSITIONS.get((state, event), (state, Action.NOTHING))


CRASH_FORGIVEN_S = 60.0
"""A worker that crashes on what it finds in the repository will find it again next time.  Only
after this long was it something else."""

KILL_FORGIVEN_S = 1.0
"""A worker that was killed has done nothing wrong.  But nobody needs more than one new process a
second, however often somebody kills the old one."""

DELAY_MAX_S = 60.0


@final
@dataclass(frozen=True, slots=True)
class Death:
    """How a life ended."""

    lived_s: float
    status: int
    """As wait(2) gives it."""

    def was_early(self) -> bool:
        """Whether the next life is likely to end the same way."""
        return self.lived_s < (KILL_FORGIVEN_S if self.was_killed() else CRASH_FORGIVEN_S)

    def was_killed(self) -> bool:
        """Whether somebody else ended it: by SIGKILL, or by SIGTERM, on which a worker exits 0."""
        code = os.waitstatus_to_exitcode(self.status)
        return code in {0, *Leave, -signal.SIGKILL, -signal.SIGTERM}

    def leave(self) -> Leave | None:
        """Why it has ended by itself, if it meant to.

        But nobody needs to so soon: who does all the same is counted with those that are killed.
        """
        code = os.waitstatus_to_exitcode(self.status)
        meant = code in set(Leave) and self.lived_s >= KILL_FORGIVEN_S
        return Leave(code) if meant else None

    def __str__(self) -> str:
        code = os.waitstatus_to_exitcode(self.status)
        return f"status {code}" if code >= 0 else f"signal {-code}"


def next_tally(tally: int, death: Death) -> int:
    """How many early deaths in a row, this one included."""
    return tally + 1 if death.was_early() else 0


def delay_s(tally: int, death: Death) -> float:
    """How long to wait before the next life.

    At once the first time; then 1, 2, 4… 60 s, but no more than 1 s if the last one was killed.
    """
    if tally <= 1:
        return 0.0
    limit = KILL_FORGIVEN_S if death.was_killed() else DELAY_MAX_S
    return min(limit, 2.0 ** min(tally - 2, 6))
