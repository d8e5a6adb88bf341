"""The command line of ``contrib/torture``: faults at the counts of a release."""

import itertools
import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final, final

import typer

from tests.conftest import SETTINGS
from tests.faults import intercept, parsers, powercut, series
from tests.faults.campaign import Campaign, Point
from tests.faults.planning import life
from tests.faults.powercut import Cut, PowerCuts
from tests.faults.seeds import Kept, chosen, keep, remembered_cuts, seeds_of
from tests.faults.transactions import ALL
from tests.processes import run_to_end
from tests.routing.campaign import trial

CLASSES: Final = {
    "A": "lives of a planner and its spool, with a fake clock and fake remotes",
    "B": "killed before any change of a transaction",
    "D": "power cuts: the disk as it was before any change, names first",
    "E": "any call of a transaction fails, once or from then on",
    "R": "broken input for every parser",
    "Y": "networks of chance, by tree and by flood, with something that goes wrong",
}
"""Those that are counted here; ``series.ALL`` are the others, whose trials are tests."""

RELEASE_INPUTS: Final = 1_000_000
RELEASE_SEEDS: Final = {"A": 100_000, "Y": 10_000}

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@final
@dataclass(slots=True)
class Tally:
    """What has been tried so far."""

    seed: int
    count: int | None
    only: str | None
    jobs: int
    tried: dict[str, int] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    def note(self, fault: str, problems: list[str]) -> None:
        """One more was tried."""
        self.tried[fault] = self.tried.get(fault, 0) + 1
        if problems:
            self.failed.append(f"{fault} {problems[0][:200]}")
            typer.echo("\n".join(f"  FAIL {fault} {problem}" for problem in problems))

    def names(self) -> list[str]:
        """The transactions that are wanted."""
        return [name for name in ALL if self.only is None or self.only in name]


def _list(wanted: bool) -> None:  # noqa: FBT001 -- typer's
    if wanted:
        for name, text in sorted(
            {**CLASSES, **{key: each.what for key, each in series.ALL.items()}}.items()
        ):
            typer.echo(f"{name}  {text}")
        for name in ALL:
            typer.echo(f"   {name}")
        raise typer.Exit


