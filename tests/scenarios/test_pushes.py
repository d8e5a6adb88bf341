"""Refs get to every remote that can be reached, whatever the others do."""

from pathlib import Path

import pytest

from tests.daemons import Fleet
from tests.processes import pause, wait_until
from tests.repo import Repo
from tests.scenarios.topology import around_hub, clique
from tests.synced import synced


def script(place: Path, text: str) -> Path:
    """A program that stands in for git-receive-pack."""
    path = place / "receive-pack"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_a_remote_that_never_answers_delays_no_other(
    pair: tuple[Repo, Repo], fleet: Fleet, tmp_path: Path
) -> None:
    """N1: its git-receive-pack sleeps for ever."""
    a, b = pair
    hung = Repo.bare(tmp_path / "hung")
    a.remote(hung)
    a.config("remote.hung.receivepack", str(script(tmp_path, "exec sleep 1000")))
    a.config("remote.hung.annex-ignore", "true")
    fleet.serve(a, b)
    a.write("first", b"1")
    synced(a, b)

    for number in range(3):
        a.write(f"later {number}", b"2")
        synced(a, b, within_s=8)

    assert hung.git("for-each-ref", "refs/heads/synced") == b""


def test_a_remote_that_refuses_everything_delays_no_other(
    pair: tuple[Repo, Repo], fleet: Fleet, tmp_path: Path
) -> None:
    a, b = pair
    rude = Repo.bare(tmp_path / "rude")
    a.remote(rude)
    a.config("remote.rude.receivepack", str(script(tmp_path, "exit 1")))
    fleet.serve(a, b)

    for number in range(3):
        a.write(f"{number}", b"1")
        synced(a, b, within_s=30)


def test_a_remote_that_was_away_gets_everything_when_it_returns(
    pair: tuple[Repo, Repo], fleet: Fleet, tmp_path: Path
) -> None:
    """N3: with no word from any desktop; and a restart in between forgets nothing."""
    a, b = pair
    hub = Repo.bare(tmp_path / "hub")
    a.remote(hub)
    fleet.serve(a, b)
    a.write("first", b"1")
    synced(a, b)
    wait_until(lambda: len(hub.objects()) == 1, 60)

    away = hub.path.rename(tmp_path / "away")
    for number in range(3):
        a.write(f"meanwhile {number}", b"meanwhile %d" % number)
        synced(a, b)
    fleet.daemons[0].stop()
    fleet.daemons[0].start()
    pause(3)
    away.rename(hub.path)

    wait_until(lambda: len(hub.objects()) == 4, 60)
    wait_until(lambda: hub.contains(a.head()), 60)
    fleet.settle()
    fleet.stop()
    hub.check()


@pytest.mark.parametrize("seconds", [8, pytest.param(120, marks=pytest.mark.slow)])
def test_three_who_push_to_one_hub_all_the_time_converge(
    tmp_path: Path, fleet: Fleet, seconds: int
) -> None:
    """N4: no more merges than rounds, and no tagged refs are left behind."""
    hub, repos = around_hub(tmp_path, 3)
    fleet.serve(*repos)

    for second in range(seconds):
        for repo in repos:
            repo.write(f"{repo.path.name}/{second}", b"%d" % second)
        pause(1)

    synced(*repos, within_s=120)
    fleet.settle()
    merges = repos[0].git("rev-list", "--merges", "HEAD").split()
    assert len(merges) <= 3 * seconds
    assert hub.git("for-each-ref", "refs/synced") == b""
    for repo in repos:
        assert repo.git("for-each-ref", "refs/synced") == b""


def test_those_who_have_the_same_stop_talking(tmp_path: Path, fleet: Fleet) -> None:
    """P45: two merges of the same two commits must not be merged for ever."""
    repos = clique(tmp_path, 3)
    fleet.serve(*repos)
    for repo in repos:
        repo.write(f"from {repo.path.name}", repo.path.name.encode())
    synced(*repos)
    fleet.settle()
    before = [repo.commits("main") for repo in repos]

    pause(5)
    fleet.settle()

    assert [repo.commits("main") for repo in repos] == before
    assert len({repo.head() for repo in repos}) == 1


def test_a_push_that_is_overtaken_is_merged_and_pushed_again(tmp_path: Path, fleet: Fleet) -> None:
    """The hub refuses the first push, because somebody else was faster by a moment."""
    hub, (a, b) = around_hub(tmp_path, 2)
    fleet.serve(a)
    a.write("of a", b"a")
    synced(a)
    fleet.settle()
    b.add("of b", b"b")
    b.git("push", "-q", "hub", "+main:main", "+main:synced/main")

    a.write("of a too", b"aa")

    wait_until(lambda: {b"of a", b"of b", b"of a too"} <= set(a.tree()), 90)
    fleet.settle()
    assert a.git("merge-base", "--is-ancestor", b.head(), "HEAD") == b""
    hub.git("fsck", "--full", "--strict", "--no-dangling")


def test_a_hub_by_a_relative_path_and_one_with_spaces_work(
    repo: Repo, fleet: Fleet, tmp_path: Path
) -> None:
    repo.git("commit", "-q", "--allow-empty", "-m", "start")
    one, other = Repo.bare(tmp_path / "one"), Repo.bare(tmp_path / "with spaces; and 'quotes'")
    repo.git("remote", "add", "one", "../one")
    repo.git("remote", "add", "other", other.path)
    fleet.serve(repo)

    repo.write("f", b"content")

    wait_until(lambda: len(one.objects()) == 1 == len(other.objects()), 60)


def test_two_remotes_with_one_uuid_are_sent_one_copy(
    pair: tuple[Repo, Repo], fleet: Fleet, tmp_path: Path
) -> None:
    """P36: the same repository by two paths."""
    a, b = pair
    (tmp_path / "same").symlink_to(b.path)
    a.git("remote", "add", "b-too", tmp_path / "same")
    fleet.serve(a, b)

    a.write("f", b"content" * 10_000)

    synced(a, b)
    fleet.settle()
    fleet.stop()
    b.check()
