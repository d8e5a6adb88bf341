"""A person uses git and git-annex beside the daemon, and neither spoils the other's work."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.daemons import Fleet
from tests.faults.seeds import CountTrials
from tests.processes import pause, run, running, stays, wait_until
from tests.repo import Repo
from tests.synced import synced

LOOP = """
try() {{ "$@" >../last 2>&1 || {{ echo "FAILED: $*"; cat ../last; exit 1; }}; }}
round=0
while [ ! -e ../enough ]; do
    round=$((round + 1))
    {body}
done
echo "$round rounds"
"""
"""The first command that fails is told, with what it said."""

WORK = {
    "add and commit": """
        echo "$round" >"mine $round"
        try git annex add "mine $round"
        git diff --cached --quiet || try git commit -q -m "by hand $round"
    """,
    "edit and commit all": """
        echo "$round" >notes
        try git add notes
        git diff --cached --quiet || try git commit -q -m "by hand $round"
    """,
    "gc": "try git gc -q",
    "status and log": "try git status; try git log --stat -3; try git annex info --fast",
    "get and drop": "try git annex drop -q --force theirs; try git annex get -q theirs",
    "unlock and lock": "try git annex unlock -q stable; try git annex lock -q stable",
    "sync": "try git annex sync -q --no-content",
    "fsck": "try git annex fsck -q --fast",
    "whereis and find": "try git annex whereis; try git annex find --in here",
    "branch and back": """
        try git branch -f aside
        try git stash list
        try git branch -D aside
    """,
    "metadata": 'try git annex metadata -q stable -s round="$round"',
    "rename with git": """
        old=$(ls -d moving.*); try git mv "$old" "moving.$round"
        git diff --cached --quiet || try git commit -q -m "renamed $round"
    """,
}


@pytest.mark.parametrize("duration_s", [5.0, pytest.param(120.0, marks=pytest.mark.slow)])
@pytest.mark.parametrize("work", WORK)
def test_no_command_of_the_users_fails_because_of_the_daemon(
    pair: tuple[Repo, Repo],
    fleet: Fleet,
    work: str,
    duration_s: float,
    count_trials: CountTrials,
) -> None:
    a, b = pair
    beside = a.path.parent
    for name in ("stable", "moving.0", "notes"):
        a.write(name, name.encode())
    b.write("theirs", b"theirs" * 100)
    fleet.serve(a, b)
    synced(a, b)
    fleet.settle()

    told = beside / "told"
    with running(["sh", "-c", LOOP.format(body=WORK[work])], a.path, output=told) as user:
        for number in range(int(duration_s * 2)):
            a.write(f"daemon's/{number}", b"a %d" % number)
            b.write(f"peer's/{number}", b"b %d" % number)
            pause(0.5)
        (beside / "enough").touch()
        user.wait(60)

    text = told.read_text(errors="backslashreplace")
    assert "FAILED" not in text, text[-4000:]
    assert not text.startswith("0 rounds")
    count_trials(int(text.split()[-2]) * WORK[work].count("try "))
    synced(a, b)
    fleet.settle()
    for repo in pair:
        assert not {name for name in repo.deletions() if not name.startswith(b"moving")}
        repo.check()


@pytest.mark.parametrize("command", ["git gc -q --prune=now", "git prune"])
def test_pruning_everything_while_files_are_added_breaks_nothing(
    repo: Repo, fleet: Fleet, tmp_path: Path, command: str
) -> None:
    """P25: git itself warns of this; but what annexd is about to refer to, something refers to.

    With nobody pushing into the repository: that git cannot bear, annexd or not.  A ``git prune``
    that begins just when a ref is about to move may find it moved, and what it leads to taken by
    the one before: until that is written again, a moment later.
    """
    repo.git("commit", "-q", "--allow-empty", "-m", "start")
    fleet.serve(repo)
    told = tmp_path / "told"
    body = command if command == "git prune" else f"try {command}"

    with running(["sh", "-c", LOOP.format(body=body)], repo.path, output=told) as user:
        for number in range(60):
            repo.write(f"{number}", b"%d" % number)
            pause(0.1)
        (tmp_path / "enough").touch()
        user.wait(60)

    assert "FAILED" not in told.read_text(errors="backslashreplace")
    synced(repo)
    repo.check()


@contextmanager
def index_locked(repo: Repo) -> Iterator[None]:
    """A git that holds the index for as long as an editor is open for a commit message."""
    lock = repo.path / ".git/index.lock"
    with lock.open("xb"):
        try:
            yield
        finally:
            lock.unlink()


def test_a_held_index_is_waited_for_and_never_broken(pair: tuple[Repo, Repo], fleet: Fleet) -> None:
    a, b = pair
    a.write("first", b"1")
    daemon = fleet.annexd(a)
    fleet.serve(b)
    synced(a, b)

    def is_told() -> bool:
        return "index.lock" in str(daemon.status()["workers"])

    with index_locked(a):
        a.write("meanwhile", b"2")
        b.write("of b", b"3")
        stays((a.path / ".git/index.lock").exists, 6)
        wait_until(is_told, 10, lambda: daemon.status()["workers"])

    synced(a, b)
    assert not a.deletions()


@pytest.mark.parametrize("operation", ["merge", "rebase", "cherry-pick"])
def test_an_operation_of_the_users_is_left_to_him_until_it_is_done(
    pair: tuple[Repo, Repo], fleet: Fleet, operation: str
) -> None:
    a, b = pair
    a.config("annex.largefiles", "nothing")
    a.write("text", b"one\n")
    fleet.serve(a, b)
    synced(a, b)
    fleet.settle()
    fleet.daemons[0].stop()
    a.git("checkout", "-q", "-b", "topic")
    a.write("text", b"topic\n")
    a.git("commit", "-q", "-a", "-m", "topic")
    a.git("checkout", "-q", "main")
    a.write("text", b"main\n")
    a.git("commit", "-q", "-a", "-m", "main")
    fleet.daemons[0].start()
    synced(a, b)
    before = a.head()

    with pytest.raises(AssertionError):
        a.git(operation, "topic")
    assert a.marked()
    a.write("beside", b"not now")
    b.write("of b", b"waits too")
    stays(lambda: a.head() == before or operation == "rebase", 5)
    assert not b.marked()

    a.write("text", b"main and topic\n")
    a.git("add", "text")
    if operation == "rebase":
        run(["git", "rebase", "--continue"], a.path, env={"GIT_EDITOR": "true"})
    else:
        a.git("commit", "-q", "--no-edit")

    synced(a, b)
    # A commit that is rebased although others have it conflicts with itself: both are kept.
    texts = [os.fsdecode(name) for name in b.tree() if name.startswith(b"text")]
    assert b"main and topic\n" in {b.read(name) for name in texts}
    assert operation == "rebase" or texts == ["text"]
    assert not b.marked()


def test_nothing_is_committed_on_a_detached_head(pair: tuple[Repo, Repo], fleet: Fleet) -> None:
    a, b = pair
    fleet.serve(a, b)
    a.write("first", b"1")
    synced(a, b)
    a.write("second", b"2")
    synced(a, b)
    fleet.settle()

    a.git("checkout", "-q", "--detach", "HEAD~1")
    here = a.head()
    a.write("looking around", b"3")
    stays(lambda: a.head() == here, 5)
    a.git("checkout", "-q", "main")

    synced(a, b)
    assert b.read("looking around") == b"3"
    assert not a.deletions()


def test_checking_out_another_branch_commits_no_difference_between_them(
    pair: tuple[Repo, Repo], fleet: Fleet
) -> None:
    a, b = pair
    for number in range(5):
        a.write(f"{number}", b"on both\n")
    fleet.serve(a, b)
    synced(a, b)
    fleet.settle()
    a.git("branch", "old")
    for number in range(5):
        a.write(f"{number}", b"on main\n")
        a.write(f"new {number}", b"on main\n")
    synced(a, b)
    fleet.settle()
    main, old = a.git("rev-parse", "main"), a.git("rev-parse", "old")

    for _ in range(3):
        a.git("checkout", "-q", "old")
        stays(lambda: a.git("rev-parse", "old") == old, 3)
        a.git("checkout", "-q", "main")
        stays(lambda: a.git("rev-parse", "main") == main, 3)

    synced(a, b)


def test_a_commit_amended_or_reset_by_hand_is_not_undone(
    pair: tuple[Repo, Repo], fleet: Fleet
) -> None:
    a, b = pair
    a.config("annex.autocommit", "false")
    a.add("kept", b"1")
    fleet.serve(a, b)
    synced(a, b)
    a.add("mine", b"2")
    synced(a, b)

    a.git("revert", "--no-edit", "HEAD")

    synced(a, b)
    assert set(b.tree()) == {b"kept"}


def test_what_is_amended_elsewhere_is_no_conflict(pair: tuple[Repo, Repo], fleet: Fleet) -> None:
    """Whoever has the commit already finds the new one in its place, before it is merged there."""
    a, b = pair
    a.config("annex.largefiles", "nothing")
    fleet.serve(a, b)
    for number in range(3):
        a.write("f", b"first %d\n" % number)
        synced(a, b)

        a.replace("f", b"second %d\n" % number)
        a.git("commit", "-q", "-a", "--amend", "-m", "amended by hand")

        wait_until(lambda number=number: b.holds("f", b"second %d\n" % number))  # type: ignore[misc]
        synced(a, b)
        assert set(b.tree()) == {b"f"}


def test_many_commits_made_one_by_a_soft_reset_are_no_conflict(
    pair: tuple[Repo, Repo], fleet: Fleet
) -> None:
    a, b = pair
    fleet.serve(a, b)
    for number in range(2):
        for name in ("f", f"new {number}"):
            a.write(name, b"%d\n" % number)
            synced(a, b)

    a.git("reset", "-q", "--soft", "HEAD~2")
    a.replace("f", b"squashed\n")
    a.git("commit", "-q", "-a", "-m", "squashed by hand")

    wait_until(lambda: b.holds("f", b"squashed\n"))
    synced(a, b)
    fleet.settle()
    assert set(b.tree()) == {b"f", b"new 0", b"new 1"}


def test_nor_are_they_in_an_adjusted_branch(pair: tuple[Repo, Repo], fleet: Fleet) -> None:
    """The commits are on top of git-annex's own, which the reset takes back, too."""
    a, b = pair
    a.annex("adjust", "-q", "--unlock")
    fleet.serve(a, b)
    for number in range(2):
        for name in ("f", f"new {number}"):
            content = b"%d\n" % number
            a.write(name, content)
            wait_until(partial(b.holds, name, content))
            fleet.settle()

    a.git("reset", "-q", "--soft", "HEAD~3")
    a.replace("f", b"squashed\n")
    a.git("commit", "-q", "-a", "-m", "squashed by hand")

    wait_until(lambda: b.holds("f", b"squashed\n"))
    fleet.settle()
    assert set(b.tree()) == set(a.tree()) == {b"f", b"new 0", b"new 1"}
    assert a.holds("f", b"squashed\n")


