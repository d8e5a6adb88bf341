"""Scheduled jobs: what git-annex prints is understood, and each is run when it says."""

from datetime import datetime

import pytest

from spool.transfer import UUID
from workers.annex import schedule

HERE = UUID(b"2f257d2d-5808-49ed-a4fc-10577e7da444")


def at(text: str) -> datetime:
    """``2026-11-29 03:00``; a Sunday, in ISO week 48."""
    return datetime.fromisoformat(text)


def job(text: str) -> schedule.Job:
    found = schedule.parse(text.encode())
    assert found is not None, text
    return found


@pytest.mark.parametrize(
    ("text", "heard", "last", "due"),
    [
        ("every day at any time", "2026-11-29 10:00", None, "2026-11-29 00:00"),
        ("every day at any time", "2026-11-01 10:00", "2026-11-29 10:00", "2026-11-30 00:00"),
        ("every day at 3 AM", "2026-11-29 10:00", None, "2026-11-30 03:00"),
        ("every day at 3:05 PM", "2026-11-29 10:00", None, "2026-11-29 15:05"),
        ("every day at 12 AM", "2026-11-29 10:00", None, "2026-11-30 00:00"),
        ("every day at 12 PM", "2026-11-29 10:00", None, "2026-11-29 12:00"),
        ("every day at 3 AM", "2026-11-01 10:00", "2026-11-20 03:00", "2026-11-21 03:00"),
        ("every week at any time", "2026-11-01 10:00", "2026-11-29 10:00", "2026-11-30 00:00"),
        ("every week at any time", "2026-11-01 10:00", "2026-11-24 10:00", "2026-11-30 00:00"),
        ("every month at 3 AM", "2026-11-01 10:00", "2026-11-24 10:00", "2026-12-01 03:00"),
        ("every year at any time", "2026-11-01 10:00", "2026-11-24 10:00", "2027-01-01 00:00"),
        ("on day 3 of every week at 11 PM", "2026-11-29 10:00", None, "2026-12-02 23:00"),
        ("on day 31 of every month at any time", "2026-11-29 10:00", None, "2026-12-31 00:00"),
        ("on day 32 of every year at any time", "2026-11-29 10:00", None, "2027-02-01 00:00"),
        ("days divisible by 2 at any time", "2026-11-29 10:00", None, "2026-11-30 00:00"),
        ("weeks divisible by 2 at 1 AM", "2026-11-29 10:00", None, "2026-12-07 01:00"),
        ("months divisible by 6 at any time", "2026-11-29 10:00", None, "2026-12-01 00:00"),
        ("years divisible by 4 at 1 AM", "2026-11-29 10:00", None, "2028-01-01 01:00"),
    ],
)
def test_a_job_is_run_once_in_its_time(text: str, heard: str, last: str | None, due: str) -> None:
    found = job(f"fsck self 30m {text}")

    assert schedule.next_run(found, at(heard), None if last is None else at(last)) == at(due)


@pytest.mark.parametrize(
    "text", ["years divisible by 999 at any time", "on day 32 of every month at 1 AM"]
)
def test_what_is_never_due_is_never_run(text: str) -> None:
    assert schedule.next_run(job(f"fsck self 1h {text}"), at("2026-11-29 10:00"), None) is None


def test_a_repository_has_its_own_jobs_and_no_others() -> None:
    other = b"b4f14b3e-9b8c-4a5e-8d4e-2f6f8f4f1c11"
    log = (
        HERE
        + b" fsck self 1h every day at 3:05 PM; fsck "
        + other
        + b" 1h30m every month at any time; rm -rf / timestamp=1795936947s\n"
        + other
        + b" fsck self 5m every day at any time timestamp=1795936947s\n"
    )

    found = schedule.jobs(log, HERE)

    assert [(each.target, each.duration) for each in found] == [
        (None, "1h"),
        (UUID(other), "1h30m"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "fsck self 1h every hour at any time",
        "fsck self 1h every day at 13 PM",
        "fsck self 1h every day at 0 AM",
        "fsck self 1h every day at 3:60 AM",
        "fsck self -1 every day at any time",
        "fsck self 1h days divisible by 0 at any time",
        "fsck ../.. 1h every day at any time",
        "fsck self 1h every day at any time\nx",
    ],
)
def test_what_git_annex_would_not_print_is_no_job(text: str) -> None:
    assert schedule.parse(text.encode()) is None
