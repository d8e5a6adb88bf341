"""Recording locations, folding the journal, and reading both, beside a real git-annex."""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from spool.key import parse
from spool.transfer import parse_uuid
from tests.annex.logs import (
    FEW,
    MANY,
    NOW,
    OTHER,
    THIRD,
    journal,
    logged,
    push_line,
    some_keys,
)
from tests.processes import forked, kill, reap, run, wait_until
from tests.repo import Repo
from workers.annex import commit as commits
from workers.annex import record
from workers.annex.branch import Branch
from workers.annex.fold import commit_journal
from workers.annex.location import log_key, log_path
from workers.annex.presence import Status
from workers.annex.record import record_arrivals, record_locations, record_new
from workers.annex.repository import find


@pytest.fixture
def branch(repo: Repo) -> Iterator[Branch]:
    """The git-annex branch of ``repo``."""
    with Branch(find(repo.path)) as opened:
        yield opened


@pytest.mark.parametrize("count", [FEW, MANY])
def test_git_annex_reads_what_we_record(repo: Repo, branch: Branch, count: int) -> None:
    keys = some_keys(count)

    assert record_locations(branch, keys, OTHER, Status.PRESENT, NOW) == count
    assert record_locations(branch, keys[1:], THIRD, Status.PRESENT, NOW) == count - 1
    assert record_locations(branch, keys[:1], OTHER, Status.MISSING, NOW + 5) == 1

    assert logged(branch, keys[0]) == repo.whereis(keys[0]) == set()
    for key in (keys[1], keys[-1]):
        assert logged(branch, key) == repo.whereis(key) == {OTHER, THIRD}
    assert (
        repo.path / repo.git("rev-parse", "--git-path", "annex/journal").decode().strip()
    ).exists()
    repo.git("fsck", "--strict", "--no-dangling")


def test_what_another_says_of_what_has_come_is_united_with_what_we_say(
    repo: Repo, branch: Branch
) -> None:
    keys = some_keys(3)
    record_locations(branch, keys[:2], THIRD, Status.PRESENT, NOW)
    logs = {key: log_path(key, branch.repository.tuning) for key in keys}
    told = {
        logs[keys[0]]: b"%ds 0 %b\n" % (NOW + 9, THIRD),  # newer than what is known here
        logs[keys[1]]: b"",
        logs[keys[2]]: b"%ds 1 %b\n" % (NOW - 9, THIRD),
    }

    assert record_arrivals(branch, told, OTHER, NOW) == len(keys)

    assert logged(branch, keys[0]) == repo.whereis(keys[0]) == {OTHER}
    for key in keys[1:]:
        assert logged(branch, key) == repo.whereis(key) == {OTHER, THIRD}


def test_few_keys_wait_in_the_journal_and_many_are_committed_at_once(
    repo: Repo, branch: Branch
) -> None:
    tip = repo.annex_tip()
    record_locations(branch, some_keys(FEW), OTHER, Status.PRESENT, NOW)
    assert repo.annex_tip() == tip
    assert len(journal(repo)) == FEW

    record_locations(branch, some_keys(MANY), THIRD, Status.PRESENT, NOW)

    # What is in the journal stays there, or git-annex would commit it over our commit.
    assert len(journal(repo)) == FEW
    assert repo.git("rev-list", "--count", f"{tip}..git-annex").strip() == b"1"
    changed = repo.git("diff-tree", "-r", "--name-only", tip, "git-annex").splitlines()
    assert len(changed) == MANY - FEW
    for key in (some_keys(FEW)[0], some_keys(MANY)[-1]):
        assert repo.whereis(key) == logged(branch, key)


def test_what_is_new_is_committed_at_once(repo: Repo, branch: Branch) -> None:
    """``git annex whereis`` does not look into a journal that was empty when it began.

    (``scenarios/test_user_at_work.py`` has it look in a loop: 4 of 250 failed.)
    """
    tip = repo.annex_tip()

    assert record_new(branch, some_keys(1), OTHER, NOW) == 1

    assert not journal(repo)
    assert repo.git("rev-list", "--count", f"{tip}..git-annex").strip() == b"1"
    assert record_new(branch, some_keys(1), OTHER, NOW) == 0


@pytest.mark.parametrize("hindrance", ["annex.alwayscommit=false", "annex.private=true", "none"])
def test_what_is_new_waits_in_the_journal_where_nothing_can_be_committed(
    repo: Repo, hindrance: str
) -> None:
    if hindrance == "none":
        repo.git("update-ref", "-d", "refs/heads/git-annex")
    else:
        repo.config(*hindrance.split("="))
    with Branch(find(repo.path)) as branch:
        assert record_new(branch, some_keys(FEW), branch.repository.uuid, NOW) == FEW

        assert logged(branch, some_keys(FEW)[-1]) == {branch.repository.uuid}
    private = repo.path / ".git" / "annex" / "journal-private"
    assert len(journal(repo)) + len([*private.glob("*.log")]) == FEW