def test_staged_work_is_not_lost(pair: tuple[Repo, Repo], fleet: Fleet) -> None:
    a, b = pair
    a.config("annex.largefiles", "nothing")
    a.write("f", b"as committed\n")
    fleet.serve(a, b)
    synced(a, b)

    a.write("staged", b"for the next commit of mine\n")
    a.git("add", "staged")
    a.write("beside", b"not mine")

    wait_until(lambda: b.exists("beside"))
    synced(a, b)
    assert b.read("staged") == b"for the next commit of mine\n"


def test_who_only_looks_keeps_nothing_that_is_staged_from_being_committed(
    repo: Repo, fleet: Fleet
) -> None:
    """Where a file is dated in the future, ``git status`` writes the index each time."""
    repo.write("ahead", b"dated")
    os.utime(repo.path / "ahead", (4e9, 4e9))
    repo.write("f", b"f")
    fleet.annexd(repo)
    synced(repo)

    repo.git("rm", "-q", "f")

    def is_committed() -> bool:
        repo.git("status")
        return b"f" not in repo.tree()

    wait_until(is_committed, 20)
    synced(repo)


def test_hold_makes_one_commit_of_many_changes(pair: tuple[Repo, Repo], fleet: Fleet) -> None:
    a, b = pair
    daemon = fleet.annexd(a)
    fleet.annexd(b)
    synced(a, b)
    before = len(a.commits())
    script = 'for n in 1 2 3 4 5; do echo $n >"set $n"; sleep 1; done'

    daemon.tell("hold", "--", "sh", "-c", script)

    synced(a, b)
    assert len(a.commits()) - before == 1
    assert len(b.tree()) == 5
    assert daemon.ask("hold", "--", "sh", "-c", "exit 7").status == 7


