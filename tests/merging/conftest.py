"""Two clones, and what the watcher of the second merges with."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.desks import copy_pair, desk_of, make_pair, nothing
from tests.repo import Repo
from workers.watcher.desk import Desk
from workers.watcher.footing import Footing
from workers.watcher.merging import Merging


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clones that know each other by relative paths, to be copied."""
    return make_pair(tmp_path_factory)


@pytest.fixture
def pair(template: Path, tmp_path: Path) -> tuple[Repo, Repo]:
    """As everywhere, but made once for all tests of this module."""
    return copy_pair(template, tmp_path)


@pytest.fixture
def desk(pair: tuple[Repo, Repo]) -> Iterator[Desk]:
    """The watcher's desk in ``b``."""
    with desk_of(pair[1]) as desk:
        yield desk


@pytest.fixture
def merging(desk: Desk) -> Merging:
    return Merging(desk, Footing(desk), nothing)
