"""Two repositories, each a remote of the other, with transferrers."""

import pytest

from tests.repo import Repo
from tests.transfers.station import Station


@pytest.fixture
def a(pair: tuple[Repo, Repo]) -> Station:
    return Station(pair[0])


@pytest.fixture
def b(pair: tuple[Repo, Repo]) -> Station:
    return Station(pair[1])
