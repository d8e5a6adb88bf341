"""What ``annexd status`` says of a worker that is not up."""

from pathlib import Path

import pytest

from annexd.bulletin import Life
from annexd.instance import Holder
from annexd.report import to_text
from annexd.service import State
from annexd.status import Status, Worker
from spool.place import Place


def said_of(worker: Worker) -> str:
    """Its line, without its name."""
    status = Status(
        place=Place(Path("/r"), Path("/r/.git"), Path("/r/.git")),
        now=100.0,
        holder=Holder(1, is_annexd=True),
        started=90.0,
        ready=True,
        workers=(worker,),
        remotes=(),
        running=(),
        queued=0,
        workable=0,
        failed=0,
        pauses=(),
        limits=(),
        hold=None,
    )
    return to_text(status).splitlines()[1].removeprefix("  watcher").strip()


@pytest.mark.parametrize(
    ("state", "started", "restarts", "word", "said"),
    [
        (State.THROTTLED, 0.0, 0, "", "not started yet"),  # with --startdelay
        (State.THROTTLED, 95.0, 2, "KeyError: 1", "throttled, died 3 times: KeyError: 1"),
        (State.STOPPING, 95.0, 2, "", "stopping"),
        (State.RESTING, 95.0, 0, "", "resting"),
    ],
)
def test_one_that_is_not_up_has_died_only_if_it_has(
    state: State, started: float, restarts: int, word: str, said: str
) -> None:
    life = Life("watcher", None, started, restarts, state)

    assert said_of(Worker(life, None, word)) == said
