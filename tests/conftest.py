"""What every test gets: a sealed HOME, and repositories on request."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.faults.seeds import CountTrials
from tests.faults.series import always
from tests.repo import Repo
from tests.spool import Spool

SETTINGS = """\
[user]
	name = Test User
	email = test@example.com
[init]
	defaultBranch = main
[protocol "file"]
	allow = always
[gc]
	auto = 0
"""

# How long one example takes says how busy the machine is, and nothing about the code.
settings.register_profile("unhurried", deadline=None)
# Under contrib/coverage (coverage says so) a line is run or not: a few examples tell.
settings.register_profile("measured", deadline=None, max_examples=20)
settings.load_profile("measured" if os.environ.get("COVERAGE_RUN") else "unhurried")


def pytest_configure() -> None:
    """What the tests start hears of its terminal's end, even if they run under nohup."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of the scenarios, whole daemons beside each other, only a few: contrib/scenarios runs all."""
    if os.environ.get("ANNEXD_SCENARIOS"):
        return
    here = config.rootpath / "tests/scenarios"
    left_out = [each for each in items if each.path.parent == here and not always(each.name)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [each for each in items if each not in set(left_out)]


@pytest.fixture(scope="session", autouse=True)
def settings_for_all(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Give git its settings in fixtures that several tests share, made before a test's own."""
    file = tmp_path_factory.mktemp("settings") / "gitconfig"
    file.write_text(SETTINGS)
    os.environ["GIT_CONFIG_GLOBAL"] = str(file)


@pytest.fixture(autouse=True)
def sealed_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A HOME of the test's own, so that no test reads or changes the user's settings."""
    home = tmp_path_factory.mktemp("home")
    (home / ".gitconfig").write_text(SETTINGS)
    for name in list(os.environ):
        if name.startswith(("GIT_", "XDG_", "SSH_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    return home


@pytest.fixture(autouse=True)
def signals_of_the_runner() -> Iterator[None]:
    """A test that makes a ``Wakeup`` in the runner's process gives the signals back.

    Else a child forked by a later test would shrug off the SIGTERM that should end it.
    """
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    signal.set_wakeup_fd(-1)
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def count_trials(record_property: Callable[[str, object], None]) -> CountTrials:
    """Say how many trials this test makes, when it is not one (``tests.faults.series``)."""
    return lambda number: record_property("trials", number)


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    """One empty annexed repository."""
    return Repo.create(tmp_path / "repo")


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Repo, Repo]:
    """Two clones with a commit in common, each a remote of the other: ``a`` and ``b``."""
    a = Repo.create(tmp_path / "a")
    a.git("commit", "-q", "--allow-empty", "-m", "start")
    b = a.clone(tmp_path / "b")
    b.git("remote", "rename", "origin", "a")
    a.git("remote", "add", "b", b.path)
    a.annex("sync", "-q", "--no-content")
    b.annex("sync", "-q", "--no-content")
    return a, b


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """An empty spool, without a repository."""
    annex = tmp_path / "annex"
    annex.mkdir()
    return Spool(annex)
