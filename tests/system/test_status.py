"""What annexd tells of itself, and what a person may do to its spool, by the command line."""

import json
import os
import re
import signal
import time
from pathlib import Path
from typing import TypedDict

import pytest

from spool import hold
from spool.info import Info
from spool.key import parse
from spool.poke import latest
from spool.publisher import Publisher
from spool.queue import Queue
from spool.remotes import (
    Exchange,
    Reach,
    read_transfer,
    write_push,
    write_reach,
    write_transfer,
)
from spool.transfer import UUID, Direction, Transfer
from spool.transferlock import TransferLocks
from tests.processes import Ended, forked, kill, run_to_end, start, wait_until
from tests.system.conftest import CLI, Annexd

KEY = parse(b"SHA256E-s1000--" + b"0123456789abcdef" * 4 + b".txt")
USB = UUID(b"00000000-0000-0000-0000-000000000001")
SERVER = UUID(b"00000000-0000-0000-0000-000000000002")
EVIL = os.fsdecode(b"dir/\x1b]0;x\x07\n\xff")


def remote(annexd: Annexd, name: str, uuid: UUID, *, here: bool) -> None:
    """A remote as git-annex and the sentry would have it."""
    annexd.repo.config(f"remote.{name}.url", f"/media/{name}")
    annexd.repo.config(f"remote.{name}.annex-uuid", uuid.decode())
    why = "" if here else "not mounted"
    write_reach(annexd.place.remotes, name.encode(), Reach(here, time.time() - 100, why))


@pytest.fixture
def spool(annexd: Annexd) -> Annexd:
    """A repository with two remotes, one away, and a job for each, and annexd running."""
    annexd.roles = "answer"
    assert annexd("start").status == 0
    remote(annexd, "usb", USB, here=True)
    remote(annexd, "server", SERVER, here=False)
    queue(annexd, USB)
    queue(annexd, SERVER)
    return annexd


def queue(annexd: Annexd, uuid: UUID, direction: Direction = Direction.UPLOAD) -> Transfer:
    """Queue one transfer."""
    transfer = Transfer(direction, uuid, KEY)
    Queue(annexd.place.layout).add(transfer, Info.begun(time.time(), os.fsencode(EVIL)))
    return transfer


def run_transfer(annexd: Annexd, transfer: Transfer) -> None:
    """Be the process that runs a transfer, and never ends it."""
    with TransferLocks(annexd.place.layout, transfer.lane) as locks:
        lock = locks.try_take(transfer.key)
        assert lock is not None
        started = time.time() - 1
        file = os.fsencode(EVIL)
        with lock, Publisher(lock, started, size=1000, associated_file=file) as shown:
            shown.progress(450, time.time())
            signal.pause()


class ShownTransfers(TypedDict):
    """``transfers`` of the status."""

    running: list[dict[str, object]]
    queued: int
    failed: int


class Shown(TypedDict):
    """The status as a program reads it."""

    ready: bool
    in_sync: bool
    pid: int | None
    workers: list[dict[str, object]]
    remotes: list[dict[str, object]]
    transfers: ShownTransfers


def status(annexd: Annexd) -> Shown:
    """``annexd status --json`` of an annexd that runs."""
    ended = annexd("status", "--json")
    assert ended.status == 0
    assert ended.stdout.count(b"\n") == 1
    shown: Shown = json.loads(ended.stdout)
    return shown


def jobs(annexd: Annexd) -> int:
    return status(annexd)["transfers"]["queued"]


def running(annexd: Annexd) -> list[dict[str, object]]:
    return status(annexd)["transfers"]["running"]


def test_the_status_of_a_running_annexd(spool: Annexd) -> None:
    write_push(spool.place.remotes, b"usb", Exchange(last_success=1000.5))
    write_transfer(
        spool.place.remotes, b"usb", Exchange(failing_since=time.time() - 60, last_error="full\n")
    )

    found = status(spool)

    assert found["ready"] is True
    assert found["in_sync"] is False
    assert found["pid"] == spool.pid()
    (worker,) = found["workers"]
    assert worker["role"] == "answer"
    assert worker["restarts"] == 0
    assert os.path.exists(f"/proc/{worker['pid']}")
    assert isinstance(worker["started"], float)
    assert abs(worker["started"] - time.time()) < 60
    server, usb = found["remotes"]
    assert (server["name"], server["uuid"], server["reachable"]) == (
        "server",
        SERVER.decode(),
        False,
    )
    assert (usb["reachable"], usb["last_push"], usb["pending"]) == (True, 1000.5, 1)
    assert found["transfers"] == {"running": [], "queued": 2, "failed": 0}

    text = spool("status").stdout.decode()
    assert re.search(r"server +away for \d+m\w* \(not mounted\); 1 to send \(1\.0 kB\)\n", text)
    assert re.search(
        r"usb +here; .* to send \(1\.\d kB\); transfers fail for \d+m\w*: full\\n\n", text
    )


