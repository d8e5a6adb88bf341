"""A repository on a server's file system, which the kernel here is not told the changes of."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.daemons import Fleet
from tests.processes import run, wait_until
from tests.repo import Repo
from tests.scenarios.sshd import needs_sshd, sshd
from tests.sleeping import Sleep
from workers.pusher.peer import DISTANT_S

SFTP: Final = "/usr/lib/openssh/sftp-server"
REST_S: Final = 15.0

needs_sshfs = pytest.mark.skipif(
    shutil.which("sshfs") is None or not (os.path.exists(SFTP) and os.access("/dev/fuse", os.W_OK)),
    reason="no sshfs here",
)


@contextmanager
def mounted(source: str, at: Path) -> Iterator[None]:
    """A directory of a server's, as long as the block lasts."""
    at.mkdir()
    run(["sshfs", source, at, "-o", f"cache=no,sftp_server={SFTP}"])
    try:
        yield
    finally:
        # Lazily: after a failure annexd still runs there.
        run(["umount", "-l", at] if os.geteuid() == 0 else ["fusermount3", "-uz", at])


@needs_sshd
@needs_sshfs
@pytest.mark.slow
@pytest.mark.timeout(400)
def test_what_others_push_to_a_share_arrives_unheard(
    tmp_path: Path, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = Repo.create(tmp_path / "repo")
    server = tmp_path / "server"
    server.mkdir()
    run(["git", "init", "--bare", "--quiet", "--initial-branch=main", server / "hub"])
    share = tmp_path / "share"
    with sshd(tmp_path / "sshd", monkeypatch) as there, mounted(f"{there.host}:{server}", share):
        repo.git("remote", "add", "hub", str(share / "hub"))
        daemon = fleet.annexd(repo)
        repo.write("ours", b"from here")
        daemon.wait()
        wait_until(Sleep(daemon.workers()["pusher"], REST_S).lasts, 100)
        run(["git", "clone", "--quiet", server / "hub", tmp_path / "other"])
        other = Repo(tmp_path / "other")

        (other.path / "theirs").write_bytes(b"from another machine")
        for words in (
            ("add", "theirs"),
            ("commit", "--quiet", "-m", "theirs"),
            ("push", "--quiet"),
        ):
            other.git(*words)

        wait_until((repo.path / "theirs").exists, 2 * DISTANT_S)
        daemon.stop()
