"""Work trees that show less than the branch has, indexes of other kinds, and files of odd times."""

import os
import time

import pytest

from tests.daemons import Fleet
from tests.processes import wait_until
from tests.repo import Repo
from tests.synced import synced


@pytest.mark.parametrize("kind", ["--no-sparse-index", "--sparse-index"])
def test_a_sparse_checkout_takes_part_and_stays_sparse(
    pair: tuple[Repo, Repo], fleet: Fleet, kind: str
) -> None:
    a, b = pair
    for number in range(3):
        a.write(f"in/{number}", b"in %d" % number)
        a.write(f"out/{number}", b"out %d" % number)
    fleet.serve(a, b)
    synced(a, b)

    b.git("sparse-checkout", "set", "--cone", kind, "in")
    a.write("in/0", b"edited")
    a.write("out/0", b"edited, too")
    b.write("in/of b", b"here")
    wait_until(lambda: b.exists("in/of b") and a.tree() == b.tree() and a.exists("in/of b"))
    assert not b.exists("out/1")
    assert not a.deletions()

    b.git("sparse-checkout", "disable")
    synced(a, b)
    assert b.read("out/0") == b"edited, too"


def test_a_split_index_hinders_nobody(pair: tuple[Repo, Repo], fleet: Fleet) -> None:
    a, b = pair
    b.config("core.splitIndex", "true")
    fleet.serve(a, b)
    for number in range(3):
        a.write(f"of a {number}", b"%d" % number)
        b.write(f"of b {number}", b"%d" % number)
        synced(a, b)
        b.git("update-index", "--split-index")


def test_files_of_other_times_are_not_read_again_and_again(
    pair: tuple[Repo, Repo], fleet: Fleet
) -> None:
    a, b = pair
    fleet.serve(a, b)
    for year, seconds in (("1960", -3 * 10**8), ("2034", 2 * 10**9), ("2096", 4 * 10**9)):
        a.write(year, os.urandom(1000))
        os.utime(a.path / year, (seconds, seconds))
    synced(a, b)

    wait_until(lambda: rested(a) and rested(b))


def rested(repo: Repo) -> bool:
    """Whether nobody has written the index for a while."""
    return time.time() - (repo.path / ".git/index").stat().st_mtime > 5