def test_the_status_of_a_dead_annexd_is_read_from_the_files(spool: Annexd) -> None:
    kill(spool.pid())
    wait_until(lambda: not spool.runs())

    ended = spool("status", "--json")

    assert ended.status == 3
    found = json.loads(ended.stdout)
    assert found["pid"] is None
    assert found["workers"] == []
    assert not found["ready"]
    assert not found["in_sync"]
    assert found["transfers"]["queued"] == 2
    assert {at["name"]: at["reachable"] for at in found["remotes"]} == {
        "usb": True,
        "server": False,
    }
    text = spool("status")
    assert text.status == 3
    assert text.stdout.startswith(b"annexd does not run in ")


def test_the_status_says_when_the_assistant_runs_instead(annexd: Annexd) -> None:
    annexd.repo.annex("assistant")
    try:
        wait_until(annexd.runs)
        ended = annexd("status")
        assert ended.status == 3
        assert b"assistant (pid %d) runs in" % annexd.pid() in ended.stdout
    finally:
        annexd.repo.annex("assistant", "--stop")
        wait_until(lambda: not annexd.runs())


def test_a_repository_is_in_sync_when_nothing_can_be_done_for_it(spool: Annexd) -> None:
    assert not status(spool)["in_sync"]

    Queue(spool.place.layout).cancel(Transfer(Direction.UPLOAD, USB, KEY))

    assert status(spool)["in_sync"]  # what is left is for a remote that is away


def test_what_is_queued_for_nobody_is_not_waited_for(annexd: Annexd) -> None:
    """A remote that was removed, or what somebody has put there by hand."""
    annexd.roles = "answer"
    assert annexd("start").status == 0
    queue(annexd, USB)

    assert annexd("wait", "--timeout", "5").status == 0


def test_running_transfers_are_shown_with_names_escaped(spool: Annexd) -> None:
    transfer = queue(spool, USB)
    with forked(lambda: run_transfer(spool, transfer)) as pid:
        wait_until(lambda: running(spool))

        (one,) = running(spool)
        assert one["pid"] == pid
        assert one["bytes_done"] == 450
        assert one["size"] == 1000
        assert one["file"] == EVIL
        assert one["direction"] == "upload"

        for command in ("status", "transfers"):
            shown = spool(command).stdout
            assert b"sending dir/\\x1b]0;x\\x07\\n\\udcff to usb: 45 % of 1.0 kB\n" in shown

        found = json.loads(spool("transfers", "--json").stdout)
        assert [each["key"] for each in found["running"]] == [KEY.decode()]
        assert {each["uuid"] for each in found["queued"]} == {USB.decode(), SERVER.decode()}


def test_pause_and_resume_make_and_remove_the_files_they_name(spool: Annexd) -> None:
    now = time.time()
    paths = spool.place.layout
    assert spool("pause").status == 0
    assert hold.is_held(paths, SERVER, now)
    assert b"paused: everything" in spool("status").stdout
    assert spool("resume").status == 0
    assert hold.listing(paths, now) == []

    assert spool("pause", "usb", "--for", "1h").status == 0
    (pause,) = hold.listing(paths, now)
    assert pause.uuid == USB
    assert 3500 < pause.until - now < 3700
    assert spool("resume", "server").status == 0
    assert hold.is_held(paths, USB, now)
    assert spool("resume", "usb").status == 0
    assert hold.listing(paths, now) == []

    refused = spool("pause", "nope")
    assert refused.status == 100
    assert b"there is no remote 'nope' here; there are: server, usb" in refused.stderr


