"""Merging git-annex branches, with git-annex as the judge of what must come out."""

import contextlib
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from spool.key import Key
from spool.transfer import UUID, parse_uuid
from tests.annex.logs import MANY, NOW, OTHER, THIRD, journal, logged, push_line, some_keys
from tests.repo import Repo
from workers.annex import commit as commits
from workers.annex import fewlogs, siblings
from workers.annex.branch import Branch
from workers.annex.fold import commit_journal
from workers.annex.heal import heal
from workers.annex.presence import Status
from workers.annex.record import record_locations
from workers.annex.repository import find
from workers.annex.siblings import Merge, Outcome, merge_news, merge_siblings
from workers.git.run import GitTimeoutError

PUSHED = 3500

NOTHING, MERGED = Merge(Outcome.NOTHING), Merge(Outcome.MERGED)


@pytest.fixture
def branches(pair: tuple[Repo, Repo]) -> Iterator[tuple[Branch, Branch]]:
    """The git-annex branches of ``pair``."""
    with Branch(find(pair[0].path)) as a, Branch(find(pair[1].path)) as b:
        yield a, b


def log(branch: Branch, keys: list[Key], uuid: UUID, status: Status = Status.PRESENT) -> None:
    """Record and commit."""
    record_locations(branch, keys, uuid, status, NOW)
    commit_journal(branch, NOW)


def fetch(*repos: Repo) -> None:
    """Each fetches from the other."""
    for repo in repos:
        repo.git("fetch", "-q", "--all")


Pair = tuple[Repo, Repo]
Branches = tuple[Branch, Branch]


def test_two_repositories_that_merge_the_same_make_the_same_commit(
    pair: Pair, branches: Branches
) -> None:
    a, b = pair
    log(branches[0], some_keys(MANY), OTHER)
    log(branches[1], some_keys(MANY)[10:], THIRD)
    a.annex("describe", "-q", "here", "new name of a")
    commit_journal(branches[0], NOW)
    fetch(a, b)

    assert [merge_siblings(branch) for branch in branches] == [MERGED, MERGED]

    assert a.annex_tip() == b.annex_tip()
    assert len(a.git("rev-parse", "git-annex^@").split()) == 2
    assert [merge_siblings(branch) for branch in branches] == [NOTHING, NOTHING]
    keys = some_keys(MANY)
    for repo, branch in zip(pair, branches, strict=True):
        assert repo.whereis(keys[0]) == logged(branch, keys[0]) == {OTHER}
        assert repo.whereis(keys[-1]) == logged(branch, keys[-1]) == {OTHER, THIRD}
        assert b"new name of a" in repo.annex("info", "--fast")
        repo.git("fsck", "--strict", "--no-dangling")


