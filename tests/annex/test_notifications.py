"""What a server says when it is asked to tell of changes."""

import time
from pathlib import Path

import pytest

from tests.processes import wait_until
from tests.repo import Repo
from workers.annex.notifications import Notifications
from workers.annex.remoteurl import Ssh
from workers.annex.repository import find
from workers.git.stream import ObjectId

SHA = "1234567890" * 4


def listen(repo: Repo, tmp_path: Path, server: str) -> Notifications:
    """To a server that is a shell script."""
    program = tmp_path / "ssh"
    program.write_text(f"#!/bin/sh\n{server}\n")
    program.chmod(0o755)
    repo.config("core.sshCommand", str(program))
    return Notifications(find(repo.path), {}, Ssh("host", b"/srv/x"))


def test_what_it_says_refs_are_at(repo: Repo, tmp_path: Path) -> None:
    heard = listen(repo, tmp_path, f"echo READY; echo CHANGED {SHA}; exec sleep 60")
    found: set[ObjectId] = set()

    def hear() -> bool:
        found.update(heard.read() or ())
        return bool(found)

    wait_until(hear)
    heard.close()
    assert found == {SHA}


def test_an_end_is_told(repo: Repo, tmp_path: Path) -> None:
    heard = listen(repo, tmp_path, "exit 1")
    wait_until(lambda: heard.read() is None)
    heard.close()


@pytest.mark.timeout(20)
def test_one_that_never_stops_is_taken_for_one_that_has_ended(repo: Repo, tmp_path: Path) -> None:
    """The pusher did nothing but read what it said, and kept all of it."""
    heard = listen(repo, tmp_path, f"exec yes CHANGED {SHA}")
    end = time.monotonic() + 10
    while heard.read() is not None:
        assert time.monotonic() < end
    heard.close()