def test_retry_touches_what_is_put_off_and_queues_what_has_failed(spool: Annexd) -> None:
    later = time.time() + 1000
    job = spool.place.layout.job(Transfer(Direction.UPLOAD, USB, KEY))
    os.utime(job, (later, later))
    failed = Path(os.fsdecode(spool.place.layout.failed(Transfer(Direction.DOWNLOAD, USB, KEY))))
    failed.parent.mkdir(parents=True)
    failed.write_bytes(b"5s\nfile\n")

    assert spool("retry", "server").stdout == b"0 due now\n"
    assert spool("retry", "usb").stdout == b"2 due now\n"

    assert os.stat(job).st_mtime < time.time() + 1
    assert jobs(spool) == 3


@pytest.mark.parametrize(
    ("what", "left"),
    [("usb", 1), (KEY.decode(), 0), ("dir", 0), (EVIL, 0), (".", 0), ("other", 2)],
)
def test_cancel_removes_what_is_meant(spool: Annexd, what: str, left: int) -> None:
    assert spool("cancel", what).stdout == b"%d cancelled\n" % (2 - left)
    assert jobs(spool) == left


def test_cancel_understands_a_file_from_where_one_stands(spool: Annexd) -> None:
    (spool.repo.path / "dir").mkdir()

    ended = run_to_end((*CLI, "cancel", EVIL.removeprefix("dir/")), cwd=spool.repo.path / "dir")

    assert ended == Ended(0, b"2 cancelled\n", b"")


def test_cancel_ends_what_runs(spool: Annexd) -> None:
    transfer = queue(spool, USB)
    with forked(lambda: run_transfer(spool, transfer)) as pid:
        wait_until(lambda: running(spool))

        assert spool("cancel", "usb").stdout == b"1 cancelled\n"

        _, how = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(how) == -signal.SIGTERM


def test_status_imports_nothing_that_it_does_not_need(spool: Annexd) -> None:
    """It is asked again and again; typer alone would take longer than all the rest."""
    program = (
        "import sys, atexit\n"
        "atexit.register(lambda: print(*sys.modules))\n"
        "from annexd.cli import main\n"
        "main()"
    )
    command = (CLI[0], "-P", "-c", program, "status", spool.repo.path)

    modules = set(run_to_end(command).stdout.split())

    heavy = b"typer click rich pydantic networkx psutil msgpack asyncio socket workers.roles"
    assert b"annexd.status" in modules
    assert not modules & set(heavy.split())


# wait


def test_wait_returns_when_every_role_has_looked_and_found_nothing(annexd: Annexd) -> None:
    annexd.roles = "answer=2"
    annexd("start")

    assert annexd("wait", "--timeout", "30s") == Ended(0, b"", b"")
    assert os.listdir(annexd.place.poke) == ["1"]  # one round was enough


def test_wait_goes_on_as_long_as_one_role_gives_another_something_to_do(annexd: Annexd) -> None:
    annexd.repo.git("commit", "-q", "--allow-empty", "-m", "x")
    todo = annexd.repo.path / "todo"
    todo.mkdir()
    annexd.roles = "clerk answer"
    annexd("start")
    for number in range(4):
        (todo / f"thing-{number}").touch()

    assert annexd("wait", "--timeout", "60s") == Ended(0, b"", b"")

    assert os.listdir(todo) == []
    assert b"thing-3" in annexd.repo.git("branch")


def test_wait_says_who_does_not_answer_when_the_time_is_up(annexd: Annexd) -> None:
    annexd.roles = "answer obey"
    annexd("start")

    ended = annexd("wait", "--timeout", "1s")

    assert ended == Ended(1, b"", b"annexd: not in sync: obey is at work\n")


def test_wait_does_not_believe_what_a_dead_worker_has_said(annexd: Annexd) -> None:
    annexd.roles = "answer stubborn"
    annexd("start")
    state = annexd.place.state / "stubborn"
    state.write_bytes(b"idle 57\n")

    assert annexd("wait", "--timeout", "1s").status == 1
    assert int(os.listdir(annexd.place.poke)[0]) == 58


def test_wait_waits_for_transfers_with_remotes_that_are_there(
    spool: Annexd, tmp_path: Path
) -> None:
    waiting = start((*CLI, "wait", spool.repo.path), tmp_path / "err")
    wait_until(lambda: b"idle" in (spool.place.state / "answer").read_bytes())
    assert spool("wait", "--timeout", "1s").stderr == (b"annexd: not in sync: 1 transfers wait\n")
    assert waiting.poll() is None

    Queue(spool.place.layout).cancel(Transfer(Direction.UPLOAD, USB, KEY))

    assert waiting.wait(timeout=20) == 0


