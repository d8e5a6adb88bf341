"""Where annexd cannot work it says why, in one line that tells what to do, and harms nothing."""

import contextlib
import os
import re
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.daemons import Annexd, Fleet, needs_annexd
from tests.processes import Ended, descendants, run, run_to_end, wait_until
from tests.repo import Repo
from tests.synced import synced
from tests.system.drives import ROOT


@pytest.fixture(autouse=True)
def annexd_only() -> None:
    needs_annexd()


def start(place: Path, **env: str) -> Ended:
    """``annexd start`` there."""
    return run_to_end(["annexd", "start", place], cwd=place, env=env, timeout_s=60)


def refused(done: Ended, *words: bytes) -> None:
    """It failed, with one line on stderr that has all ``words``; and nothing runs."""
    assert done.status not in {0, 1}, done
    told = done.stderr.strip()
    assert told, done
    assert b"Traceback" not in told + done.stdout, told
    assert len(told.splitlines()) == 1, told
    for word in words:
        assert word in told, told


def plain_repository(place: Path) -> None:
    run(["git", "init", "-q", place])


def bare_repository(place: Path) -> None:
    Repo.bare(place)


def no_repository(place: Path) -> None:
    place.mkdir()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (no_repository, (b"not in a git repository", b"git init")),
        (plain_repository, (b"git annex init",)),
        (bare_repository, (b"bare",)),
    ],
)
def test_places_where_it_cannot_work(
    tmp_path: Path, fleet: Fleet, make: Callable[[Path], None], words: tuple[bytes, ...]
) -> None:
    place = tmp_path / "place"
    make(place)
    before = sorted(place.rglob("*"))

    refused(start(place), *words)

    assert sorted(place.rglob("*")) == before
    assert not fleet.left_behind()


def test_a_place_that_is_not_there(tmp_path: Path) -> None:
    done = run_to_end(["annexd", "start", tmp_path / "nowhere"], cwd=tmp_path)

    refused(done, b"nowhere")
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("missing", ["git", "git-annex"])
def test_a_program_that_is_not_installed(repo: Repo, tmp_path: Path, missing: str) -> None:
    if missing == "git-annex" and Path(sys.prefix, "bin/git-annex").exists():
        pytest.skip("a git-annex in annexd's own environment is found without PATH")
    refused(start(repo.path, PATH=path_without(missing, tmp_path)), missing.encode())


def path_without(missing: str, place: Path) -> str:
    """A PATH with all that is on ours, but for one program."""
    programs = place / "programs"
    programs.mkdir()
    for directory in os.environ["PATH"].split(os.pathsep):
        for program in Path(directory).iterdir() if Path(directory).is_dir() else ():
            link = programs / program.name
            if program.name != missing and not link.exists():
                link.symlink_to(program)
    return str(programs)