def test_recording_again_changes_nothing(repo: Repo, branch: Branch) -> None:
    keys = some_keys(MANY)
    record_locations(branch, keys, OTHER, Status.PRESENT, NOW)
    tip = repo.annex_tip()

    assert record_locations(branch, keys, OTHER, Status.PRESENT, NOW + 1) == 0
    assert record_locations(branch, keys[:FEW], OTHER, Status.PRESENT, NOW + 1) == 0

    assert repo.annex_tip() == tip
    assert not journal(repo)


def test_git_annex_goes_on_from_what_we_recorded(repo: Repo, branch: Branch) -> None:
    keys = some_keys(MANY)
    record_locations(branch, keys, OTHER, Status.PRESENT, NOW)
    repo.annex("setpresentkey", keys[0], THIRD, "1")
    repo.annex("setpresentkey", keys[1], OTHER, "0")
    repo.annex("merge", "-q")

    assert logged(branch, keys[0]) == {OTHER, THIRD}
    assert logged(branch, keys[1]) == set()  # though its clock is behind ours
    assert record_locations(branch, keys, OTHER, Status.PRESENT, NOW - 1000) == 1
    assert repo.whereis(keys[1]) == {OTHER}


def test_a_key_whose_journal_file_would_have_too_long_a_name_is_committed(
    repo: Repo, branch: Branch
) -> None:
    key = parse(b"WORM-s1-m1--" + b"_" * 200)

    record_locations(branch, [key], OTHER, Status.PRESENT, NOW)

    assert not journal(repo)
    assert logged(branch, key) == {OTHER}


def test_strange_keys_are_recorded_as_git_annex_spells_them(repo: Repo, branch: Branch) -> None:
    keys = [
        parse(b"WORM-s3-m1700000000--a_b/c%d&e:f g"),
        parse(b"WORM-s3-m1--\xff\xfe"),
        parse("SHA256E-s1--00.çé".encode()),
        parse(b'"X--quoted"'),
        parse(b"X_--__a___b"),
    ]
    for key in keys:
        record_locations(branch, [key], OTHER, Status.PRESENT, NOW)
        path = log_path(key, branch.repository.tuning)
        assert log_key(path) == key
        assert branch.journal.paths() == {path}
        assert logged(branch, key) == {OTHER}

        assert repo.whereis(key) == {OTHER}  # which commits the journal
        assert branch.journal.paths() == set()
        assert logged(branch, key) == {OTHER}


def test_a_key_that_the_journal_cannot_spell_is_committed(repo: Repo, branch: Branch) -> None:
    """git-annex takes ``abc_def___X`` for ``abc/def_/X``."""
    key = parse(b"_X--name")

    record_locations(branch, [key], OTHER, Status.PRESENT, NOW)

    assert not journal(repo)
    assert repo.whereis(key) == logged(branch, key) == {OTHER}


def test_folding_the_journal_leaves_what_git_annex_would_have_left(
    repo: Repo, branch: Branch
) -> None:
    key = some_keys(1)[0]
    repo.annex("setpresentkey", key, OTHER, "1")
    repo.annex("describe", "-q", "here", "renamed")
    record_locations(branch, [key], THIRD, Status.PRESENT, NOW)

    made = commit_journal(branch, NOW)

    assert made == repo.annex_tip()
    assert not journal(repo)
    assert repo.git("log", "-1", "--format=%s", "git-annex").strip() == b"update"
    assert repo.whereis(key) == {OTHER, THIRD}
    assert b"renamed" in repo.annex("info", "--fast")
    assert commit_journal(branch, NOW) is None


def test_a_push_under_a_dirty_journal_is_not_lost_when_we_fold(repo: Repo, branch: Branch) -> None:
    """git-annex itself loses it (git-annex-formats.md §4.6)."""
    key = some_keys(1)[0]
    repo.annex("setpresentkey", key, OTHER, "1")
    assert journal(repo)
    repo.annex("merge", "-q")
    repo.annex("setpresentkey", key, OTHER, "0")
    push_line(repo, branch, key, THIRD)

    commit_journal(branch, NOW)

    assert logged(branch, key) == repo.whereis(key) == {THIRD}


