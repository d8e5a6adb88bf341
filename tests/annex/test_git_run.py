"""Running git once: what ends with it, and what is not waited for."""

import os
import resource
import time
from pathlib import Path

import pytest

from tests.processes import alive, forked, reap, wait_until
from tests.repo import Repo
from workers.git import patient
from workers.git.carry import carry
from workers.git.patient import run_patiently
from workers.git.pruning import wait_for
from workers.git.refname import RefName
from workers.git.run import Git, GitError, GitTimeoutError, run
from workers.git.stream import ObjectId
from workers.git.update_refs import Move, UpdateRefs


def hook(repo: Repo, name: str, text: str) -> None:
    path = repo.path / ".git/hooks" / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_a_program_is_not_waited_for_by_what_it_leaves_behind(tmp_path: Path) -> None:
    before = time.monotonic()

    said = run(("sh", "-c", "echo said; sleep 20 & echo $! >pid"), cwd=tmp_path)

    assert said == b"said\n"
    assert time.monotonic() - before < 10
    run(("kill", (tmp_path / "pid").read_text().strip()), cwd=tmp_path)


def test_what_takes_too_long_ends_with_all_that_it_has_started(tmp_path: Path) -> None:
    with pytest.raises(GitTimeoutError, match="no end after"):
        run(("sh", "-c", "echo $$ >pid; sh -c 'sleep 1000; :'; :"), cwd=tmp_path, timeout_s=0.5)

    assert not alive(int((tmp_path / "pid").read_text()))


@pytest.mark.parametrize("where", ["stdout", "stderr"])
def test_what_a_remote_says_without_end_does_not_fill_our_memory(
    repo: Repo, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """What is repeated on stderr counted as progress, and all was kept: for an hour."""
    monkeypatch.setattr(patient, "READ_MAX", 1 << 20)
    monkeypatch.setattr(patient, "STALL_S", 1.0)
    monkeypatch.setattr(patient, "LOOK_S", 0.1)
    to = ">&2" if where == "stderr" else ""
    talk = (
        f"alias.talk=!for i in $(seq 60); do head -c 300000 /dev/zero {to} || exit; sleep 0.1; done"
    )

    with pytest.raises(GitError):
        run_patiently(Git(repo.path / ".git", repo.path, (talk,)), "talk")


def test_a_hook_that_hangs_leaves_no_process_and_no_lock(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.git.update_refs.TIMEOUT_S", 0.5)
    repo.git("commit", "-q", "--allow-empty", "-m", "start")
    head = ObjectId(repo.git("rev-parse", "HEAD").decode().strip())
    move = Move(RefName(b"refs/heads/other"), head, None)
    hook(repo, "reference-transaction", f"echo $$ >>{tmp_path}/pids; sleep 1000; :")
    with UpdateRefs(repo.plumbing, "test") as writer:
        with pytest.raises(GitTimeoutError):
            writer.move(move)
        hook(repo, "reference-transaction", "exit 0")

        assert writer.move(move)
    pids = (tmp_path / "pids").read_text().split()
    wait_until(lambda: not any(alive(int(pid)) for pid in pids))
    assert not list((repo.path / ".git").rglob("*.lock"))


def test_a_worker_with_very_many_files_open_can_still_wait(repo: Repo, tmp_path: Path) -> None:
    """select(2) knows of no descriptor from 1024 on."""
    repo.git("commit", "-q", "--allow-empty", "-m", "start")
    there = repo.clone(tmp_path / "there")
    head = ObjectId(repo.git("rev-parse", "HEAD").decode().strip())
    repo.git("commit", "-q", "--allow-empty", "-m", "next")
    new = ObjectId(repo.git("rev-parse", "HEAD").decode().strip())

    def work() -> None:
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
        for _ in range(1100):
            os.open("/dev/null", os.O_RDONLY)
        with UpdateRefs(repo.plumbing, "test") as writer:
            assert writer.move(Move(RefName(b"refs/heads/other"), head, None))
        assert carry(Git(repo.path / ".git", None), Git(there.path / ".git", None), [new], [head])
        wait_for(os.getpid(), 0.01)

    with forked(work) as pid:
        assert reap(pid, 30) == 0
