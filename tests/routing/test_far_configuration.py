"""Reading another repository's configuration through ssh: what a server can do to us."""

import os
from pathlib import Path

import pytest

from tests.processes import wait_until
from tests.repo import Repo
from workers.annex.peerconfig import UnreadableError, read_ssh
from workers.annex.remoteurl import Ssh
from workers.annex.repository import find

TALKATIVE = """#!/bin/sh
echo $$ > pid
head -c 3000000 /dev/zero
exec sleep 60
"""


def test_a_server_that_says_too_much_leaves_no_ssh_behind(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says more than is read, and then it keeps the connection."""
    program = tmp_path / "bin/ssh"
    program.parent.mkdir()
    program.write_text(TALKATIVE)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    repo.config("annex.sshcaching", "false")

    with pytest.raises(UnreadableError):
        read_ssh(find(repo.path), {}, Ssh("host", b"/there"))

    pid = int((repo.path / "pid").read_text())
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"), 5)
