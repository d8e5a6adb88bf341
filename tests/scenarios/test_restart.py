"""Starting again in a large repository that is in sync costs seconds, and does nothing."""

import time

import pytest

from tests.daemons import Annexd, Fleet
from tests.repo import Repo
from tests.synced import synced

FILES = [1000, pytest.param(20_000, marks=[pytest.mark.slow, pytest.mark.timeout(900)])]


def many(pair: tuple[Repo, Repo], fleet: Fleet, files: int) -> list[Annexd]:
    """Both have ``files`` files, in sync."""
    a, b = pair
    daemons = [fleet.annexd(a), fleet.annexd(b)]
    for number in range(files):
        a.write(f"{number % 100}/{number}", b"%d" % number)
    synced(a, b, within_s=300)
    fleet.settle(300)
    return daemons


@pytest.mark.parametrize("files", FILES)
def test_restarting_in_sync_is_quick_and_queues_nothing(
    pair: tuple[Repo, Repo], fleet: Fleet, files: int
) -> None:
    """A1."""
    daemons = many(pair, fleet, files)
    refs = [repo.git("for-each-ref") for repo in pair]
    daemons[0].stop()

    begun = time.monotonic()
    daemons[0].start()
    daemons[0].wait()
    took_s = time.monotonic() - begun

    assert took_s < 10
    assert [repo.git("for-each-ref") for repo in pair] == refs
    assert not list((pair[0].path / ".git/annex/transfer/queue").glob("*/*/SHA256*"))


@pytest.mark.parametrize("files", FILES)
def test_killed_in_the_middle_of_everything_the_next_start_completes_the_rest(
    pair: tuple[Repo, Repo], fleet: Fleet, files: int
) -> None:
    a, b = pair
    daemons = [fleet.annexd(a), fleet.annexd(b)]
    for number in range(files):
        a.write(f"{number % 100}/{number}", b"%d" % number)
        if number == files // 2:
            daemons[0].kill()
            daemons[0].start()
        if number == files * 3 // 4:
            daemons[1].kill()
            daemons[1].start()

    synced(a, b, within_s=300)
    fleet.settle(120)
    b.check()


def test_a_content_lost_by_a_remote_is_sent_again_once_that_is_known(
    pair: tuple[Repo, Repo], fleet: Fleet
) -> None:
    """A1: without a restart."""
    a, b = pair
    fleet.serve(a, b)
    a.write("f", b"content" * 1000)
    synced(a, b)
    fleet.settle()

    b.annex("drop", "-q", "--force", "f")

    synced(a, b, within_s=60)
