"""Users' git and git-annex are noticed while they are at work, and our own are not."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from spool.place import Place
from tests.processes import descendants, kill, start, wait_until
from tests.repo import Repo
from workers import foreign
from workers.foreign import AMONG_S, EXCHANGING_S, FOLLOWING_S, QUIET_S, Others, Turns, Work


@pytest.fixture
def others(repo: Repo) -> Others:
    return others_of(repo)


def others_of(repo: Repo) -> Others:
    """Who is at work in a repository."""
    return Others(Place(repo.path, repo.path / ".git", repo.path / ".git"))


@contextmanager
def editing(repo: Repo, *args: str, cwd: Path | None = None, mark: str = "") -> Iterator[None]:
    """A git command that waits for its editor, until the end of the block."""
    editor = repo.path.parent / "editor"
    editor.write_text('#!/bin/sh\ntouch "$EDITING"\nexec sleep 60\n')
    editor.chmod(0o755)
    begun = repo.path.parent / "editing"
    begun.unlink(missing_ok=True)
    env = {"GIT_EDITOR": os.fspath(editor), "EDITING": os.fspath(begun)}
    if mark:
        env["ANNEXD_SUPERVISOR"] = mark
    process = start(["git", *args], repo.path.parent / "said", cwd=cwd or repo.path, env=env)
    try:
        wait_until(begun.exists)
        yield
    finally:
        for pid in (*descendants(process.pid), process.pid):
            kill(pid)
        process.wait()


def test_nobody_is_at_work_in_a_quiet_repository(others: Others) -> None:
    assert others.at_work() is Work.NOTHING
    assert others.let_head_move()


def test_a_commit_that_waits_for_its_editor_is_waited_for(repo: Repo, others: Others) -> None:
    with editing(repo, "commit", "--allow-empty"):
        assert Work.MOVES_HEAD in others.at_work()
        assert not others.let_head_move()
    wait_until(others.let_head_move, 5 + QUIET_S)


def test_it_is_noticed_from_where_it_was_started_and_with_options(
    repo: Repo, others: Others
) -> None:
    (repo.path / "below").mkdir()
    with editing(repo, "-c", "a.b=c", "commit", "--allow-empty", cwd=repo.path / "below"):
        assert Work.MOVES_HEAD in others.at_work()
    outside = repo.path.parent
    with editing(repo, "-C", os.fspath(repo.path), "commit", "--allow-empty", cwd=outside):
        assert Work.MOVES_HEAD in others.at_work()


def test_one_in_another_repository_is_not_ours_to_wait_for(
    repo: Repo, others: Others, tmp_path: Path
) -> None:
    other = Repo.plain(tmp_path / "repo of another name")
    with editing(repo, "commit", "--allow-empty", cwd=other.path):
        assert others.at_work() is Work.NOTHING


def test_what_annexd_has_started_is_not_waited_for(repo: Repo, others: Others) -> None:
    with editing(repo, "commit", "--allow-empty", mark="token"):
        assert others.at_work() is Work.NOTHING


@contextmanager
def being_pushed_to(repo: Repo) -> Iterator[None]:
    """A push from another repository that waits in a hook, until the end of the block."""
    peer = repo.clone(repo.path.parent / "peer")
    peer.git("commit", "-q", "--allow-empty", "-m", "new")
    begun = repo.path.parent / "pushing"
    hook = repo.path / ".git/hooks/pre-receive"
    hook.write_text(f"#!/bin/sh\ntouch '{begun}'\nexec sleep 60\n")
    hook.chmod(0o755)
    process = start(
        ["git", "push", "-q", "origin", "HEAD:refs/heads/other"],
        repo.path.parent / "said",
        cwd=peer.path,
    )
    try:
        wait_until(begun.exists)
        yield
    finally:
        for pid in (*descendants(process.pid), process.pid):
            kill(pid)
        process.wait()


def test_a_push_that_comes_in_is_waited_for_where_it_may_move_the_checked_out_branch(
    repo: Repo, others: Others
) -> None:
    with being_pushed_to(repo):
        assert others.at_work() is Work.RECEIVES  # it changes no file
        assert others.let_head_move()

        others.may_be_pushed_to = True

        assert not others.let_head_move()
        assert others.let_exchange()
        assert not others_of(Repo(repo.path.parent / "peer")).let_exchange()
    wait_until(others.let_head_move, 5 + QUIET_S)


def test_a_push_that_is_under_way_is_waited_for_before_refs_are_moved_where_it_goes_to(
    repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = others_of(Repo.plain(repo.path.parent / "elsewhere"))
    monkeypatch.setattr(foreign, "MOVING_S", 0.3)
    with being_pushed_to(repo):
        began = time.monotonic()
        elsewhere.let_refs_move(repo.path)
        assert time.monotonic() - began >= 0.3  # and not for ever

        monkeypatch.setattr(foreign, "MOVING_S", 60)
        monkeypatch.setattr(foreign, "EXCHANGING_S", 0.1)
        elsewhere.let_refs_move(repo.path)
        assert time.monotonic() - began < 30  # it has been at it for long


def test_one_command_that_exchanges_is_waited_for_a_while() -> None:
    turns = Turns()

    assert not turns.has_come({"1"}, 0)
    assert not turns.has_come({"1"}, EXCHANGING_S)
    assert turns.has_come({"1"}, EXCHANGING_S + 0.1)
    assert not turns.has_come({"1", "2"}, EXCHANGING_S + 0.2)  # its git push, say
    assert turns.has_come({"1"}, EXCHANGING_S + 0.3)


def test_one_after_the_other_they_are_waited_for_longer_but_not_for_ever() -> None:
    turns, second = Turns(), 1.0

    came = [now for now in range(200) if turns.has_come({str(now)}, now * second)]

    assert came
    assert came[0] > FOLLOWING_S
    assert len(came) <= 200 / FOLLOWING_S * (AMONG_S + 1)