def test_a_git_annex_that_is_too_old(repo: Repo, tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir()
    script = old / "git-annex"
    script.write_text("#!/bin/sh\necho 'git-annex version: 6.20170101'\n")
    script.chmod(0o755)

    refused(start(repo.path, PATH=f"{old}:{os.environ['PATH']}"), b"git-annex", b"6.20170101")


def test_no_permission(repo: Repo) -> None:
    via = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if ROOT else []
    (repo.path / ".git/annex").chmod(0o500)

    done = run_to_end([*via, "annexd", "start", repo.path], cwd=repo.path)

    refused(done, b"ermission")
    (repo.path / ".git/annex").chmod(0o755)


def test_a_second_one(repo: Repo, fleet: Fleet) -> None:
    daemon = fleet.annexd(repo)

    done = start(repo.path)

    assert str(daemon.pid()).encode() in done.stderr + done.stdout
    repo.write("f", b"the first one goes on")
    synced(repo)


def test_beside_an_assistant(repo: Repo, fleet: Fleet) -> None:
    fleet.assistant(repo)
    pid = (repo.path / ".git/annex/daemon.pid").read_bytes()

    refused(start(repo.path), pid)


def test_an_assistant_is_refused_beside_it_and_its_stop_stops_it(repo: Repo, fleet: Fleet) -> None:
    daemon = fleet.annexd(repo)

    second = run_to_end(["git-annex", "assistant"], cwd=repo.path)
    assert second.status != 0
    assert daemon.running()

    repo.annex("assistant", "--stop")
    wait_until(lambda: not daemon.running(), 10)


NAMESPACES = pytest.mark.skipif(
    run_to_end(["unshare", "-Ur", "true"]).status != 0, reason="no user namespaces here"
)


@NAMESPACES
def test_with_too_few_inotify_watches_all_changes_are_found_and_it_says_so(
    pair: tuple[Repo, Repo], fleet: Fleet
) -> None:
    """P57: 300 directories, 100 watches."""
    a, b = pair
    limit = "echo 100 >/proc/sys/user/max_inotify_watches"
    via = ("unshare", "-Ur", "sh", "-c", f'{limit} && exec "$@"', "sh")
    for number in range(300):
        (a.path / f"{number}").mkdir()
    fleet.serve(b)
    daemon = fleet.annexd(a, via=via)

    for number in range(0, 300, 10):
        a.write(f"{number}/f", b"%d" % number)

    synced(a, b, within_s=120)
    assert b"max_user_watches" in daemon.ask("status").stdout + daemon.log().encode()


WITHOUT_INSTANCES = (
    *("unshare", "-Ur", "sh", "-c"),
    'echo 0 >/proc/sys/user/max_inotify_instances && exec "$@"',
    "sh",
)


@NAMESPACES
def test_without_inotify_instances_it_works_slowly_and_says_so(
    pair: tuple[Repo, Repo], fleet: Fleet
) -> None:
    a, b = pair
    fleet.serve(b)
    daemon = fleet.add(Annexd(a))

    done = run_to_end([*WITHOUT_INSTANCES, "annexd", "start"], cwd=a.path)
    assert done.status == 0
    assert done.stderr == (
        b"annexd: it works, but looks only now and then: too few inotify instances or watches; "
        b"see: annexd doctor\n"
    )
    a.write("directory/f", b"from the one that sees little")
    b.write("g", b"from the other")

    daemon.wait()  # is no sooner at its end than where all is seen
    assert (b.path / "directory/f").read_bytes() == b"from the one that sees little"
    synced(a, b)
    assert b"unwatched" in daemon.ask("status").stdout
    assert "sysctl fs.inotify.max_user_instances" in daemon.log()


@NAMESPACES
def test_waiting_takes_no_inotify_instance(repo: Repo, fleet: Fleet) -> None:
    fleet.annexd(repo)

    done = run_to_end([*WITHOUT_INSTANCES, "annexd", "wait"], cwd=repo.path)

    assert done == Ended(0, b"", b"")


def test_a_repository_takes_four_inotify_instances(repo: Repo, fleet: Fleet) -> None:
    """Of 128 that a user has for all programs."""
    daemon = fleet.annexd(repo)
    pids = [daemon.pid(), *descendants(daemon.pid())]

    links = [link for pid in pids for link in Path(f"/proc/{pid}/fd").iterdir()]
    held = sum(os.path.islink(at) and os.readlink(at) == "anon_inode:inotify" for at in links)

    assert held == 4


KEY = "SHA256E-s3--ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_hostile_files_in_the_spool_are_set_aside_and_harm_nothing(
    pair: tuple[Repo, Repo], fleet: Fleet, tmp_path: Path
) -> None:
    a, b = pair
    outside = tmp_path / "outside"
    outside.write_bytes(b"not yours")
    queue = a.path / ".git/annex/transfer/queue/to" / b.uuid()
    queue.mkdir(parents=True)
    (queue / "not a key").write_bytes(b"1.0s\nfile")
    (queue / "..%&a&s&c").write_bytes(b"1.0s\nfile")
    (queue / KEY).symlink_to(outside)
    os.mkfifo(queue / (KEY + ".fifo"))
    (queue / (KEY + ".directory")).mkdir()
    (queue / (KEY + ".garbage")).write_bytes(b"\xff\x00" * 1000)
    with (queue / (KEY + ".huge")).open("wb") as file:
        file.truncate(1 << 30)
    hostile = queue.parent / "..%2f..%2fetc"
    hostile.mkdir()
    (hostile / KEY).write_bytes(b"1.0s\nfile")
    fleet.serve(b)
    daemon = fleet.annexd(a)

    a.write("f", b"content")

    synced(a, b)
    assert outside.read_bytes() == b"not yours"
    assert daemon.ask("transfers", "--json").status == 0
    corrupt = a.path / ".git/annex/transfer/corrupt"
    reasons = [reason.read_bytes() for reason in corrupt.glob("*.reason")]
    assert any(b".garbage" in reason for reason in reasons), reasons
    assert not list(queue.iterdir())


def test_status_and_transfers_answer_when_nothing_runs(repo: Repo, fleet: Fleet) -> None:
    daemon = fleet.annexd(repo)
    daemon.stop()

    assert daemon.ask("status").status == 3
    assert daemon.status()["pid"] is None
    assert daemon.ask("transfers", "--json").status == 0
    assert daemon.ask("wait", "--timeout", "1", str(repo.path)).status != 0
    assert daemon.ask("stop").status == 0


def test_an_environment_inherited_from_a_git_hook_leads_nowhere(
    repo: Repo, fleet: Fleet, tmp_path: Path
) -> None:
    """P13, RT-13: started from a hook, with somebody else's GIT_DIR and index."""
    other = Repo.create(tmp_path / "other")
    other.add("theirs", b"theirs")
    repo.git("commit", "-q", "--allow-empty", "-m", "start")
    daemon = fleet.annexd(repo)
    daemon.stop()
    before = other.git("for-each-ref"), (other.path / ".git/index").read_bytes()

    done = start(
        repo.path,
        GIT_DIR=str(other.path / ".git"),
        GIT_INDEX_FILE=str(other.path / ".git/index"),
        GIT_WORK_TREE=str(other.path),
    )
    assert done.status == 0, done
    repo.write("ours", b"ours")

    synced(repo)
    assert (other.git("for-each-ref"), (other.path / ".git/index").read_bytes()) == before
    pids = [daemon.pid(), *descendants(daemon.pid())]
    environs = b"".join(Path(f"/proc/{pid}/environ").read_bytes() for pid in pids)
    assert str(other.path).encode() not in environs


