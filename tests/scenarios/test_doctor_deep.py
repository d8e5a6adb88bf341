"""``annexd doctor --deep`` beside daemons that work: what is in motion is not called wrong."""

import itertools

from tests.daemons import Fleet
from tests.processes import forked, wait_until
from tests.processes import pause as rest
from tests.repo import Repo

FILES_PER_S = 10.0


def test_nothing_is_wrong_while_files_are_added_here_and_arrive_there(
    pair: tuple[Repo, Repo], fleet: Fleet
) -> None:
    a, b = pair
    for repo in pair:
        repo.config("annex.addunlocked", "true")
    ours, theirs = fleet.annexd(a), fleet.annexd(b)

    def work() -> None:
        for number in itertools.count():
            a.write(f"here/{number}", b"%d" % number * 5000)
            b.write(f"there/{number}", b"%d" % number * 7000)
            rest(1 / FILES_PER_S)

    with forked(work):
        wait_until(lambda: b.exists("here/20"), 60)
        for _ in range(2):
            for daemon in (ours, theirs):
                ended = daemon.ask("doctor", "--deep")
                assert b"WRONG" not in ended.stdout, ended.stdout.decode()
                assert ended.status == 0, ended
    fleet.settle()
    for daemon in (ours, theirs):
        assert daemon.ask("doctor", "--deep", "--hash").status == 0


def test_nothing_is_wrong_while_a_person_works_with_git_annex(
    pair: tuple[Repo, Repo], fleet: Fleet
) -> None:
    a, b = pair
    for number in range(30):
        a.write(f"file{number}", b"%d" % number * 3000)
    ours = fleet.annexd(a)
    theirs = fleet.annexd(b)
    fleet.settle()
    theirs.stop()

    def work() -> None:
        while True:
            b.annex("drop", "-q", "--force", ".")
            b.annex("get", "-q", ".")
            b.annex("unlock", "-q", ".")
            b.annex("lock", "-q", ".")

    with forked(work):
        for _ in range(3):
            ended = theirs.ask("doctor", "--deep")
            assert b"WRONG" not in ended.stdout, ended.stdout.decode()
            assert ours.ask("doctor", "--deep").status == 0
