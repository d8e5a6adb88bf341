"""How many workers a remote is given: a dead host must not be all of them."""

import errno
import os
from pathlib import Path

import pytest

from spool.remotes import errors, forgive_transfer
from tests.hanging import hanging, needs_fuse
from tests.processes import python, running, wait_until
from tests.pushing import place
from tests.repo import Repo
from workers.annex.remotes import Remote, parse
from workers.annex.repository import find
from workers.transferrer.gate import HELP_AFTER_S, Gates

HOLD = """
import fcntl, os, signal, sys
file = open(sys.argv[1], "w")
fcntl.lockf(file, fcntl.LOCK_EX)
print("ready", flush=True)
signal.pause()
"""
FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
UUID = "00000000-0000-4000-8000-000000000001"


def remote(repo: Repo, url: str) -> Remote:
    repo.config("remote.there.url", url)
    repo.config("remote.there.annex-uuid", UUID)
    return parse(find(repo.path).settings, {}, top=repo.path, home=Path("/"))[0]


@pytest.mark.parametrize("url", ["ssh://host.invalid/annex", "/there"])
def test_help_is_given_only_where_somebody_is_known_to_answer(
    repo: Repo, tmp_path: Path, url: str
) -> None:
    there, gates, said = remote(repo, url), Gates(place(repo).remotes), tmp_path / "said"
    slot = Path(os.fsdecode(gates.directory(there))) / "slot.0"
    with running(python(HOLD, slot), output=said):
        wait_until(lambda: said.exists() and b"ready" in said.read_bytes())
        now = slot.stat().st_mtime + HELP_AFTER_S + 1

        assert (gates.free_at(there, now) == 0) == (url == "/there")
        os.utime(slot, (0, 0))  # as who moves a large content says
        assert gates.free_at(there, now) == 0
        os.utime(slot)
        gates.succeeded(there, now)
        assert gates.free_at(there, slot.stat().st_mtime + HELP_AFTER_S + 1) == 0
        gates.failed(there, "timed out", now)
        assert (gates.free_at(there, now + HELP_AFTER_S + 1) == 0) == (url == "/there")


@needs_fuse
@pytest.mark.timeout(30)
def test_a_dead_disk_or_server_at_a_path_is_not_all_of_us(repo: Repo, tmp_path: Path) -> None:
    """Observed with sshfs: both workers hung there, and nothing went to any other remote."""
    there, gates, said = remote(repo, str(tmp_path / "mnt")), Gates(place(repo).remotes), tmp_path
    slot = Path(os.fsdecode(gates.directory(there))) / "slot.0"
    with running(python(HOLD, slot), output=said / "said"):
        wait_until(lambda: (said / "said").exists() and b"ready" in (said / "said").read_bytes())
        os.utime(slot, (0, 0))
        with hanging(tmp_path / "mnt"):
            for _ in range(2):
                with gates.slot(there) as taken:
                    assert not taken

        wait_until(lambda: helps(gates, there))


def helps(gates: Gates, there: Remote) -> bool:
    with gates.slot(there) as taken:
        return taken


def test_what_the_disk_has_no_room_to_say_holds_all_the_same(
    repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker died of what it had to say of a remote that had failed."""

    def is_full(*_args: object) -> None:
        raise FULL

    there, gates = remote(repo, "/there"), Gates(place(repo).remotes)
    monkeypatch.setattr("workers.transferrer.gate.make_directory", is_full)

    for _ in range(2):
        gates.failed(there, "gone", 1000.0)

    assert gates.opens(there, 1000.0) > 1000.0
    assert not Path(os.fsdecode(gates.directory(there))).exists()


def test_a_remote_that_is_forgiven_may_be_tried_and_its_failure_stays_told(repo: Repo) -> None:
    there, gates = remote(repo, "/there"), Gates(place(repo).remotes)
    for _ in range(3):
        gates.failed(there, "gone", 1000.0)
    directory = Path(os.fsdecode(gates.directory(there)))
    assert Gates(place(repo).remotes).opens(there, 1000.0) > 1000.0

    forgive_transfer(directory)

    assert Gates(place(repo).remotes).opens(there, 1000.0) == 0.0
    assert errors(place(repo).remotes, b"there") == ("gone",)
    forgive_transfer(directory / "of nobody")
    assert not (directory / "of nobody").exists()


def test_what_could_not_be_written_does_not_hide_what_another_worker_writes(
    repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that had met a full disk once left the remote alone, though it worked again."""
    there, now = remote(repo, "ssh://host.invalid/annex"), 1_000_000.0
    gates, others = (Gates(place(repo).remotes) for _ in range(2))
    others.failed(there, "timed out", now)
    with monkeypatch.context() as full:

        def is_full(*_args: object) -> None:
            raise FULL

        full.setattr("workers.transferrer.gate.write_transfer", is_full)
        gates.failed(there, "timed out", now)
    assert gates.opens(there, now) > now

    others.succeeded(there, now + 1)

    assert gates.opens(there, now + 1) == 0