@app.command()
def torture(  # noqa: PLR0913 -- the command line
    classes: Annotated[
        list[str] | None, typer.Argument(help="Classes of faults; see --list.")
    ] = None,
    *,
    count: Annotated[
        int | None,
        typer.Option(
            help="Points a transaction, inputs a parser, lives, networks, trials; else all."
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Chooses the points; printed.")] = None,
    only: Annotated[str | None, typer.Option(help="Transactions whose names contain this.")] = None,
    point: Annotated[
        str | None, typer.Option(help="One point, as it was printed: kill@12.")
    ] = None,
    jobs: Annotated[
        int,
        typer.Option(min=1, help="So many tests at a time, of the classes whose trials are tests."),
    ] = 2 * (os.cpu_count() or 1),  # they wait for most of their time, as in contrib/test
    keep_failed: Annotated[
        bool, typer.Option("--keep/--no-keep", help="Add what fails to tests/faults/seeds.txt.")
    ] = True,
    _list: Annotated[
        bool, typer.Option("--list", callback=_list, is_eager=True, help="All there is; exit.")
    ] = False,
) -> None:
    """Inject faults into annexd's transactions, and ask after each whether anything was lost.

    Without arguments: all classes at their release counts, which takes days; one or some at a
    time is what they are for.  Exit status 1 if anything failed.  A point that fails is printed
    with its name and seed, tried again by ``--only NAME --point POINT``, and kept for all later
    runs of the tests.  A test that fails is tried again at once, alone, and later by the seed of
    its round: ``torture C --seed N --count 1``, or ``ANNEXD_SEED=N pytest NAME``; what it said
    stays in the directory that is printed, where one can look on, too.
    """
    wanted = [each.upper() for each in classes or sorted({*CLASSES, *series.ALL})]
    unknown = set(wanted) - CLASSES.keys() - series.ALL.keys()
    if unknown:
        raise typer.BadParameter(f"no such class: {' '.join(sorted(unknown))}")
    seed = random.randrange(1 << 32) if seed is None else seed
    typer.echo(f"seed {seed}")
    tally = Tally(seed, count, only, jobs)
    began = time.monotonic()
    remember: Callable[[Kept], None] = keep if keep_failed else lambda _failed: None
    with _sealed():
        for fault in wanted:
            _one_class(fault, tally, point, remember)
    typer.echo(f"seed {seed}, {time.monotonic() - began:.0f} s")
    for fault, number in sorted(tally.tried.items()):
        bad = sum(each.startswith(f"{fault} ") for each in tally.failed)
        typer.echo(f"{fault}  {number:>8} tried, {bad} failed")
    for failed in tally.failed:
        typer.echo(failed)
    raise typer.Exit(1 if tally.failed else 0)


def _one_class(
    fault: str, tally: Tally, point: str | None, remember: Callable[[Kept], None]
) -> None:
    if (why := _why_not(fault)) is not None:
        typer.echo(f"{fault}  skipped: {why}")
        return
    match fault:
        case "B" | "E":
            for name in tally.names():
                _strike(fault, name, tally, point, remember)
        case "D":
            for name in tally.names():
                if not name.startswith(("spool: ", "start")):  # nothing of theirs is synced
                    _cut(name, tally, point, remember)
        case "R":
            _fuzz(tally)
        case "A" | "Y":
            _sow(fault, tally, remember)
        case _:
            _play(fault, tally, remember)


def _fuzz(tally: Tally) -> None:
    for name in parsers.ALL:
        if tally.only is None or tally.only in name:
            told = parsers.fuzz(name, tally.count or RELEASE_INPUTS, tally.seed)
            tally.note("R", [] if told is None else [told])
            typer.echo(f"R  {name}: {tally.count or RELEASE_INPUTS} inputs")


def _sow(fault: str, tally: Tally, remember: Callable[[Kept], None]) -> None:
    """What has nothing but seeds: one that has failed is tried again by ``--seed N --count 1``."""
    with _scratch(powercut.MEMORY) as home:
        for each in range(tally.seed, tally.seed + (tally.count or RELEASE_SEEDS[fault])):
            problems = list(trial(each)) if fault == "Y" else _life(each, home)
            tally.note(fault, problems)
            if problems:
                remember(Kept(fault, "seed", str(each), ""))


def _life(seed: int, home: Path) -> list[str]:
    _trace, wrong = life(seed, home)
    return [] if wrong is None else [wrong]


def _why_not(fault: str) -> str | None:
    """Why it cannot be tried here."""
    if fault == "D":
        return intercept.why_not() or powercut.why_not()
    return intercept.why_not() if fault in {"B", "E"} else None


def _strike(
    fault: str, name: str, tally: Tally, point: str | None, remember: Callable[[Kept], None]
) -> None:
    with _scratch() as home:
        campaign = Campaign(ALL[name], home)
        campaign.prepare()
        points = (
            chosen(campaign, fault, tally.count, tally.seed)
            if point is None
            else [Point.parse(point)]
        )
        for number, each in enumerate(points):
            problems = campaign.strike(each, by_hand=point is None and number % 10 == 0)
            if point is not None and not problems:
                problems = campaign.strike(each, by_hand=True)
            tally.note(fault, [f"--only {name!r} {problem}" for problem in problems])
            if problems:
                kind = campaign.calls[each.number - 1].kind
                remember(Kept(fault, name, each.how, kind))
        typer.echo(f"{fault}  {name}: {len(campaign.calls)} changes, {len(points)} points")


def _cut(name: str, tally: Tally, point: str | None, remember: Callable[[Kept], None]) -> None:
    with _scratch(powercut.MEMORY) as home:
        trial = PowerCuts(ALL[name], home)
        trial.prepare()
        cuts = list(trial.cuts())
        if point is not None:
            cuts = [Cut.parse(point)]
        elif tally.count is not None:
            chance = random.Random(f"{tally.seed} D {name}")
            some = chance.sample(cuts, min(len(cuts), tally.count))
            cuts = list(dict.fromkeys([*remembered_cuts(trial), *some]))  # each is made once
        done = 0
        for start in range(0, len(cuts), 40):  # images in memory at once
            for cut, problems in trial.check(cuts[start : start + 40]):
                done += 1
                tally.note("D", [f"--only {name!r} {problem}" for problem in problems])
                if problems:
                    how = str(cut).partition("@")[0]
                    remember(Kept("D", name, how, trial.calls[cut.number - 1].kind))
        typer.echo(f"D  {name}: {len(trial.calls)} changes, {done} cuts")


def _play(fault: str, tally: Tally, remember: Callable[[Kept], None]) -> None:
    """Rounds of tests, each with the next seed, until there were as many trials as wanted."""
    wanted = series.ALL[fault]
    before = tally.tried.get(fault, 0)
    told: set[str] = set()
    failed_once = seeds_of(fault) if tally.count is None else []
    for seed in itertools.chain(failed_once, itertools.count(tally.seed)):
        home = Path(tempfile.mkdtemp(prefix=f"annexd-torture-{fault}-"))
        typer.echo(f"{fault}  seed {seed}: see {home}/*/pytest.txt")
        began = time.monotonic()
        played = series.play(fault, seed, home, tally.jobs)
        took_s = time.monotonic() - began
        for name in played.failed:
            alone = "" if played.again is None or name in played.again else " (passed alone)"
            tally.note(fault, [f"--seed {seed} --count 1: {name}{alone}"])
            remember(Kept(fault, "seed", str(seed), name.partition("::")[2].partition("[")[0]))
        tally.tried[fault] = tally.tried.get(fault, 0) + played.trials
        typer.echo(
            f"{fault}  seed {seed}: {played.trials} {wanted.of} in {wanted.what}, {took_s:.0f} s"
        )
        for slow in played.slowest:
            typer.echo(f"  slow: {slow}")
        for skipped in {*played.skipped} - told:
            typer.echo(f"  skipped: {skipped}")
        told |= {*played.skipped}
        if not played.failed:
            shutil.rmtree(home)
        done = tally.tried.get(fault, 0) - before
        if played.trials == 0 or done >= (tally.count or wanted.release):
            return


@contextmanager
def _scratch(where: str | None = None) -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix="annexd-torture-", dir=where))
    try:
        yield home
    finally:
        run_to_end(["chmod", "-R", "u+w", home])
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def _sealed() -> Iterator[None]:
    """A HOME of our own, as the tests have."""
    with _scratch() as home:
        (home / ".gitconfig").write_text(SETTINGS)
        for name in list(os.environ):
            if name.startswith(("GIT_", "XDG_", "SSH_")):
                del os.environ[name]
        os.environ.update({"HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1"})
        yield
