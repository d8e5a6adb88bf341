"""Being killed while writing the git-annex branch, before each step that changes something.

After each kill no line may be lost, git-annex must work at once, and doing it again must finish it.
Git, our child, is not killed with us, and lives on as it would.
"""

import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import final

import pytest

from spool.transfer import UUID, parse_uuid
from tests.annex.logs import FEW, MANY, NOW, OTHER, THIRD, push_line, some_keys
from tests.processes import killed_before, run
from tests.repo import Repo
from workers.annex.branch import Branch
from workers.annex.feed import all_locations
from workers.annex.fold import commit_journal
from workers.annex.presence import Status
from workers.annex.record import record_locations
from workers.annex.repository import Repository, find
from workers.annex.siblings import merge_siblings

OURS = parse_uuid(b"33333333-3333-3333-3333-333333333333")
OF_B = parse_uuid(b"44444444-4444-4444-4444-444444444444")
COMMITTED = parse_uuid(b"55555555-5555-5555-5555-555555555555")


def fold(branch: Branch) -> None:
    commit_journal(branch, NOW)


def record_few(branch: Branch) -> None:
    record_locations(branch, some_keys(FEW), OURS, Status.PRESENT, NOW)


def record_many(branch: Branch) -> None:
    record_locations(branch, some_keys(MANY), OURS, Status.PRESENT, NOW)


def unite(branch: Branch) -> None:
    merge_siblings(branch)


ACTIONS = {action.__name__: action for action in (fold, record_few, record_many, unite)}

Known = dict[bytes, frozenset[UUID]]


def act(action: str, path: Path) -> None:
    """One action, from the start of a process."""
    with Branch(find(path)) as branch:
        ACTIONS[action](branch)


def known(repository: Repository) -> Known:
    """What is said about all keys."""
    with Branch(repository) as branch:
        return dict(all_locations(branch))


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All that can be lost: commits, a journal, a push under it, and a sibling."""
    home = tmp_path_factory.mktemp("template")
    a = Repo.create(home / "a")
    a.git("commit", "-q", "--allow-empty", "-m", "start")
    b = a.clone(home / "b")
    with Branch(find(b.path)) as branch:
        record_locations(branch, some_keys(MANY), OF_B, Status.PRESENT, NOW)
    with Branch(find(a.path)) as branch:
        record_locations(branch, some_keys(MANY), COMMITTED, Status.PRESENT, NOW)
        for key in some_keys(2):
            a.annex("setpresentkey", key, OTHER, "1")
        push_line(a, branch, some_keys(1)[0], THIRD)
    a.git("fetch", "-q", b.path, "git-annex:refs/remotes/b/git-annex")
    a.git("gc", "-q")  # few files, quickly copied
    assert os.listdir(a.path / ".git" / "annex" / "journal")
    assert known(find(a.path))[some_keys(1)[0]] == {COMMITTED, OTHER, THIRD}
    return a.path


@final
class Trial:
    """One action on copies of the template, killed in ever other places."""

    def __init__(self, template: Path, home: Path, action: str) -> None:
        self._template = template
        self._action = action
        self._checks = 0
        if action != "unite":  # git-annex would merge the sibling, and hide what it loses
            self._template = home / "template"
            shutil.copytree(template, self._template, symlinks=True)
            Repo(self._template).git("update-ref", "-d", "refs/remotes/b/git-annex")
        self.copy = home / "copy"
        self.renew()
        self.repository = find(self.copy)  # of every copy: they are all alike
        self._before = known(self.repository)
        act(action, self.copy)
        self._after = known(self.repository)
        Repo(self.copy).git("fsck", "--strict", "--no-dangling")

    def renew(self) -> None:
        """A fresh copy."""
        shutil.rmtree(self.copy, ignore_errors=True)
        shutil.copytree(self._template, self.copy, symlinks=True)

    def stopped_before(self, step: int) -> bool:
        """Act, and be killed before that step; False if there are fewer."""
        with Branch(self.repository) as branch:
            return killed_before(step, lambda: ACTIONS[self._action](branch))

    def check(self, why: object) -> None:
        """After a kill nothing is lost, and again finishes it; git-annex thinks so, too.

        It is asked every third time: it takes longer than all the rest.
        """
        with Branch(self.repository).locked():  # which the victim's git holds as long as it runs
            survived = known(self.repository)
        for key, uuids in self._after.items():
            assert self._before[key] <= survived[key] <= uuids, (why, key)

        repo = Repo(self.copy)
        if repo.annex_tip() != Repo(self._template).annex_tip():
            # From the moment that the branch has moved git-annex, too, may commit the journal.
            repo.annex("merge", "-q")
            survived = known(self.repository)
            assert all(uuids <= survived[key] for key, uuids in self._before.items()), why

        with Branch(self.repository) as branch:
            ACTIONS[self._action](branch)
            finished = known(self.repository)
            assert all(uuids <= finished[key] for key, uuids in self._after.items()), why
            commit_journal(branch, NOW)  # git-annex itself would lose the template's push
        self._checks += 1
        if self._checks % 3 != 1:
            return
        said = repo.annex("whereis", "--all", "--json")
        places = map(json.loads, said.splitlines())
        theirs = {
            place["key"].encode(): frozenset(where["uuid"].encode() for where in place["whereis"])
            for place in places
        }
        assert theirs == self._after, why


@pytest.mark.parametrize("action", ACTIONS)
def test_killed_before_any_step_nothing_is_lost_and_again_finishes_it(
    template: Path, tmp_path: Path, action: str
) -> None:
    trial = Trial(template, tmp_path, action)
    step, killed = 0, True
    while killed:
        step += 1
        trial.renew()
        killed = trial.stopped_before(step)
        trial.check(step)
    assert step > 4


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize("action", ["fold", "unite"])
def test_killed_while_sending_a_commit_to_git_nothing_is_lost(
    template: Path, tmp_path: Path, action: str
) -> None:
    """The last calls of write(2) are what git is told to commit; strace kills at each of them."""
    trial = Trial(template, tmp_path, action)
    trace = tmp_path / "trace"
    code = f"from tests.annex.test_branch_crashes import *; act({action!r}, Path(sys.argv[1]))"
    argv: list[str | Path] = [sys.executable, "-B", "-c", code, trial.copy]  # -B: writes no .pyc
    trial.renew()
    run(["strace", "-qq", "-e", "trace=write", "-o", trace, *argv])
    writes = len(re.findall(r"^write\(", trace.read_text(), re.MULTILINE))

    for number in (writes - 1, writes):
        trial.renew()
        kill = f"inject=write:signal=SIGKILL:when={number}"
        strace = ["strace", "-qq", "-e", "trace=write", "-e", kill, "-o", "/dev/null"]
        status = run(["sh", "-c", '"$@"; echo $?', "sh", *strace, *argv]).split()[-1]
        assert status == b"137", number
        trial.check(number)
        assert not list((trial.copy / ".git").glob("fast_import_crash_*")), number