def test_a_transfer_that_is_put_off_is_waited_for_and_its_error_told(spool: Annexd) -> None:
    job = spool.place.layout.job(Transfer(Direction.UPLOAD, USB, KEY))
    os.utime(job, (time.time() + 1000, time.time() + 1000))
    exchange = Exchange(failing_since=time.time(), last_error="no space\x1b")
    write_transfer(spool.place.remotes, b"usb", exchange)

    ended = spool("wait", "--timeout", "1s")

    assert ended.status == 1
    assert ended.stderr == b"annexd: not in sync: 1 transfers wait (usb: no space\\x1b)\n"


@pytest.mark.parametrize(("how", "least_s"), [((), 0.0), (("--timeout", "4s"), 3.5)])
def test_wait_does_not_wait_for_ever_for_a_remote_that_fails_again_and_again(
    spool: Annexd, tmp_path: Path, how: tuple[str, ...], least_s: float
) -> None:
    """Unless it was said how long."""
    began = time.monotonic()
    waiting = start((*CLI, "wait", *how, spool.repo.path), tmp_path / "said")
    wait_until(lambda: latest(spool.place.poke) == 1)
    failing = Exchange(failing_since=time.time(), failures=2, last_error="no answer")

    write_transfer(spool.place.remotes, b"usb", failing)

    assert waiting.wait(20) == 1
    assert time.monotonic() - began >= least_s
    assert (tmp_path / "said").read_bytes() == b"annexd: not in sync: usb: no answer\n"


def test_whoever_asks_for_it_has_a_remote_tried_again_that_was_left_alone(spool: Annexd) -> None:
    for command in (("retry", "usb"), ("poke",)):
        broken = Exchange(failing_since=1.0, failures=5, not_before=time.time() + 900)
        write_transfer(spool.place.remotes, b"usb", broken)
        before = latest(spool.place.poke)

        assert spool(*command).status == 0

        assert read_transfer(spool.place.remotes, b"usb") == Exchange(failing_since=1.0)
        assert latest(spool.place.poke) > before


def test_wait_does_not_wait_for_a_person(spool: Annexd) -> None:
    spool("pause", "usb")
    ended = spool("wait")
    assert ended.status == 1
    assert b"1 transfers are paused; resume them: annexd resume" in ended.stderr
    spool("resume")
    spool("cancel", "usb")

    (spool.repo.path / "notes").write_bytes(b"held 312 deletions; do this\npending 312\n")
    ended = spool("wait")
    assert ended.status == 1
    assert b"answer holds back 312 deletions; do this\n" in ended.stderr
    said = spool("status").stdout
    assert b"held back: 312 deletions; do this\n" in said

    (spool.repo.path / "notes").write_bytes(b"unreadable secret\nskipped odd\n")
    assert spool("wait").stderr == (
        b"annexd: not in sync: answer cannot read secret; answer cannot add odd\n"
    )
    assert spool("status").stdout.startswith(b"not in sync: annexd ")
    (spool.repo.path / "notes").write_bytes(b"suspect lost+found\n")
    assert spool("wait").status == 0
    assert spool("status").stdout.startswith(b"in sync: annexd ")

    (spool.repo.path / "notes").write_bytes(b"pending 3\n")
    assert spool("wait", "--timeout", "1s").stderr == (
        b"annexd: not in sync: answer has 3 more to do\n"
    )
    (spool.repo.path / "notes").write_bytes(b"pending 3\nwaits a rebase is under way\n")
    assert spool("wait").stderr == b"annexd: not in sync: answer waits: a rebase is under way\n"
    spool("hold")
    assert b"commits are held; release them: annexd release" in spool("wait").stderr


def test_wait_without_annexd_says_so(annexd: Annexd) -> None:
    ended = annexd("wait")
    assert ended.status == 100
    assert b"annexd does not run in " in ended.stderr


def test_commits_are_held_before_the_command_begins(annexd: Annexd) -> None:
    """The watcher has seen it: it has looked since the file was made."""
    annexd.roles = "watcher"
    annexd("start")

    script = "cat .git/annex/annexd/state/watcher; ls .git/annex/annexd/poke"
    ended = annexd("hold", "--", "sh", "-c", script)

    assert ended == Ended(0, b"idle 1\n1\n", b"")
