"""Contents leave only where they are not wanted, and never from where somebody wants them."""

import re
from pathlib import Path

from tests.daemons import Fleet
from tests.processes import pause, stays, wait_until
from tests.repo import Repo
from tests.scenarios.topology import clique
from tests.synced import synced
from tests.views import worktree

AWHILE_S = 6.0


def has(repo: Repo, name: bytes) -> bool:
    entry = worktree(repo).get(name)
    return entry is not None and entry.here


def group(repo: Repo, name: str) -> None:
    """Put a repository into a standard group, and have that mean something."""
    repo.annex("group", "-q", ".", name)
    repo.annex("wanted", "-q", ".", "standard")


NAMES = (b"plain", b"new\nline", b"trailing newline\n", b" a b ", "ünïcödé".encode(), b"-x")


def test_contents_got_by_hand_between_manual_repositories_stay(
    tmp_path: Path, fleet: Fleet
) -> None:
    """RT-18: they were dropped after a copy, because a name was parsed with its newline."""
    a, b, backup = clique(tmp_path, 3)
    for repo, kind in ((a, "manual"), (b, "manual"), (backup, "backup")):
        group(repo, kind)
    fleet.serve(a, b, backup)
    for name in NAMES:
        a.write(name, b"precious " + name)
    wait_until(lambda: have(backup) and all(b.exists(name) for name in NAMES), 60)
    fleet.settle()

    b.annex("get", "-q", ".")
    fleet.settle()
    stays(lambda: have(a, b, backup), AWHILE_S)
    b.annex("drop", "-q", ".")
    stays(lambda: not any(has(b, name) for name in NAMES) and have(a, backup), AWHILE_S)
    a.annex("copy", "-q", "--to", "b", ".")
    fleet.settle()

    stays(lambda: have(a, b, backup), AWHILE_S)


def have(*repos: Repo) -> bool:
    """Whether all of them have all contents."""
    return all(has(repo, name) for repo in repos for name in NAMES)


def test_what_nobody_set_is_never_dropped(pair: tuple[Repo, Repo], fleet: Fleet) -> None:
    a, b = pair
    fleet.serve(a, b)
    a.write("f", b"content")
    synced(a, b)

    a.rename("f", "archive/f")
    synced(a, b)

    stays(lambda: has(a, b"archive/f") and has(b, b"archive/f"), AWHILE_S)


def test_a_client_drops_what_is_archived_once_the_archive_has_it(
    pair: tuple[Repo, Repo], fleet: Fleet
) -> None:
    a, b = pair
    group(a, "client")
    group(b, "archive")
    fleet.serve(a, b)
    a.write("letter", b"content")
    synced_tree(a, b, b"letter")

    a.rename("letter", "archive/letter")

    wait_until(lambda: has(b, b"archive/letter"), 60)
    wait_until(lambda: not has(a, b"archive/letter"), 60)
    # git-annex removes the file before it puts the pointer there.
    wait_until(lambda: a.exists("archive/letter"), 10)
    b.check()


def synced_tree(a: Repo, b: Repo, name: bytes) -> None:
    wait_until(lambda: a.exists(name) and b.exists(name), 60)


def test_the_last_copy_is_not_dropped_although_nobody_wants_it(
    pair: tuple[Repo, Repo], fleet: Fleet
) -> None:
    a, b = pair
    for repo in pair:
        repo.annex("wanted", "-q", ".", "exclude=*")
    fleet.serve(a, b)

    a.write("f", b"the only copy")

    synced_tree(a, b, b"f")
    stays(lambda: has(a, b"f"), AWHILE_S)


def test_numcopies_is_kept(tmp_path: Path, fleet: Fleet) -> None:
    repos = clique(tmp_path, 3)
    repos[0].annex("numcopies", "-q", "2")
    fleet.serve(*repos)
    repos[0].write("f", b"content")
    synced(*repos)

    repos[0].annex("wanted", "-q", ".", "exclude=*")
    repos[1].annex("wanted", "-q", ".", "exclude=*")

    wait_until(lambda: sum(has(repo, b"f") for repo in repos) == 2, 60)
    stays(lambda: sum(has(repo, b"f") for repo in repos) == 2, AWHILE_S)


def test_the_same_content_inside_and_outside_of_the_archive_does_not_loop(
    pair: tuple[Repo, Repo], fleet: Fleet
) -> None:
    """RT-59: one key, one name that is wanted and one that is not."""
    a, b = pair
    group(a, "client")
    group(b, "archive")
    fleet.serve(a, b)
    a.write("letter", b"the same content")
    a.write("archive/letter", b"the same content")
    synced_tree(a, b, b"letter")
    synced_tree(a, b, b"archive/letter")
    fleet.settle()
    pause(3)
    before = a.commits("git-annex")

    stays(lambda: has(a, b"letter"), AWHILE_S)
    fleet.settle()

    assert len(a.commits("git-annex")) - len(before) <= 1
    assert has(a, b"archive/letter")


def test_repositories_of_one_group_get_what_fits_and_keep_it(tmp_path: Path, fleet: Fleet) -> None:
    """They were filled far beyond their maxsize, dropped all that they had, and were filled again.

    git-annex, asked about many files at once, goes by the sizes of its start.
    """
    client, b, c = clique(tmp_path, 3)
    for repo, most in ((b, "100kB"), (c, "200kB")):
        repo.annex("group", "-q", "here", "backup")
        repo.annex("wanted", "-q", "here", "fullybalanced=backup")
        repo.annex("maxsize", "-q", "here", most)
    for repo in (b, c, client, b, c):
        repo.annex("sync", "-q", "--no-content")
    fleet.serve(client, b, c)

    for number in range(40):
        client.write(f"f{number}", b"%02d" % number * 5_000)

    wait_until(lambda: _parted(b, c), 90)
    fleet.settle()
    wait_until(lambda: _parted(b, c), 90)  # what both have got at once, one of them drops
    stays(lambda: _parted(b, c), 20)
    drops = re.findall(r"dropped (\d+) contents", "".join(each.log() for each in fleet.daemons))
    assert sum(map(int, drops)) <= 10  # what both had got at the same time


def _parted(b: Repo, c: Repo) -> bool:
    of_b, of_c = b.here(), c.here()
    return (len(of_b), len(of_c)) == (10, 20) and of_b.isdisjoint(of_c)
