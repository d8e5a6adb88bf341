"""Trials of a transaction: see what it changes, strike at one point, recover, ask the oracle."""

import errno
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, final

from tests.faults.intercept import (
    GO_ON,
    KILL_ALL,
    KILL_CALLER,
    Judge,
    StuckError,
    Trace,
    intercepted,
)
from tests.faults.names import Call
from tests.faults.oracle import Oracle, plain_git_annex
from tests.faults.standing import stand
from tests.faults.systemcalls import ERRORS
from tests.faults.transactions import Transaction
from tests.faults.world import asked, copy, make_canary, pass_time, serve, start_anew

_DIED: Final = re.compile(r"^Traceback .*\n(?:[ \t].*\n)+([\w.]+)", re.MULTILINE)
_EXPECTED: Final = re.compile(
    r"(OS|IO|Timeout|Permission|\w*NotFound|FileExists|IsADirectory|NotADirectory|BlockingIO"
    r"|BrokenPipe|ProcessLookup|AlreadyRunning|\w*(Git|Trouble|StreamEnded|Temporary|Busy|Operational|Away))Error"
)
"""How a worker may die of an error of the kernel's."""


@final
@dataclass(frozen=True, slots=True)
class Point:
    """Where and how to strike; ``str`` is what ``parse`` reads."""

    number: int
    """Of the call, from 1."""
    how: str
    """``kill``, ``kill-caller``, or an error's name; with a ``+``: from then on, of all such."""

    def __str__(self) -> str:
        return f"{self.how}@{self.number}"

    @classmethod
    def parse(cls, text: str) -> "Point":
        """The inverse of ``str``."""
        how, _, number = text.partition("@")
        return cls(int(number), how)

    def judge(self) -> Judge:
        """What is to become of each call of a run."""
        if self.how in {"kill", "kill-caller"}:
            verdict = KILL_ALL if self.how == "kill" else KILL_CALLER
            return lambda call: verdict if call.number == self.number else GO_ON
        code = getattr(errno, self.how.rstrip("+"))
        struck: list[str] = []

        def fail(call: Call) -> int:
            if call.number == self.number:
                struck.append(call.name)
            sticks = self.how.endswith("+") and call.name in struck and call.is_of_a_file
            return code if call.number == self.number or sticks else GO_ON

        return fail


@final
@dataclass(slots=True)
class Campaign:
    """One transaction, in a directory of the test's own."""

    transaction: Transaction
    home: Path
    calls: list[Call] = field(default_factory=list)
    """What an undisturbed run changes."""
    _oracle: Oracle | None = None

    @property
    def place(self) -> Path:
        """The world."""
        return self.home / "world"

    @property
    def pristine(self) -> Path:
        """The world before the transaction, to be copied."""
        return self.home / "pristine"

    def prepare(self) -> None:
        """Build the world, and see what the transaction changes and comes to."""
        self.place.mkdir()
        make_canary(self.place)
        self.transaction.build(self.place)
        self.place.rename(self.pristine)
        copy(self.pristine, self.place)
        trace = self.run(undisturbed)
        assert trace.status == 0, trace.said
        self.calls = trace.calls
        self.recover()
        after = stand(self.place)
        copy(self.pristine, self.place)
        self._oracle = Oracle.ask(self.place, after)

    def points(self, *, errors: bool) -> Iterator[Point]:
        """Every point there is."""
        for call in self.calls:
            if not errors:
                yield Point(call.number, "kill")
                if call.program.startswith("git"):
                    yield Point(call.number, "kill-caller")
                continue
            if not call.is_of_a_file:
                continue
            for code in ERRORS.get(call.name, ()):
                yield Point(call.number, errno.errorcode[code])
                yield Point(call.number, errno.errorcode[code] + "+")

    def strike(self, point: Point, *, by_hand: bool) -> list[str]:
        """One trial: what is wrong; ``by_hand``: let git-annex look before anything is repaired."""
        assert self._oracle is not None, "prepare first"
        copy(self.pristine, self.place)
        try:
            trace = self.run(point.judge(), stop_soon="kill" not in point.how)
        except StuckError as stuck:
            return [f"I4 {stuck}"]
        problems = [*_unexpected(trace), *self._oracle.at_once(self.place)]
        if by_hand:
            problems += plain_git_annex(self.place)
        try:
            self.recover()
            problems += self._oracle.at_rest(self.place)
            once = stand(self.place)
            self.recover()
        except AssertionError as failed:
            return [*problems, f"I10 {failed}"]
        problems += [f"I10 {told}" for told in once.differences(stand(self.place))]
        return [f"{point} {trace.struck}: {problem}" for problem in problems]

    def run(self, judge: Judge, *, stop_soon: bool = False) -> Trace:
        """The transaction, once."""
        act = self.transaction.act
        if act is None:
            name, repo = self.transaction.roles[0]
            return self._serve(name, repo, judge, 1.0 if stop_soon else math.inf)
        return intercepted(lambda: act(self.place), self.place, judge)

    def _serve(self, name: str, repo: str, judge: Judge, patience_s: float = math.inf) -> Trace:
        at = self.place / repo
        until = asked(name, at)
        return intercepted(
            lambda: serve(name, at), self.place, judge, until=until, patience_s=patience_s
        )

    def recover(self) -> None:
        """What is done at the next start: killed processes are gone, and some time has passed."""
        pass_time(self.place)
        start_anew(self.place)
        wanted = self.transaction
        steps = [partial(self._serve, *each, undisturbed) for each in wanted.roles]
        steps += [
            partial(intercepted, partial(part, self.place), self.place, undisturbed)
            for part in (wanted.mend, wanted.act, wanted.conclude)
            if part is not None
        ]
        for step in steps:
            trace = step()
            if "InterruptedError" in trace.said:
                # By a signal that came before we had the kernel's question: no disk does that.
                trace = step()
            assert trace.status == 0, f"recovery: {trace.said}"
        start_anew(self.place)


def undisturbed(_call: Call) -> int:
    """Let everything happen."""
    return GO_ON


def _unexpected(trace: Trace) -> Iterator[str]:
    """A traceback that is not of the error which we made."""
    for died in _DIED.finditer(trace.said):
        if not _EXPECTED.fullmatch(died[1].rpartition(".")[2]):
            yield f"died of something else: {trace.said[-1500:]}"