@pytest.mark.parametrize("count", [FEW, MANY])
def test_a_push_under_a_dirty_journal_is_not_lost_when_we_record(
    repo: Repo, branch: Branch, count: int
) -> None:
    keys = some_keys(count)
    repo.annex("setpresentkey", keys[0], OTHER, "1")
    push_line(repo, branch, keys[0], THIRD)

    record_locations(branch, keys, parse_uuid(b"mine"), Status.PRESENT, NOW)
    repo.annex("merge", "-q")

    assert repo.whereis(keys[0]) == logged(branch, keys[0]) == {OTHER, THIRD, b"mine"}


def test_a_push_that_comes_first_makes_us_start_again(
    repo: Repo, branch: Branch, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = some_keys(MANY)
    commit = commits.commit
    pushes = [THIRD, OTHER]

    def lose_the_race(*args: object, **kwargs: object) -> object:
        if pushes:
            push_line(repo, branch, keys[0], pushes.pop())
        return commit(*args, **kwargs)  # type: ignore[arg-type]  # handed on as they are

    monkeypatch.setattr(record, "commit", lose_the_race)

    record_locations(branch, keys, parse_uuid(b"mine"), Status.PRESENT, NOW)

    assert not pushes
    assert logged(branch, keys[0]) == {OTHER, THIRD, b"mine"}
    assert logged(branch, keys[1]) == {b"mine"}


def test_private_locations_are_never_committed(repo: Repo) -> None:
    repo.git("remote", "add", "secret", "/nowhere")
    repo.config("remote.secret.annex-uuid", OTHER.decode())
    repo.config("remote.secret.annex-private", "true")
    repo.config("annex.private", "true")
    private = Branch(find(repo.path))
    keys = some_keys(MANY)

    record_locations(private, keys, OTHER, Status.PRESENT, NOW)
    record_locations(private, keys, private.repository.uuid, Status.PRESENT, NOW)
    record_locations(private, keys, THIRD, Status.PRESENT, NOW)
    commit_journal(private, NOW)

    uuids = {OTHER, THIRD, private.repository.uuid}
    assert logged(private, keys[0]) == repo.whereis(keys[0]) == uuids
    public = repo.git("grep", "-h", "-o", "[^ ]*$", "git-annex", "--", "*.dat.log").split()
    assert set(public) == {THIRD}
    private.close()


def test_a_user_who_commits_by_hand_is_left_to_it(repo: Repo) -> None:
    repo.config("annex.alwayscommit", "false")
    tip = repo.annex_tip()

    with Branch(find(repo.path)) as branch:
        record_locations(branch, some_keys(MANY), OTHER, Status.PRESENT, NOW)
        assert commit_journal(branch, NOW) is None

        assert repo.annex_tip() == tip
        assert len(journal(repo)) == MANY
        assert logged(branch, some_keys(MANY)[-1]) == {OTHER}


def test_hooks_and_settings_of_the_branch_are_honoured(repo: Repo) -> None:
    repo.config("annex.commitmessage", "as configured")
    told = repo.path / "told"
    hook = repo.write(".git/hooks/post-update-annex", b"#!/bin/sh\necho told >> told\n")
    hook.chmod(0o755)

    with Branch(find(repo.path)) as branch:
        record_locations(branch, some_keys(MANY), OTHER, Status.PRESENT, NOW)
    assert repo.git("log", "-1", "--format=%s", "git-annex").strip() == b"as configured"
    assert told.read_text() == "told\n"

    repo.config("annex.commitmessage-command", "echo subject; echo; echo body")
    with Branch(find(repo.path)) as branch:
        record_locations(branch, some_keys(MANY), THIRD, Status.PRESENT, NOW)
    assert repo.git("log", "-1", "--format=%B", "git-annex").strip() == b"subject\n\nbody"
    assert told.read_text() == "told\n" * 2


def test_a_tuned_repository_has_its_logs_elsewhere(tmp_path: Path) -> None:
    run(["git", "init", "-q", tmp_path / "tuned"])
    run(["git", "-c", "annex.tune.branchhash1=true", "annex", "init", "-q"], cwd=tmp_path / "tuned")
    repo = Repo(tmp_path / "tuned")
    with Branch(find(repo.path)) as branch:
        for count in (FEW, MANY):
            key = some_keys(count)[-1]
            record_locations(branch, some_keys(count), OTHER, Status.PRESENT, NOW)

            assert repo.whereis(key) == logged(branch, key) == {OTHER}
            assert log_key(log_path(key, branch.repository.tuning)) == key


def test_a_repository_with_sha256_names_works_the_same(tmp_path: Path) -> None:
    run(["git", "init", "-q", "--object-format=sha256", tmp_path / "sha256"])
    run(["git-annex", "init", "-q"], cwd=tmp_path / "sha256")
    repo = Repo(tmp_path / "sha256")
    with Branch(find(repo.path)) as branch:
        for count in (FEW, MANY):
            record_locations(branch, some_keys(count), OTHER, Status.PRESENT, NOW)
            assert repo.whereis(some_keys(count)[-1]) == {OTHER}
        commit_journal(branch, NOW)
        assert logged(branch, some_keys(1)[0]) == {OTHER}


def test_files_of_the_journal_are_shared_as_the_repository_is(tmp_path: Path) -> None:
    run(["git", "init", "-q", "--shared=group", tmp_path / "shared"])
    repo = Repo(tmp_path / "shared")
    repo.annex("init", "-q")
    run(["rm", repo.path / ".git" / "annex" / "journal.lck"])
    with Branch(find(repo.path)) as branch:
        record_locations(branch, some_keys(FEW), OTHER, Status.PRESENT, NOW)

    written = [
        *(repo.path / ".git" / "annex" / "journal").iterdir(),
        repo.path / ".git" / "annex" / "journal.lck",
    ]
    assert {path.stat().st_mode & 0o777 for path in written} == {0o664}


def test_without_a_branch_nothing_is_recorded_and_it_is_said(repo: Repo, branch: Branch) -> None:
    repo.git("update-ref", "-d", "refs/heads/git-annex")

    with pytest.raises(record.BranchMissingError):
        record_locations(branch, some_keys(MANY), OTHER, Status.PRESENT, NOW)


def test_a_long_lived_reader_sees_what_others_write(repo: Repo, branch: Branch) -> None:
    key = some_keys(1)[0]
    assert logged(branch, key) == set()
    repo.annex("setpresentkey", key, OTHER, "1")
    assert logged(branch, key) == {OTHER}
    repo.annex("merge", "-q")
    repo.git("gc", "-q", "--prune=now")
    assert logged(branch, key) == {OTHER}
    repo.annex("setpresentkey", key, OTHER, "0")
    repo.annex("merge", "-q")

    assert logged(branch, key) == set()


@pytest.mark.parametrize("count", [12, 20, MANY])
def test_what_prune_takes_before_the_branch_has_moved_is_there_in_the_end(
    repo: Repo, branch: Branch, count: int
) -> None:
    """A gc that looked at the refs before that; of 17 to 33 logs, trees and blobs were missing."""
    hook = b'#!/bin/sh\ntest "$1" != prepared || { git repack -adq; git prune --expire=now; }\n'
    repo.write(".git/hooks/reference-transaction", hook).chmod(0o755)

    record_locations(branch, some_keys(count), OTHER, Status.PRESENT, NOW)

    (repo.path / ".git/hooks/reference-transaction").unlink()
    repo.git("fsck", "--strict", "--connectivity-only")
    assert logged(branch, some_keys(count)[-1]) == {OTHER}


def test_the_lock_outlives_a_killed_owner_as_long_as_its_git(repo: Repo) -> None:
    """Else git-annex could read the old branch, and journal that, while git moves it."""
    key = some_keys(1)[0]
    os.mkfifo(repo.path / "go on")
    hook = b'#!/bin/sh\ntest "$1" = prepared && touch started && cat "go on"\nexit 0\n'
    repo.write(".git/hooks/reference-transaction", hook).chmod(0o755)
    repository = find(repo.path)

    def record_many() -> None:
        with Branch(repository) as branch:
            record_locations(branch, some_keys(MANY), OTHER, Status.PRESENT, NOW)

    with forked(record_many) as victim:
        wait_until((repo.path / "started").exists)  # git is about to move the branch
        kill(victim)
        reap(victim)
        with open(repository.layout.journal_lock, "r+b") as lock, pytest.raises(BlockingIOError):
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    with forked(lambda: repo.annex("setpresentkey", key, THIRD, "1")) as git_annex:
        hook_path = repo.path / ".git" / "hooks" / "reference-transaction"
        (repo.path / "go on").write_bytes(b"")
        hook_path.unlink()
        assert reap(git_annex) == 0
    repo.annex("merge", "-q")
    assert repo.whereis(key) == {OTHER, THIRD}


def test_a_linked_work_tree_records_into_the_branch_of_all(repo: Repo, tmp_path: Path) -> None:
    repo.add("file", b"content")
    repo.git("worktree", "add", "-q", tmp_path / "linked", "-b", "other")
    with Branch(find(tmp_path / "linked")) as branch:
        for count in (FEW, MANY):
            record_locations(branch, some_keys(count), OTHER, Status.PRESENT, NOW)
            assert repo.whereis(some_keys(count)[-1]) == {OTHER}
        commit_journal(branch, NOW)

    assert not journal(repo)
    assert repo.whereis(some_keys(1)[0]) == {OTHER}
