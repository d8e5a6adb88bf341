"""A file that is being written is not a file yet; and what is committed, it really once was."""

import mmap
import os

import pytest

from tests.daemons import Fleet
from tests.processes import pause, stays, wait_until
from tests.repo import Repo
from tests.synced import synced
from tests.views import committed, digest


@pytest.fixture
def watched(repo: Repo, fleet: Fleet) -> Repo:
    """A repository with one commit, served."""
    repo.git("commit", "-q", "--allow-empty", "-m", "start")
    fleet.serve(repo)
    return repo


def versions(repo: Repo, name: str) -> list[str]:
    """The digests that ``name`` has had in HEAD's history, oldest first."""
    commits = repo.git("log", "--reverse", "--format=%H", "--", name).decode().split()
    entries = (committed(repo, commit).get(name.encode()) for commit in commits)
    return [entry.digest for entry in entries if entry is not None]


@pytest.mark.parametrize("duration_s", [4.0, pytest.param(30.0, marks=pytest.mark.slow)])
def test_a_file_that_grows_for_long_is_committed_once_when_it_is_closed(
    watched: Repo, duration_s: float
) -> None:
    """RT-08."""
    content = b""
    with (watched.path / "log").open("wb", buffering=0) as file:
        for number in range(int(duration_s * 10)):
            line = b"line %d\n" % number
            file.write(line)
            content += line
            pause(0.1)
        assert watched.tree() == {}

    synced(watched)
    assert versions(watched, "log") == [digest(content)]
    watched.check()


def test_others_do_not_wait_for_a_file_that_stays_open(watched: Repo) -> None:
    with (watched.path / "open").open("wb", buffering=0) as file:
        file.write(b"not all of it")
        watched.write("other", b"complete")

        synced(watched, besides=[b"open"], within_s=20)
        stays(lambda: b"open" not in watched.tree(), 3)

    synced(watched)


def test_a_mapping_that_is_still_written_to_counts_as_open(watched: Repo) -> None:
    path = watched.write("mapped", bytes(8192))
    synced(watched)
    with path.open("r+b") as file:
        memory = mmap.mmap(file.fileno(), 8192)
    memory[:5] = b"half\n"
    pause(1.0)
    memory[4096:4101] = b"full\n"
    memory.close()

    synced(watched)
    assert len(versions(watched, "mapped")) <= 2
    watched.check()


@pytest.mark.parametrize("rounds", [25, pytest.param(300, marks=pytest.mark.slow)])
@pytest.mark.parametrize("how", ["in place", "by renaming"])
def test_a_small_file_that_becomes_large_at_once_never_ends_up_in_git(
    watched: Repo, rounds: int, how: str
) -> None:
    """RT-08b: the decision is made for one content, and the other one is added."""
    watched.config("annex.largefiles", "largerthan=100kb")

    for number in range(rounds):
        name = f"file {number}"
        watched.write(name, b"small")
        if how == "in place":
            watched.write(name, b"large %d" % number * 20_000)
        else:
            watched.replace(name, b"large %d" % number * 20_000)
        pause(number % 5 / 100)

    synced(watched)
    listing = watched.git("rev-list", "--objects", "--all", "--no-object-names")
    asked = "%(objecttype) %(objectsize)"
    sizes = watched.git("cat-file", f"--batch-check={asked}", stdin=listing).split(b"\n")
    blobs = [int(line.split()[1]) for line in sizes if line.startswith(b"blob")]
    assert max(blobs) < 100_000
    watched.check()


def test_a_slow_copy_is_committed_whole(watched: Repo) -> None:
    block = os.urandom(1_000_000)
    with (watched.path / "film.mkv").open("wb", buffering=0) as file:
        for _ in range(20):
            file.write(block)
            pause(0.05)

    synced(watched)
    assert versions(watched, "film.mkv") == [digest(block * 20)]


def test_a_sparse_file_and_hard_linked_ones_are_ordinary(watched: Repo) -> None:
    with (watched.path / "sparse").open("wb") as file:
        file.truncate(3_000_000)
    one = watched.write("linked", b"one inode")
    (watched.path / "twin").hardlink_to(one)

    synced(watched)
    watched.check()


@pytest.mark.slow
def test_an_edit_by_one_of_its_names_is_seen_by_the_other_too(watched: Repo) -> None:
    """The kernel tells of the name that was used; the other one is found by looking again."""
    one = watched.write("linked", b"one inode")
    (watched.path / "twin").hardlink_to(one)
    synced(watched)

    one.write_bytes(b"still one inode, with two names")

    synced(watched, within_s=120)
    assert watched.tree()[b"twin"] == watched.tree()[b"linked"]


def test_truncated_while_it_is_read_no_mixture_is_committed(watched: Repo) -> None:
    """Large enough that hashing it takes a while, and changed in the midst of that."""
    states = []
    for number in range(5):
        states += [os.urandom(1_000_000) * 30, b"cut %d" % number]
        watched.write("big", states[-2])
        pause(0.05)
        watched.write("big", states[-1])
        pause(0.05)

    synced(watched)
    assert set(versions(watched, "big")) <= {digest(state) for state in states}
    watched.check()


def test_a_merge_that_waits_for_an_open_file_names_it(
    pair: tuple[Repo, Repo], fleet: Fleet
) -> None:
    """What arrived is an edit of that file, which nobody has edited here yet."""
    a, b = pair
    a.write("record", b"a")
    fleet.annexd(a)
    daemon = fleet.annexd(b)
    synced(a, b)
    fleet.settle()

    with (b.path / "record").open("ab"):
        a.write("record", b"edited")
        wait_until(lambda: b"; open record" in daemon.ask("status").stdout, 20)
        said = daemon.ask("wait", "--timeout", "1").stderr
    assert b"record is open for writing" in said

    synced(a, b)
