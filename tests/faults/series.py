"""The classes whose trials are tests: whole daemons, drives, servers, terminals, init systems.

A round runs them all once, with a seed for those that choose (``seeds.seed``); a release goes on
with the next seed until as many trials have been made as docs/TESTING.md tells.  A test is one
trial, unless it says how many it makes: ``record_property("trials", 30)``.

They wait for most of their time, for people's pauses and for daemons to settle: so several run at
a time.  What fails is tried once more, alone, since a bound on waiting may be too short for a busy
machine; it has failed all the same, and what it said, and the daemons, is kept.
"""

import sys
import xml.etree.ElementTree as ET
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, final

from tests.processes import run_into

TESTS: Final = Path(__file__).parents[1]
HOURS_6: Final = 6 * 3600.0
SLOWEST: Final = 3
"""So many are told: what makes a round long."""


@final
@dataclass(frozen=True, slots=True)
class Series:
    """One class."""

    what: str
    release: int
    """So many trials."""

    of: str
    """What is a trial."""

    tests: tuple[str, ...]
    """Files, or tests in them, below ``tests``."""

    always: tuple[str, ...] = ()
    """Of its scenarios, those that every run of the tests includes."""


@final
@dataclass(frozen=True, slots=True)
class Round:
    """What came of running all of a class once."""

    trials: int
    failed: tuple[str, ...]
    """The names of tests."""
    skipped: tuple[str, ...]
    """With the reason."""
    slowest: tuple[str, ...] = ()
    """With how long they took."""
    again: tuple[str, ...] | None = None
    """Of those that failed, which did so alone as well; None: that was not tried."""


ALL: Final = {
    "C": Series(
        "kill storms",
        10_000,
        "kills",
        ("scenarios/test_kills.py", "scenarios/test_restart.py"),
    ),
    "F": Series(
        "full disks",
        50,
        "tests",
        ("scenarios/test_full_disk.py", "transfers/test_drives.py"),
    ),
    "G": Series(
        "inotify: limits, overflow, directories that move away",
        100,
        "tests",
        (
            "unit/test_wakeup.py",
            "unit/test_nudges.py",
            "scenarios/test_unwatched.py",
            "scenarios/test_files_in_motion.py",
        ),
        ("test_no_change_is_missed_when_the_kernel_has_lost_events",),
    ),
    "H": Series(
        "networks",
        200,
        "tests",
        ("scenarios/test_ssh.py", "system/test_pusher_ssh.py", "system/test_credentials.py"),
    ),
    "I": Series(
        "drives that vanish",
        100,
        "tests",
        ("scenarios/test_drives.py", "system/test_sentry.py", "transfers/test_drives.py"),
        ("test_a_drive_that_comes_back_empty_deletes_nothing",),
    ),
    "J": Series(
        "corruption",
        200,
        "tests",
        (
            "scenarios/test_wreckage.py",
            "scenarios/test_doctor_deep.py",
            "system/test_doctor_deep.py",
            "transfers/test_safety.py",
        ),
    ),
    "K": Series(
        "clocks",
        50,
        "tests",
        (
            "scenarios/test_clocks.py",
            "unit/test_queue.py",
            "unit/test_presence.py",
            "unit/test_publisher.py",
            "unit/test_transferrer_pacing.py",
            "unit/test_window.py",
        ),
        ("test_a_clock_that_is_set_and_set_back_stops_nothing",),
    ),
    "L": Series(
        "double starts",
        1_000,
        "starts",
        ("unit/test_instance.py", "system/test_daemon.py", "scenarios/test_kills.py"),
    ),
    "M": Series(
        "a busy user",
        5_000,
        "commands",
        ("scenarios/test_user_at_work.py", "scenarios/test_hands_in_the_annex.py"),
        ("test_a_held_index_is_waited_for",),
    ),
    "N": Series(
        "files that change",
        2_000,
        "saves",
        (
            "scenarios/test_changing_files.py",
            "scenarios/test_editors.py",
            "scenarios/test_ingest_races.py",
        ),
        (
            "test_saving_a_file_again_and_again[vim-unlocked",
            "test_truncated_while_it_is_read",
        ),
    ),
    "O": Series(
        "hostile names",
        5_000,
        "operations",
        ("scenarios/test_names.py",),
    ),
    "P": Series(
        "hostile peers",
        300,
        "tests",
        (
            "scenarios/test_hostile_trees.py",
            "scenarios/test_guards.py",
            "annex/test_uuidlogs.py",
            "annex/test_unite.py",
            "annex/test_expression_grammar.py",
            "transfers/test_safety.py",
        ),
        ("test_what_git_would_not_check_out_is_held",),
    ),
    "Q": Series(
        "hostile local files",
        300,
        "tests",
        ("unit/test_hostile_spool.py", "unit/test_spool_fuzz.py", "scenarios/test_refusals.py"),
    ),
    "S": Series(
        "soak",
        120,
        "minutes",
        ("scenarios/test_soak.py", "scenarios/test_model.py::test_a_long_life_ends_well"),
    ),
    "T": Series(
        "init systems",
        40,
        "tests",
        ("system/test_init_systems.py", "system/test_supervisor.py"),
    ),
}
"""By letter."""


