"""What was recorded in the second in which the index was written is recorded once more later."""

import math
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.desks import copy_pair, desk_of, make_pair, nothing
from tests.processes import wait_until
from tests.repo import Repo
from workers.watcher.desk import Desk
from workers.watcher.footing import Footing
from workers.watcher.merging import Merging
from workers.watcher.outcome import Merged
from workers.watcher.ripening import Ripening

NAME = "new\nline"


@pytest.fixture
def arrived(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Iterator[Desk]:
    """Where a file with such a name has just been merged; in time, git says that it is modified."""
    a, b = copy_pair(make_pair(tmp_path_factory), tmp_path)
    a.write(NAME, b"content")
    a.annex("add", "-q", "-c", "annex.addunlocked=true", "--", NAME)
    a.git("commit", "-q", "-m", "save")
    a.annex("copy", "-q", "--to", "b")
    a.git("push", "-q", "b", "main:synced/main", "+git-annex:synced/git-annex")
    with desk_of(b) as desk:
        assert isinstance(Merging(desk, Footing(desk), nothing).merge(), Merged)
        yield desk


def test_git_believes_it_a_second_later(arrived: Desk) -> None:
    ripening = Ripening(arrived)
    ripening.turn(time.monotonic())
    misjudged = ripening.is_misjudged
    assert misjudged == (ripening.due < math.inf)  # not if a second has just begun

    wait_until(lambda: time.monotonic() >= ripening.due or not misjudged)
    ripening.turn(time.monotonic())

    assert not ripening.is_misjudged
    assert ripening.due == math.inf
    assert Repo(arrived.repository.top).status() == b""


def test_what_a_user_has_written_is_left(arrived: Desk) -> None:
    repo = Repo(arrived.repository.top)
    repo.write("mine", b"mine")
    repo.git("-c", "annex.largefiles=nothing", "add", "mine")
    ripening = Ripening(arrived)

    ripening.turn(time.monotonic())

    assert ripening.due == math.inf