def test_a_hook_that_is_waited_for_is_named(repo: Repo, fleet: Fleet) -> None:
    hook = repo.path / ".git/hooks/pre-commit"
    hook.write_text("#!/bin/sh\nsleep 1000\n")
    hook.chmod(0o755)
    daemon = fleet.annexd(repo)
    repo.write("file", b"x")

    wait_until(lambda: b"waits for the hook pre-commit" in daemon.ask("status").stdout, 10)
    assert not daemon.status()["in_sync"]
    assert b"waits for the hook pre-commit" in daemon.ask("wait", "--timeout", "1").stderr


def test_a_hook_that_refuses_is_named_and_asked_again_at_a_poke(repo: Repo, fleet: Fleet) -> None:
    """Only a person can end that, so nobody waits for it."""
    hook = repo.path / ".git/hooks/pre-commit"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    daemon = fleet.annexd(repo)
    repo.write("file", b"x")

    done = daemon.ask("wait", timeout_s=20)
    assert done.status == 1, done
    assert b"a hook refuses: pre-commit" in done.stderr, done
    hook.unlink()
    daemon.wait(10)  # it would be asked again in half a minute
    assert b"file" in repo.tree()


def test_while_a_worker_cannot_start_nothing_is_in_sync(repo: Repo, fleet: Fleet) -> None:
    """What it said last, before it died, was that it was idle."""
    daemon = fleet.annexd(repo)
    fleet.settle()
    assert daemon.status()["in_sync"]

    repo.config("annex.pidlock", "true")

    wait_until(lambda: b"throttled" in daemon.ask("status").stdout, 20)
    assert not daemon.status()["in_sync"]
    assert b"in sync:" not in daemon.ask("status").stdout
    assert b"annex.pidlock is set" in daemon.ask("wait", "--timeout", "1").stderr
    repo.git("config", "--unset", "annex.pidlock")
    wait_until(lambda: daemon.status()["in_sync"], 60)


@contextmanager
def halted(pid: int) -> Iterator[None]:
    """A process that is stopped meanwhile."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("role", ["watcher", "scanner"])
def test_a_stopped_process_is_named_and_nothing_is_in_sync(
    repo: Repo, fleet: Fleet, role: str
) -> None:
    """Stopped by a debugger, a frozen cgroup, a SIGSTOP: it says nothing of that itself."""
    daemon = fleet.annexd(repo)
    fleet.settle()
    (pid,) = daemon.workers()[role]

    with halted(pid):
        assert not daemon.status()["in_sync"]
        assert b"does not answer: stopped" in daemon.ask("status").stdout
        assert b"does not answer: stopped" in daemon.ask("wait", "--timeout", "1").stderr
    fleet.settle()
    wait_until(lambda: daemon.status()["in_sync"])


def test_nobody_can_connect_to_any_of_its_processes(pair: tuple[Repo, Repo], fleet: Fleet) -> None:
    """No socket listens, on no network and in no file system; nor those of its programs."""
    a, b = pair
    fleet.serve(a, b)
    a.write("file", b"content")
    synced(a, b)
    found = set[str]()
    for repo in pair:
        pid = Annexd(repo).pid()
        for each in (pid, *descendants(pid)):
            for fd in Path(f"/proc/{each}/fd").glob("*"):
                with contextlib.suppress(FileNotFoundError):  # it has just been closed
                    found.update(re.findall(r"socket:\[(\d+)\]", os.readlink(fd)))

    assert found.isdisjoint(listening())
    server = socket.socket(socket.AF_UNIX)
    server.bind(b"\0annexd-test-%d" % os.getpid())
    server.listen()
    assert str(os.fstat(server.fileno()).st_ino) in listening()
    server.close()


def listening() -> set[str]:
    """The inodes of the sockets that anybody may connect to.  Source: proc_net(5), unix and tcp."""
    found = set[str]()
    for line in Path("/proc/net/unix").read_text().splitlines()[1:]:
        _num, _references, _protocol, flags, _type, _state, inode = line.split()[:7]
        if int(flags, 16) & 0x10000:
            found.add(inode)
    for name in ("tcp", "tcp6"):
        for line in Path("/proc/net", name).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":
                found.add(fields[9])
    return found


def test_a_stopped_supervisor_is_named(repo: Repo, fleet: Fleet) -> None:
    """Its workers go on, but nobody replaces them."""
    daemon = fleet.annexd(repo)
    fleet.settle()

    with halted(daemon.pid()):
        assert not daemon.status()["in_sync"]
        assert b"supervisor      does not answer: stopped" in daemon.ask("status").stdout
    wait_until(lambda: daemon.status()["in_sync"])
