"""What every scenario gets: a fleet of daemons that is stopped, and leaves nothing behind."""

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.daemons import Fleet, logs

FLEET = pytest.StashKey[Fleet]()


@pytest.fixture
def fleet(tmp_path: Path, sealed_home: Path, request: pytest.FixtureRequest) -> Iterator[Fleet]:
    """The daemons of this test."""
    fleet = Fleet(tmp_path, str(sealed_home))
    request.node.stash[FLEET] = fleet
    yield fleet
    fleet.finish()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the daemons' logs under a failed test."""
    report = yield
    fleet = item.stash.get(FLEET, None)
    if report.failed and fleet is not None:
        report.sections.append(("logs of the daemons", logs(fleet.daemons)))
    return report