def test_a_hold_whose_owner_was_killed_expires(pair: tuple[Repo, Repo], fleet: Fleet) -> None:
    a, b = pair
    fleet.annexd(a)
    fleet.annexd(b)
    synced(a, b)

    with running(["annexd", "hold", "--", "sleep", "1000"], a.path):
        wait_until(lambda: list((a.path / ".git/annex/annexd").glob("hold.*")))
        a.write("f", b"content")
        stays(lambda: b"f" not in a.tree(), 3)

    synced(a, b)


def test_two_commands_hold_at_once_and_neither_ends_the_other_s_hold(
    pair: tuple[Repo, Repo], fleet: Fleet
) -> None:
    """Two scripts that know nothing of each other; and one that is called by the other."""
    a, b = pair
    daemon = fleet.annexd(a)
    fleet.annexd(b)
    synced(a, b)
    before = len(a.commits())
    inner = 'annexd hold -- sh -c "echo 1 >one"; sleep 3; echo 2 >two; sleep 3; echo 3 >three'

    with running(["annexd", "hold", "--", "sleep", "3"], a.path):
        daemon.tell("hold", "--", "sh", "-c", inner)

    synced(a, b)
    assert len(a.commits()) - before == 1
    assert set(b.tree()) == {b"one", b"two", b"three"}