def test_a_merge_of_few_files_is_the_same_commit_as_one_made_by_fast_import(
    pair: Pair, branches: Branches, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else two repositories would go on merging each other's merges."""
    a, b = pair
    log(branches[0], some_keys(5), OTHER)
    log(branches[1], some_keys(9)[3:], THIRD)
    fetch(a, b)

    assert merge_siblings(branches[0]) == MERGED
    monkeypatch.setattr(fewlogs, "MOST", 0)
    assert merge_siblings(branches[1]) == MERGED

    assert a.annex_tip() == b.annex_tip()
    assert logged(branches[0], some_keys(9)[8]) == {THIRD}
    for repo in pair:
        repo.git("fsck", "--strict", "--no-dangling")
        assert not list((repo.path / ".git/objects").glob("annexd-*"))


def test_a_merge_has_every_line_that_git_annex_would_keep(pair: Pair, branches: Branches) -> None:
    a, b = pair
    for repo, number in zip(pair, b"12", strict=True):
        repo.add(f"file{number}", b"content %d" % number)
        repo.annex("numcopies", "-q", "2")
        repo.annex("group", "-q", "here", "archive")
        repo.annex("wanted", "-q", "here", f"include=*.{number}")
        repo.annex("metadata", "-q", f"file{number}", "-s", f"tag+={number}")
        repo.annex("merge", "-q")
    log(branches[0], some_keys(4), OTHER)
    log(branches[1], some_keys(4), OTHER, Status.MISSING)
    fetch(a, b)

    merge_siblings(branches[0])
    b.annex("merge", "-q")

    ours, theirs = a.annex_tip(), b.annex_tip()
    a.git("fetch", "-q", b.path, "git-annex:theirs")
    assert a.git("diff", "--name-status", "--diff-filter=AD", ours, theirs) == b""
    for path in a.git("diff", "--name-only", ours, theirs).decode().split():
        lines = [set(a.git("show", f"{at}:{path}").splitlines()) for at in (ours, theirs)]
        assert lines[0] <= lines[1]  # less what has been superseded
    for key in some_keys(4):
        assert a.whereis(key) == b.whereis(key)
    a.git("fetch", "-q", "b")
    assert merge_siblings(branches[0]) == MERGED
    a.git("merge-base", "--is-ancestor", theirs, "git-annex")


def test_what_only_one_side_changed_is_taken_by_forwarding(pair: Pair, branches: Branches) -> None:
    a, b = pair
    fetch(a, b)
    merge_siblings(branches[0])
    b.git("fetch", "-q", "a")
    merge_siblings(branches[1])
    log(branches[0], some_keys(MANY), OTHER)
    b.git("fetch", "-q", "a")

    assert merge_siblings(branches[1]) == MERGED

    assert b.annex_tip() == a.annex_tip()


@pytest.mark.parametrize("how", ["by forwarding", "by uniting"])
def test_a_journal_older_than_what_is_merged_loses_nothing_of_it(
    pair: Pair, branches: Branches, how: str
) -> None:
    a, b = pair
    key = some_keys(1)[0]
    fetch(a, b)
    merge_siblings(branches[1])
    b.git("push", "-q", "a", "git-annex")
    if how == "by uniting":
        log(branches[0], some_keys(4)[2:], OTHER)
    a.annex("setpresentkey", key, OTHER, "1")
    assert journal(a)
    log(branches[1], some_keys(MANY), THIRD)
    a.git("fetch", "-q", "b")

    assert merge_siblings(branches[0]) == MERGED
    assert journal(a)
    a.annex("merge", "-q")  # commits the journal over the branch

    assert not journal(a)
    assert a.whereis(key) == logged(branches[0], key) == {OTHER, THIRD}
    assert a.whereis(some_keys(2)[1]) == {THIRD}


def test_three_that_see_one_another_come_to_the_same_commit(
    pair: Pair, branches: Branches, tmp_path: Path
) -> None:
    a, b = pair
    c = a.clone(tmp_path / "c")
    c.git("remote", "add", "b", b.path)
    a.git("remote", "add", "c", c.path)
    b.git("remote", "add", "c", c.path)
    with Branch(find(c.path)) as third:
        everyone = [(a, branches[0]), (b, branches[1]), (c, third)]
        for number, (_repo, branch) in enumerate(everyone):
            log(branch, some_keys(MANY)[number:], parse_uuid(b"uuid%d" % number))

        tips: set[str] = set()
        for _round in range(4):
            fetch(a, b, c)
            for _repo, branch in everyone:
                merge_siblings(branch)
            tips = {repo.annex_tip() for repo, _branch in everyone}
            if len(tips) == 1:
                break

        assert len(tips) == 1
        assert logged(third, some_keys(MANY)[5]) == {b"uuid0", b"uuid1", b"uuid2"}


def test_identical_trees_are_merged_without_a_ladder(pair: Pair, branches: Branches) -> None:
    fetch(*pair)
    for branch in branches:  # both say the same, each in its own commit
        log(branch, some_keys(MANY), OTHER)
        pair[1].git("config", "user.name", "Another")
    fetch(*pair)

    for branch in branches:
        merge_siblings(branch)
    fetch(*pair)

    assert [merge_siblings(branch) for branch in branches] == [NOTHING, NOTHING]
    assert pair[0].annex_tip() == pair[1].annex_tip()


@pytest.mark.parametrize("ref", ["refs/heads/synced/git-annex", "refs/synced/UUID/git-annex"])
def test_what_others_push_to_us_is_merged(pair: Pair, branches: Branches, ref: str) -> None:
    a, b = pair
    log(branches[1], some_keys(MANY), OTHER)
    # As a push does, but for git-annex's post-receive hook, which would merge it.
    a.git("fetch", "-q", b.path, f"git-annex:{ref}")

    assert merge_siblings(branches[0]) == MERGED
    assert logged(branches[0], some_keys(1)[0]) == {OTHER}
    assert a.whereis(some_keys(1)[0]) == {OTHER}


def test_more_siblings_than_a_command_line_can_hold_are_looked_at(
    pair: Pair, branches: Branches
) -> None:
    """A peer can push so many."""
    a, _b = pair
    tip = a.annex_tip()
    told = (
        f"commit refs/heads/synced/{number}/git-annex\n"
        f"committer a <a@b> {number} +0000\ndata 0\nfrom {tip}\n"
        for number in range(PUSHED)
    )
    a.git("fast-import", "--quiet", stdin="".join(told).encode())
    a.git("pack-refs", "--all")

    with small_command_lines():
        assert merge_news(branches[0]) == Merge(Outcome.ALIKE)


@contextlib.contextmanager
def small_command_lines() -> Iterator[None]:
    """The kernel grants a quarter of the stack, and 128 KiB at least."""
    soft, hard = resource.getrlimit(resource.RLIMIT_STACK)
    resource.setrlimit(resource.RLIMIT_STACK, (1 << 19, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_STACK, (soft, hard))


def test_a_user_who_wants_no_merges_gets_none(pair: Pair, branches: Branches) -> None:
    a, _b = pair
    log(branches[1], some_keys(MANY), OTHER)
    a.git("fetch", "-q", "b")
    a.config("annex.merge-annex-branches", "false")
    tip = a.annex_tip()

    with Branch(find(a.path)) as branch:
        assert merge_siblings(branch) == NOTHING
    assert a.annex_tip() == tip


def test_forgotten_history_is_left_to_git_annex_and_does_not_come_back(
    pair: Pair, branches: Branches
) -> None:
    a, b = pair
    log(branches[1], some_keys(MANY), OTHER)
    fetch(a, b)
    a.annex("merge", "-q")
    a.annex("forget", "-q", "--force")
    b.git("fetch", "-q", "a")

    merged = merge_siblings(branches[1])

    assert merged.outcome is Outcome.LEFT
    assert "transitions.log" in merged.why
    forgotten = b.annex_tip()
    b.annex("merge", "-q")
    assert merge_siblings(branches[1]) == NOTHING
    assert b.annex_tip() != forgotten
    fetch(a, b)
    for repo, branch in zip(pair, branches, strict=True):
        while merge_siblings(branch) != NOTHING:
            fetch(a, b)
        assert repo.whereis(some_keys(1)[0]) == {OTHER}


HOSTILE = {
    "a directory with the name of a log": ("100644", b"uuid.log/x.log"),
    "a file with the name of a directory": ("100644", b"abc"),
    "a link": ("120000", b"abc/def/SHA256-s1--00.log"),
    "a program": ("100755", b"abc/def/SHA256-s1--00.log"),
    "something unknown": ("100644", b"export.tree/file"),
    "a file in a strange place": ("100644", b"abc/def/ghi/x.log"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_is_not_a_log_is_left_to_git_annex(pair: Pair, branches: Branches, case: str) -> None:
    a, _b = pair
    mode, path = HOSTILE[case]
    commit = b"commit refs/heads/hostile\ncommitter p <p> 1 +0000\ndata 0\n"
    parent = a.git("rev-parse", "git-annex~1").strip()
    change = b"from %b\nM %b inline %b\ndata 1\nx\n" % (parent, mode.encode(), path)
    a.git("fast-import", "--quiet", stdin=commit + change)
    a.git("update-ref", "refs/remotes/b/git-annex", "refs/heads/hostile")
    log(branches[0], some_keys(MANY), OTHER)
    tip = a.annex_tip()

    assert merge_siblings(branches[0]).outcome is Outcome.LEFT

    assert a.annex_tip() == tip
    assert not list((a.path / ".git").glob("fast_import_crash_*"))


def test_a_bomb_is_left_to_git_annex(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.annex.branch.LOG_MAX", 10_000)
    a, _b = pair
    with Branch(find(a.path)) as branch:
        key = some_keys(1)[0]
        record_locations(branch, some_keys(MANY), OTHER, Status.PRESENT, NOW)
        push_line(a, branch, key, parse_uuid(b"x" * 100))
        path = a.git("ls-tree", "-r", "--name-only", "git-annex").splitlines()[0]
        lines = b"".join(b"1s 1 %d\n" % number for number in range(2000))
        commit = b"commit refs/heads/bomb\ncommitter p <p> 1 +0000\ndata 0\n"
        change = b"from git-annex^0\nM 100644 inline %b\ndata %d\n%b\n" % (path, len(lines), lines)
        a.git("fast-import", "--quiet", stdin=commit + change)
        a.git("update-ref", "refs/remotes/b/git-annex", "refs/heads/bomb")
        record_locations(branch, some_keys(MANY), THIRD, Status.PRESENT, NOW)

        assert merge_siblings(branch).outcome is Outcome.LEFT


def test_a_push_between_makes_us_merge_again(
    pair: Pair, branches: Branches, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = pair
    log(branches[1], some_keys(MANY), OTHER)
    log(branches[0], some_keys(MANY)[5:], THIRD)
    a.git("fetch", "-q", "b")
    commit = commits.commit
    pushes = [some_keys(MANY + 1)[-1]]

    def lose_the_race(*args: object, **kwargs: object) -> object:
        if pushes:
            push_line(a, branches[0], pushes.pop(), OTHER)
        return commit(*args, **kwargs)  # type: ignore[arg-type]  # handed on as they are

    monkeypatch.setattr(siblings, "commit", lose_the_race)

    assert merge_siblings(branches[0]) == MERGED

    assert logged(branches[0], some_keys(MANY + 1)[-1]) == {OTHER}
    assert logged(branches[0], some_keys(MANY)[6]) == {OTHER, THIRD}
    assert b.annex_tip() in a.git("rev-list", "git-annex").decode()


def test_what_git_annex_reverts_is_put_back(pair: Pair, branches: Branches) -> None:
    """A push under a dirty journal, and git-annex commits the journal (formats §4.6)."""
    a, _b = pair
    branch, key = branches[0], some_keys(1)[0]
    a.annex("setpresentkey", key, OTHER, "1")
    since = branch.at("refs/heads/git-annex").commit
    push_line(a, branch, key, THIRD)
    a.annex("merge", "-q")
    assert a.whereis(key) == {OTHER}  # should this fail, git-annex has been repaired: rejoice

    assert heal(branch, since, NOW) == 1

    assert a.whereis(key) == logged(branch, key) == {OTHER, THIRD}
    assert heal(branch, since, NOW) == 0
    assert heal(branch, branch.at("refs/heads/git-annex").commit, NOW) == 0


def test_what_is_put_back_does_not_undo_what_came_later(pair: Pair, branches: Branches) -> None:
    a, _b = pair
    branch, key = branches[0], some_keys(1)[0]
    a.annex("setpresentkey", key, OTHER, "1")
    since = branch.at("refs/heads/git-annex").commit
    push_line(a, branch, key, THIRD)
    a.annex("merge", "-q")
    record_locations(branch, [key], THIRD, Status.MISSING, NOW + 9)

    heal(branch, since, NOW)

    assert logged(branch, key) == {OTHER}
    commit_journal(branch, NOW)
    assert a.whereis(key) == {OTHER}


def test_ordinary_work_needs_no_healing(pair: Pair, branches: Branches) -> None:
    a, _b = pair
    branch = branches[0]
    since = branch.at("refs/heads/git-annex").commit
    for number in range(3):
        a.add(f"file{number}", b"%d" % number)
        a.annex("metadata", "-q", f"file{number}", "-s", "tag=x")
        a.annex("drop", "-q", "--force", f"file{number}")
        a.annex("describe", "-q", "here", f"{number}")
        a.annex("numcopies", "-q", f"{number + 1}")
        a.annex("merge", "-q")
    a.annex("metadata", "-q", "file0", "-r", "tag")
    a.annex("dead", "-q", "b")
    a.annex("merge", "-q")
    log(branch, some_keys(MANY), OTHER)
    log(branch, some_keys(MANY), OTHER, Status.MISSING)

    assert heal(branch, since, NOW) == 0

    a.annex("forget", "-q", "--force", "--drop-dead")
    assert heal(branch, since, NOW) == 0
    assert os.listdir(a.path / ".git" / "annex" / "journal") == []


def test_what_says_nothing_new_may_wait_and_what_does_is_merged(
    pair: Pair, branches: Branches
) -> None:
    """Several who make commits that say nothing, of each other's, would never end."""
    a, b = pair
    log(branches[0], some_keys(4), OTHER)
    record_locations(branches[1], some_keys(4), OTHER, Status.PRESENT, NOW)
    commit_journal(branches[1], NOW + 5)  # another commit, which says the same
    fetch(a, b)
    tip = a.annex_tip()

    assert merge_news(branches[0]) == Merge(Outcome.ALIKE)
    assert a.annex_tip() == tip

    log(branches[1], some_keys(5), THIRD)
    fetch(a)
    assert merge_news(branches[0]) == MERGED
    assert logged(branches[0], some_keys(5)[4]) == {THIRD}
    fetch(b)
    assert merge_news(branches[1]) == MERGED  # forwarded
    assert a.annex_tip() == b.annex_tip()
    assert merge_news(branches[1]) == NOTHING


def test_a_hook_that_hangs_is_a_failure_of_git_s_and_no_bug(
    pair: Pair, branches: Branches, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, _b = pair
    hook = a.path / ".git/hooks/reference-transaction"
    hook.write_text("#!/bin/sh\nexec sleep 3\n")
    hook.chmod(0o755)
    monkeypatch.setattr(fewlogs, "_TIMEOUT_S", 0.2)

    with pytest.raises(GitTimeoutError):
        log(branches[0], some_keys(9), OTHER)