def always(name: str) -> bool:
    """Whether every run of the tests includes that scenario."""
    return any(name.startswith(each) for series in ALL.values() for each in series.always)


def play(fault: str, seed: int, home: Path, jobs: int = 1) -> Round:
    """All tests of a class once, slow ones too; what pytest says is left in ``home``."""
    tests = [TESTS / each for each in ALL[fault].tests]
    side_by_side = ["-n", str(jobs), "--dist", "worksteal"] if jobs > 1 else []
    played = _pytest([*tests, *side_by_side], seed, home / "all")
    if jobs == 1 or played.trials == 0 or not played.failed:
        return played
    again = _pytest([TESTS.parent / each for each in played.failed], seed, home / "alone")
    return replace(played, again=again.failed)


def _pytest(chosen: list[str | Path], seed: int, home: Path) -> Round:
    home.mkdir(parents=True)
    report = home / "report.xml"
    argv: list[str | Path] = [sys.executable, "-m", "pytest", "-v", "-m", ""]
    argv += ["-c", TESTS.parent / "pyproject.toml", f"--rootdir={TESTS.parent}"]
    argv += ["-p", "no:cacheprovider", f"--junitxml={report}", "-o", "junit_family=xunit1"]
    env = {"ANNEXD_SCENARIOS": "1", "ANNEXD_SEED": str(seed)}
    said = home / "pytest.txt"  # a file, and no pipe: whoever waits can look at it
    with said.open("wb") as file:
        run_into(file, [*argv, *chosen], TESTS.parent, env, HOURS_6)
    if not report.exists():  # it could not even begin
        return Round(0, (said.read_text(errors="backslashreplace")[-2000:],), ())
    return read(report.read_text())


def read(report: str) -> Round:
    """What pytest has reported."""
    trials, failed, skipped = 0, [], []
    took: list[tuple[float, str]] = []
    for case in ET.fromstring(report).iter("testcase"):  # noqa: S314 -- pytest's own
        name = f"{case.get('file') or case.get('classname')}::{case.get('name')}"
        took.append((float(case.get("time") or 0), name))
        if case.find("failure") is not None or case.find("error") is not None:
            failed.append(name)
        elif (skip := case.find("skipped")) is not None:
            skipped.append(f"{name}: {skip.get('message')}")
        else:
            said = [each.get("value") for each in case.iter("property") if _counts(each)]
            trials += sum(int(each or 0) for each in said) if said else 1
    slowest = (f"{name}: {took_s:.0f} s" for took_s, name in sorted(took, reverse=True)[:SLOWEST])
    return Round(trials, tuple(failed), tuple(skipped), tuple(slowest))


def _counts(each: ET.Element) -> bool:
    return each.get("name") == "trials"
