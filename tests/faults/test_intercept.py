"""The tools of this directory do what they say: else all the rest would prove nothing."""

import errno
import os
import signal
from pathlib import Path

import pytest

from tests.faults.intercept import (
    GO_ON,
    KILL_ALL,
    KILL_CALLER,
    StuckError,
    intercepted,
    why_not,
)
from tests.faults.names import Call
from tests.processes import pause, run, run_to_end

WHY_NOT = why_not()
pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=WHY_NOT or "")


def three_files(place: Path) -> None:
    for number in range(3):
        (place / f"{number}").write_bytes(b"content")
        (place / f"{number}").rename(place / f"{number}.done")


def go_on(_call: Call) -> int:
    return GO_ON


def test_every_change_is_seen_in_order_and_nothing_that_only_reads(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"")

    def act() -> None:
        (tmp_path / "old").read_bytes()
        three_files(tmp_path)
        (tmp_path.parent / "elsewhere").write_bytes(b"")

    trace = intercepted(act, tmp_path, go_on)

    assert [call.name for call in trace.calls] == ["openat", "write", "rename"] * 3
    assert trace.calls[2].targets == ("~/0", "~/0.done")
    assert trace.status == 0


@pytest.mark.parametrize("number", range(1, 10))
def test_what_is_killed_before_a_change_has_made_those_before_it_and_no_other(
    tmp_path: Path, number: int
) -> None:
    trace = intercepted(
        lambda: three_files(tmp_path),
        tmp_path,
        lambda call: KILL_ALL if call.number == number else GO_ON,
    )

    assert trace.status == -signal.SIGKILL
    done = sum(path.name.endswith(".done") for path in tmp_path.iterdir())
    begun = [path for path in tmp_path.iterdir() if not path.name.endswith(".done")]
    assert done == (number - 1) // 3
    assert [path.read_bytes() for path in begun] == {0: [], 1: [b""], 2: [b"content"]}[
        (number - 1) % 3
    ]


def test_programs_that_it_starts_are_stopped_and_killed_too(tmp_path: Path) -> None:
    def act() -> None:
        run(["git", "init", "-q", tmp_path / "repo"])
        (tmp_path / "after").write_bytes(b"")

    number = next(
        call.number
        for call in intercepted(act, tmp_path, go_on).calls
        if call.program == "git" and call.targets[0].endswith("HEAD.lock")
    )
    run(["rm", "-r", tmp_path / "repo", tmp_path / "after"])
    trace = intercepted(act, tmp_path, lambda call: KILL_ALL if call.number == number else GO_ON)

    assert trace.struck is not None
    assert trace.struck.program == "git"
    assert trace.status == -signal.SIGKILL
    assert not (tmp_path / "repo/.git/HEAD.lock").exists()
    assert not (tmp_path / "after").exists()


def test_a_program_alone_can_be_killed(tmp_path: Path) -> None:
    def act() -> None:
        ended = run_to_end(["git", "init", "-q", tmp_path / "repo"])
        (tmp_path / "status").write_text(str(ended.status))

    trace = intercepted(act, tmp_path, lambda call: KILL_CALLER if call.number == 9 else GO_ON)

    assert trace.status == 0
    assert (tmp_path / "status").read_text() == str(-signal.SIGKILL)


def test_a_call_fails_with_the_error_that_is_asked_for(tmp_path: Path) -> None:
    def act() -> None:
        try:
            three_files(tmp_path)
        except OSError as failure:
            os._exit(failure.errno or 0)

    trace = intercepted(act, tmp_path, lambda call: errno.EDQUOT if call.number == 6 else GO_ON)

    assert trace.status == errno.EDQUOT
    assert not (tmp_path / "1.done").exists()
    assert (tmp_path / "1").exists()


def test_what_does_not_end_is_said_to_be_stuck(tmp_path: Path) -> None:
    def act() -> None:
        (tmp_path / "a").write_bytes(b"")
        pause(60)

    with pytest.raises(StuckError, match="~/a"):
        intercepted(act, tmp_path, go_on, limit_s=0.3)
