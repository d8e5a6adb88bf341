"""The daemon in real repositories: started, refused, stopped; beside the real assistant.

Its roles are tiny ones (``tests.tiny``): what they would do is not the matter here.
"""

import contextlib
import os
import re
import signal
import sys
import tempfile
from pathlib import Path

import pytest

from annexd import repository
from annexd.holding import hold_commits_during
from annexd.instance import find_holder
from spool.commithold import holds
from spool.poke import latest
from spool.state import Activity, State, write_state
from tests.faults.seeds import CountTrials
from tests.processes import (
    Ended,
    Process,
    alive,
    descendants,
    forked,
    kill,
    pause,
    python,
    reap,
    run,
    run_to_end,
    start,
    wait_until,
)
from tests.repo import Repo
from tests.scenarios.sshd import pretended_master
from tests.system.conftest import CLI, Annexd
from tests.system.drives import may_mount, mounted_read_only


def test_start_returns_when_annexd_is_ready_and_stop_when_all_of_it_is_gone(
    annexd: Annexd,
) -> None:
    assert annexd("start").status == 0
    pid = annexd.pid()
    below = descendants(pid)
    assert sorted(os.listdir(annexd.place.state)) == ["obey", "obey-2", "sleeper"]
    assert Path(f"/proc/{pid}/cwd").readlink() == Path("/")
    assert os.getsid(pid) not in {os.getsid(0), 0}
    assert len(below) == 5

    assert annexd("stop").status == 0

    assert not [one for one in (pid, *below) if alive(one)]
    assert annexd("stop") == Ended(0, b"", b"annexd does not run here\n")


def test_a_daemon_holds_on_to_nothing_of_its_starter(annexd: Annexd, tmp_path: Path) -> None:
    """A caller that waits for its pipes to close must not wait for the daemon's end."""
    inherit = f'exec 9>{tmp_path}/inherited; exec "$@"'
    command = ("sh", "-c", inherit, "sh", *CLI, "start", annexd.repo.path)
    assert run_to_end(command).status == 0  # returns only when its stdout and stderr are closed

    assert (tmp_path / "inherited").exists()
    for pid in (annexd.pid(), *descendants(annexd.pid())):
        held = {str(Path(entry).readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir()}
        assert str(tmp_path / "inherited") not in held
        assert {name for name in held if name.startswith("/dev/")} <= {"/dev/null"}


def test_started_with_no_standard_streams_at_all_it_starts_and_answers(annexd: Annexd) -> None:
    """As some cron jobs do; the pipe to the daemon must not be one of them."""
    closed = 'exec "$@" <&- >&- 2>&-'

    assert run_to_end(("sh", "-c", closed, "sh", *CLI, "start", annexd.repo.path)).status == 0

    assert annexd.runs()
    assert run_to_end(("sh", "-c", closed, "sh", *CLI, "status", annexd.repo.path)).status == 0
    assert run_to_end(("sh", "-c", closed, "sh", *CLI, "stop", annexd.repo.path)).status == 0
    assert run_to_end(("sh", "-c", closed, "sh", *CLI, "stop", "/nowhere")).status == 100


REAL = python("from annexd.cli import main; main()")  # ``tests.tiny`` sees to SIGCHLD itself


def test_started_by_one_that_ignores_its_children_and_blocks_signals_it_works(
    annexd: Annexd,
) -> None:
    """Both are inherited: no end of a child is told then, and no signal would stop it."""
    careless = (
        "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); "
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGCHLD}); "
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    for command in ("start", "stop"):
        argv = (sys.executable, "-c", careless, *REAL, command)
        assert run_to_end(argv, cwd=annexd.repo.path, timeout_s=30.0).status == 0
        assert annexd.runs() == (command == "start")


def test_nothing_is_left_of_a_repository_that_is_removed_while_it_runs(annexd: Annexd) -> None:
    """``rm -r`` may come to our directory before or after a worker has made it again."""
    assert annexd("start").status == 0
    pid, place = annexd.pid(), annexd.place
    for directory, ours in ((place.gitdir, {"annex"}), (place.annex, {"annexd", "transfer"})):
        for name in set(os.listdir(directory)) - ours:
            run(["rm", "-rf", directory / name])
    place.lock.unlink()

    wait_until(lambda: not alive(pid), 10)

    assert not place.worktree.exists()


def test_it_is_found_from_a_subdirectory_and_by_name(annexd: Annexd) -> None:
    below = annexd.repo.path / "a/b"
    below.mkdir(parents=True)
    env = {"TINY_ROLES": annexd.roles}

    assert run_to_end((*CLI, "start"), cwd=below, env=env).status == 0
    assert annexd.runs()
    assert run_to_end((*CLI, "-C", below, "stop"), cwd=Path("/"), env=env).status == 0
    assert run_to_end((*CLI, "start", annexd.repo.path), cwd=Path("/"), env=env).status == 0
    assert run_to_end((*CLI, "restart", below), cwd=Path("/"), env=env).status == 0
    assert annexd.runs()


def test_a_second_start_is_refused_and_touches_nothing(annexd: Annexd) -> None:
    annexd("start")
    pid, log = annexd.pid(), annexd.place.log.read_bytes()

    again = annexd("start")

    assert again.status == 100
    assert f"annexd: annexd (pid {pid}) already runs in ".encode() in again.stderr
    assert annexd.place.log.read_bytes() == log
    assert annexd.pid() == pid


def test_a_linked_work_tree_is_not_said_to_be_served(annexd: Annexd, tmp_path: Path) -> None:
    annexd.repo.git("commit", "-q", "--allow-empty", "-m", "start")
    linked = tmp_path / "linked"
    annexd.repo.git("worktree", "add", "-q", "-b", "side", linked)
    annexd("start")

    for command in ("start", "status"):
        said = run_to_end((*CLI, command, linked), env={"TINY_ROLES": annexd.roles})
        assert b"another of its work trees" in said.stdout + said.stderr


def test_a_killed_annexd_starts_again_at_once(annexd: Annexd) -> None:
    annexd("start")
    old, below = annexd.pid(), descendants(annexd.pid())
    kill(old)

    assert annexd("start").status == 0

    assert annexd.pid() != old
    wait_until(lambda: not [pid for pid in below if alive(pid)])


def test_a_killed_annexd_leaves_no_ssh_connection_behind(annexd: Annexd, tmp_path: Path) -> None:
    """An ssh in the background has written its title over the token in its environment."""
    with pretended_master(annexd.repo.path, tmp_path) as left:
        annexd("start")
        wait_until(lambda: not alive(left), 5)
        (tmp_path / "fifo").unlink()
        with pretended_master(annexd.repo.path, tmp_path) as used:
            kill(annexd.pid())
            wait_until(lambda: not alive(used), 5)


def test_a_start_that_fails_says_why_and_leaves_nothing(annexd: Annexd) -> None:
    annexd.roles = "sleeper defective"

    ended = annexd("start")

    assert ended.status == 111
    assert ended.stderr.startswith(
        b"annexd: defective crashed 3 times: RuntimeError: defective on purpose\\n"
    )
    wait_until(lambda: not annexd.runs())  # it has said so, and ends
    child = int((annexd.place.annexd / "child").read_text())
    assert not alive(child)
    assert "Traceback" in annexd.place.log.read_text()


def test_restart_gives_a_new_daemon(annexd: Annexd) -> None:
    annexd("start")
    old = annexd.pid()

    assert annexd("restart").status == 0

    assert annexd.pid() != old
    assert not alive(old)


def test_a_delayed_start_returns_at_once_and_waits(annexd: Annexd) -> None:
    assert annexd("start", "--startdelay", "1h").status == 0

    assert os.listdir(annexd.place.state) == []
    assert "THROTTLED".lower() in annexd.place.supervisor.read_text()
    assert annexd("stop").status == 0


def foreground(annexd: Annexd, tmp_path: Path) -> Process:
    """Start in the foreground and wait until it is ready."""
    stderr = tmp_path / "stderr"
    process = start(
        (*CLI, "start", "--foreground", annexd.repo.path), stderr, env={"TINY_ROLES": annexd.roles}
    )
    wait_until(lambda: b": ready after " in stderr.read_bytes(), why=stderr.read_bytes)
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_in_the_foreground_it_logs_to_stderr_until_asked_to_stop(
    annexd: Annexd, tmp_path: Path, number: signal.Signals
) -> None:
    process = foreground(annexd, tmp_path)
    assert annexd.pid() == process.pid
    below = descendants(process.pid)

    process.send_signal(number)

    assert process.wait(timeout=5) == 0
    assert not [pid for pid in below if alive(pid)]
    lines = (tmp_path / "stderr").read_text().splitlines()
    assert all(re.match(r"\S+ \S+ supervisor\[\d+\]: ", line) for line in lines)
    assert not annexd.place.log.exists()
    refused = annexd("log")
    assert refused.status == 100
    assert b"journalctl" in refused.stderr


def test_the_umask_is_the_users_and_what_is_ours_is_private(annexd: Annexd) -> None:
    before = os.umask(0o027)
    try:
        annexd("start")
    finally:
        os.umask(before)

    status = Path(f"/proc/{annexd.pid()}/status").read_text()
    assert "Umask:\t0027" in status
    assert annexd.place.annexd.stat().st_mode & 0o777 == 0o700
    for name in ("log", "supervisor"):
        assert (annexd.place.annexd / name).stat().st_mode & 0o077 == 0, name


def test_the_log_has_the_name_that_users_know(annexd: Annexd) -> None:
    annexd("start")

    known = annexd.place.annex / "daemon.log"
    assert known.read_bytes() == annexd.place.log.read_bytes()
    shown = annexd("log").stdout
    assert shown == annexd.place.log.read_bytes()
    assert b"supervisor[%d]: start annexd" % annexd.pid() in shown


def test_an_assistants_log_is_left_alone(annexd: Annexd) -> None:
    known = annexd.place.annex / "daemon.log"
    known.write_text("the assistant's\n")

    annexd("start")

    assert known.read_text() == "the assistant's\n"
    assert not known.is_symlink()


def test_log_f_shows_what_is_added_across_a_rotation(annexd: Annexd, tmp_path: Path) -> None:
    annexd("start")
    out = tmp_path / "out"
    follower = start(("/bin/sh", "-c", f'exec "$@" >{out}', "sh", *CLI, "log", "-f"), out,
                     cwd=annexd.repo.path)  # fmt: skip
    try:
        wait_until(lambda: b": ready after" in out.read_bytes())
        annexd.place.log.rename(annexd.place.log.with_name("log.1"))
        with annexd.place.log.with_name("log.1").open("ab") as old:
            old.write(b"the last of the old\n")
        annexd.place.log.write_bytes(b"the first of the new\n")
        wait_until(
            lambda: out.read_bytes().endswith(b"the last of the old\nthe first of the new\n")
        )
    finally:
        follower.send_signal(signal.SIGINT)
    assert follower.wait(timeout=10) == 0


# One daemon, whichever it is


def test_of_a_hundred_racing_starts_exactly_one_succeeds(
    repo: Repo, count_trials: CountTrials
) -> None:
    count_trials(600)
    program = python("from tests.tiny import race; race()", repo.path, "100", "6")

    assert run(program).split() == [b"1"] * 6


def test_of_racing_commands_exactly_one_starts(annexd: Annexd, tmp_path: Path) -> None:
    env = {"TINY_ROLES": "obey"}
    starts = [
        start((*CLI, "start", annexd.repo.path), tmp_path / f"stderr-{number}", env=env)
        for number in range(8)
    ]

    statuses = sorted(process.wait(timeout=60) for process in starts)

    assert statuses == [0] + [100] * 7
    assert annexd.runs()


def test_annexd_and_the_assistant_race_for_the_repository(annexd: Annexd, tmp_path: Path) -> None:
    for round_number in range(3):
        one = start(
            ("git-annex", "assistant"), tmp_path / f"a-{round_number}", cwd=annexd.repo.path
        )
        env = {"TINY_ROLES": "obey"}
        other = start((*CLI, "start", annexd.repo.path), tmp_path / f"b-{round_number}", env=env)
        statuses = (one.wait(timeout=60), other.wait(timeout=60))

        assert sorted(map(bool, statuses)) == [False, True], statuses
        holder = find_holder(annexd.place)
        assert holder is not None
        assert holder.is_annexd == (statuses[1] == 0)
        annexd.repo.annex("assistant", "--stop")
        wait_until(lambda: not annexd.runs())


def test_the_assistant_refuses_to_start_beside_annexd(annexd: Annexd) -> None:
    annexd("start")

    refused = run_to_end(["git-annex", "assistant"], cwd=annexd.repo.path)

    assert refused.status != 0
    assert b"already running" in refused.stderr + refused.stdout
    assert annexd.runs()


def test_the_assistant_stops_annexd(annexd: Annexd) -> None:
    annexd("start")
    pid, below = annexd.pid(), descendants(annexd.pid())

    annexd.repo.annex("assistant", "--stop")

    wait_until(lambda: not alive(pid), timeout_s=5)
    assert not [one for one in below if alive(one)]
    assert annexd("start").status == 0


def test_annexd_refuses_to_start_beside_the_assistant_and_to_stop_it(annexd: Annexd) -> None:
    annexd.repo.annex("assistant")
    try:
        wait_until(annexd.runs)
        pid = annexd.pid()
        log = (annexd.place.annex / "daemon.log").read_bytes()

        refused = annexd("start")
        assert refused.status == 100
        assert f"assistant (pid {pid}) runs in ".encode() in refused.stderr
        assert b"git annex assistant --stop" in refused.stderr
        assert (annexd.place.annex / "daemon.log").read_bytes().startswith(log)

        refused = annexd("stop")
        assert refused.status == 100
        assert f"assistant (pid {pid}) runs here".encode() in refused.stderr
        assert alive(pid)
    finally:
        annexd.repo.annex("assistant", "--stop")
    wait_until(lambda: not annexd.runs())
    wait_until(lambda: annexd("start").status == 0)


def test_the_next_assistant_believes_when_a_daemon_last_ran(annexd: Annexd) -> None:
    """It takes a link made while nobody ran for new only if it knows that somebody ran before."""
    annexd("start")
    annexd("stop")
    status = annexd.place.annex / "daemon.status"
    assert re.fullmatch(
        r"lastRunning:\d+\.\d{9}s\nscanComplete:True\nsanityCheckRunning:False\nlastSanityCheck:\n",
        status.read_text(),
    )
    key = annexd.repo.add("first", b"content")
    before = annexd.repo.head()
    annexd.repo.git("mv", "first", "second")
    annexd.repo.git("reset", "-q")
    assert annexd.repo.exists("second")

    annexd.repo.annex("assistant")
    try:
        wait_until(lambda: annexd.repo.head() != before and not annexd.repo.status())
        assert annexd.repo.key("second") == key
    finally:
        annexd.repo.annex("assistant", "--stop")
        wait_until(lambda: not annexd.runs())


# Refusals


def refusal(annexd: Annexd, env: dict[str, str] | None = None) -> str:
    """Why it does not start: one line, and status 100; nothing was touched."""
    ended = annexd("start", env=env)
    assert ended.status == 100
    assert ended.stdout == b""
    assert not annexd.place.annexd.exists()
    text = ended.stderr.decode()
    assert text.startswith("annexd: ")
    return text


def test_a_directory_that_is_no_repository_is_refused(tmp_path: Path) -> None:
    ended = run_to_end((*CLI, "start", tmp_path))
    assert ended.status == 100
    assert b"is not in a git repository" in ended.stderr
    assert b"git init && git annex init" in ended.stderr

    ended = run_to_end((*CLI, "start", tmp_path / "none"))
    assert ended.status == 100
    assert b"No such file or directory" in ended.stderr


@pytest.mark.parametrize("where", [".", "objects"])
def test_a_bare_repository_is_refused(tmp_path: Path, where: str) -> None:
    run(["git", "init", "-q", "--bare", tmp_path / "bare"])

    ended = run_to_end((*CLI, "start", tmp_path / "bare" / where))

    assert ended.status == 100
    assert b"is a bare repository" in ended.stderr


@pytest.mark.parametrize("where", ["git", "repo/.git"])
def test_where_only_the_git_dir_knows_of_its_files_it_says_so(tmp_path: Path, where: str) -> None:
    """It was said to be bare, or neither in a work tree nor bare."""
    files, gitdir = tmp_path / "files", tmp_path / where
    files.mkdir()
    gitdir.parent.mkdir(exist_ok=True)
    run(["git", f"--git-dir={gitdir}", f"--work-tree={files}", "init", "-q"])
    (gitdir / "annex").mkdir()

    ended = run_to_end((*CLI, "start", gitdir.parent if gitdir.name == ".git" else gitdir))

    assert ended.status == 100
    assert f"its files are in {str(files)!r} (core.worktree)".encode() in ended.stderr
    dotgit, text = ended.stderr.decode().split("write into ")[1].strip().split(": ", 1)
    Path(dotgit.strip("'")).write_text(f"{text}\n")
    run(["git", "annex", "init", "-q"], cwd=files)
    assert repository.find_place(files).gitdir == gitdir


def test_inside_a_git_directory_it_says_where_to_go(repo: Repo) -> None:
    ended = run_to_end((*CLI, "start", repo.path / ".git/objects"))

    assert ended.status == 100
    assert os.fsencode(f"is not in a work tree; go up: {str(repo.path)!r}") in ended.stderr


def test_a_removed_working_directory_is_told(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    script = f'cd {tmp_path}/gone && rmdir {tmp_path}/gone && exec "$@"'

    ended = run_to_end(("sh", "-c", script, "sh", *CLI, "start"))

    assert ended.status == 100
    assert ended.stderr == (
        b"annexd: the directory you stand in has been removed; go to another one\n"
    )


@pytest.mark.parametrize("allowed", [10, 64])
def test_too_few_descriptors_are_refused_in_a_line(annexd: Annexd, allowed: int) -> None:
    """With some more than a start takes, one transfer after the other would fail."""
    limit = f'ulimit -n {allowed} && exec "$@"'

    ended = run_to_end(("sh", "-c", limit, "sh", *CLI, "start"), cwd=annexd.repo.path)

    assert ended.status == 100
    assert ended.stderr.decode() == (
        f"annexd: each process may have {allowed} files open here, and annexd needs 256; "
        "allow more: ulimit -n 1024\n"
    )


def test_a_limit_that_may_be_raised_is(annexd: Annexd) -> None:
    """As a login shell has it, or launchers that care for old programs."""
    script = 'ulimit -S -n 20 && exec "$@"'

    ended = run_to_end(("sh", "-c", script, "sh", *CLI, "start"), cwd=annexd.repo.path)

    assert (ended.status, ended.stderr) == (0, b"")


@pytest.mark.parametrize("here", ["", "."])
def test_programs_in_the_work_tree_are_not_run(annexd: Annexd, here: str) -> None:
    """They come from others, as all that is there."""
    for name in ("git", "git-annex", "ssh"):
        program = annexd.repo.path / name
        program.write_text("#!/bin/sh\ntouch ran\n")
        program.chmod(0o755)

    ended = annexd("start", env={"PATH": f"{here}:{os.environ['PATH']}"})

    assert ended.status == 0, ended
    assert not (annexd.repo.path / "ran").exists()


def test_a_repository_without_git_annex_is_refused(tmp_path: Path) -> None:
    run(["git", "init", "-q", tmp_path / "plain"])

    ended = run_to_end((*CLI, "start", tmp_path / "plain"))

    assert ended.status == 100
    assert b"run `git annex init` there" in ended.stderr
    assert run_to_end((*CLI, "poke", tmp_path / "plain")).status == 100


@pytest.mark.parametrize(
    ("version", "words"),
    [("11", "a newer annexd may know it"), ("", "run `git annex upgrade` there")],
)
def test_a_version_of_the_repository_that_we_do_not_know_is_refused(
    annexd: Annexd, version: str, words: str
) -> None:
    annexd.repo.config("annex.version", version)
    assert words in refusal(annexd)


def test_what_is_said_of_an_old_version_of_the_repository_leads_to_ours(tmp_path: Path) -> None:
    """It was ``git annex upgrade``, which leaves it at 9 for a year."""
    run(["git", "init", "-q", tmp_path / "old"])
    old = Repo(tmp_path / "old")
    old.annex("init", "-q", "--version=8")
    ended = run_to_end((*CLI, "start", old.path))
    said = re.search(rb"run `git annex ([^`]*)` there", ended.stderr)
    assert ended.status == 100
    assert said is not None, ended.stderr

    old.annex(*said[1].decode().split())

    assert run_to_end((*CLI, "start", old.path)).status == 0
    assert run_to_end((*CLI, "stop", old.path)).status == 0


def test_a_format_that_only_newer_programs_know_is_refused(annexd: Annexd) -> None:
    """Annexd said that the watcher had crashed three times, and to try again."""
    config = annexd.repo.path / ".git/config"
    told = config.read_text() + "[extensions]\n\tcompatObjectFormat = sha256\n"
    config.write_text(told)
    if run_to_end(["git", "status"], annexd.repo.path).status:  # git 2.45 knows it
        config.write_text(told + "[core]\n\trepositoryFormatVersion = 1\n")

    assert "extensions.compatObjectFormat is set" in refusal(annexd)


def test_pid_locks_are_refused(annexd: Annexd) -> None:
    annexd.repo.config("annex.pidlock", "true")
    assert "git config --unset annex.pidlock" in refusal(annexd)


def fake(directory: Path, name: str, script: str) -> None:
    """Put a program of that name into a directory."""
    directory.mkdir(exist_ok=True)
    (directory / name).write_text(f"#!/bin/sh\n{script}\n")
    (directory / name).chmod(0o755)


@pytest.mark.parametrize(
    ("name", "script", "says"),
    [
        ("git", 'echo "git version 2.30.2"', "git 2.30 is too old: install git 2.38 or newer"),
        ("git", "exit 127", "git does not run"),
        ("git", "echo hello", "cannot tell the version of git"),
        ("git-annex", "echo 8.20210223", "git-annex 8.20210223 is too old: install 10.20230126"),
    ],
)
def test_a_program_that_is_too_old_or_broken_is_refused(
    annexd: Annexd, tmp_path: Path, name: str, script: str, says: str
) -> None:
    fake(tmp_path / "bin", name, script)
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    assert says in refusal(annexd, {"PATH": path})


def test_missing_programs_are_refused(annexd: Annexd, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    assert "there is no git on PATH" in refusal(annexd, {"PATH": str(tmp_path / "bin")})


def is_everybodys(file: Path) -> bool:
    """Whether all may enter the directories that lead to it."""
    return all(directory.stat().st_mode & 0o001 for directory in file.parents)


may_become_somebody_else = pytest.mark.skipif(
    os.geteuid() != 0 or not is_everybodys(Path(__file__)),
    reason="only root can become somebody else, who must be able to read this checkout",
)


@may_become_somebody_else
def test_a_repository_of_somebody_else_is_refused() -> None:
    become = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *CLI]
    with tempfile.TemporaryDirectory() as everybodys:  # pytest's own is root's alone
        Path(everybodys).chmod(0o755)
        repo = Repo.create(Path(everybodys) / "repo")

        ended = run_to_end((*become, "start", repo.path), env={"HOME": "/"})

    assert ended.status == 100
    assert b"no permission to write in" in ended.stderr
    assert b"Traceback" not in ended.stderr


@may_mount
def test_a_repository_on_a_drive_that_is_read_only_is_refused_for_that(annexd: Annexd) -> None:
    """It was called a matter of permission, to be mended by ``chown``."""
    with mounted_read_only(annexd.repo.path):
        assert "is mounted read-only; mount it read-write" in refusal(annexd, {})


@may_become_somebody_else
def test_root_pauses_nothing_in_another_users_repository() -> None:
    """What root made there, its owner could not change; git's own rule, and its own way out."""
    become = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    with tempfile.TemporaryDirectory() as everybodys:
        path = Repo.create(Path(everybodys) / "repo").path
        run(["chown", "-R", "65534:65534", everybodys])
        before = sorted(Path(path, ".git/annex").rglob("*"))

        for command in ("pause", "poke", "resume"):
            ended = run_to_end((*CLI, command), cwd=path, env={"TINY_ROLES": "obey"})
            assert ended.status == 100, (command, ended)
            assert b"safe.directory" in ended.stderr
            assert b"Traceback" not in ended.stderr

        assert sorted(Path(path, ".git/annex").rglob("*")) == before
        owner = run_to_end((*become, *CLI, "pause"), cwd=path, env={"HOME": everybodys})
        assert owner.status == 0, owner


def test_a_full_disk_is_temporary_trouble(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    if (
        os.geteuid() != 0
        or run_to_end(["mount", "-t", "tmpfs", "-o", "size=1m", "x", small]).status
    ):
        pytest.skip("cannot mount a small file system")
    try:
        repo = Repo.create(small / "repo")
        fill_up(small / "filler")

        ended = run_to_end((*CLI, "start", repo.path), env={"TINY_ROLES": "obey"})

        assert ended.status == 111, ended
        assert b"No space left on device" in ended.stderr
        assert ended.stderr.count(b"\n") == 1

        (small / "filler").unlink()
        assert run_to_end((*CLI, "start", repo.path), env={"TINY_ROLES": "obey"}).status == 0
    finally:
        stopped = run_to_end((*CLI, "stop", small / "repo"))
        run(["umount", "-l", small])
    assert stopped.status == 0


def test_on_a_full_disk_a_restart_leaves_it_running_and_a_stop_is_no_crash(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    if run_to_end(["mount", "-t", "tmpfs", "-o", "size=4m", "x", small]).status:
        pytest.skip("cannot mount a small file system")
    try:
        annexd = Annexd(Repo.create(small / "repo"))
        assert annexd("start").status == 0
        pid = annexd.pid()
        fill_up(small / "filler")

        refused = annexd("restart")

        assert refused.status == 111
        assert b"it could not be started again: " in refused.stderr
        assert annexd.pid() == pid
        assert annexd("stop").status == 0
        assert "Traceback" not in annexd.place.log.read_text()
        (small / "filler").unlink()
        assert annexd("restart").status == 0
    finally:
        stopped = run_to_end((*CLI, "stop", small / "repo"))
        run(["umount", "-l", small])
    assert stopped.status == 0


def fill_up(path: Path) -> None:
    """Leave no room for one byte."""
    with path.open("wb", buffering=0) as file:
        for size in (4096, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(size))


def test_what_a_person_may_ask_for_makes_just_the_file(annexd: Annexd) -> None:
    assert annexd("poke").status == 0
    assert annexd("poke").status == 0
    assert os.listdir(annexd.place.poke) == ["2"]

    assert annexd("accept").status == 0
    assert annexd.place.accept.exists()

    assert annexd("release").status == 100
    assert annexd("hold", "--for", "30m").status == 0
    until, pid = annexd.place.hold.read_text().split()
    assert 1700 < int(until) - annexd.place.hold.stat().st_mtime < 1900
    assert pid == "0"
    assert annexd("release").status == 0
    assert not annexd.place.hold.exists()


def test_commits_are_held_while_a_command_runs(annexd: Annexd) -> None:
    hold = annexd.place.hold
    script = f"cat {hold}.*; exit 7"

    ended = annexd("hold", "--", "sh", "-c", script)

    assert ended.status == 7
    until, pid = map(int, ended.stdout.split())
    assert until > 0
    assert not alive(pid)
    assert list(holds(annexd.place)) == []
    assert annexd("hold", "--", "/no/such/program").status == 100
    assert list(holds(annexd.place)) == []


def test_a_hold_may_be_inside_of_another(annexd: Annexd) -> None:
    inner = " ".join(f"'{part}'" for part in (*map(str, CLI), "hold", "--", "true"))
    script = f"{inner} && cat {annexd.place.hold}.*"

    ended = run_to_end((*CLI, "hold", "--", "sh", "-c", script), cwd=annexd.repo.path)

    assert ended.status == 0, ended
    assert len(ended.stdout.split()) == 2


def test_a_hold_ends_with_its_holder(annexd: Annexd, tmp_path: Path) -> None:
    holder = start((*CLI, "hold", "--", "sleep", "1000"), tmp_path / "err", cwd=annexd.repo.path)
    wait_until(lambda: list(holds(annexd.place)))
    wait_until(lambda: descendants(holder.pid))
    below = descendants(holder.pid)
    holder.kill()
    holder.wait()
    for pid in below:
        kill(pid)

    assert annexd("hold", "--", "true").status == 0


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("runs", [False, True])
def test_a_signal_to_a_hold_that_is_just_starting_its_command_ends_that(
    annexd: Annexd, monkeypatch: pytest.MonkeyPatch, when: str, *, runs: bool
) -> None:
    """It was lost, or ended the holder alone, and the command went on."""
    if runs:
        assert annexd("start").status == 0
    spawn = os.posix_spawnp

    def signalled(*args: object, **named: object) -> int:
        if when == "before":
            os.kill(os.getpid(), signal.SIGTERM)
        pid = spawn(*args, **named)  # type: ignore[arg-type]  # passed on as they are
        if when == "after":
            os.kill(os.getpid(), signal.SIGTERM)
        return pid

    monkeypatch.setattr(os, "posix_spawnp", signalled)

    def watch() -> None:
        while True:
            seq = latest(annexd.place.poke)
            write_state(annexd.place.state, "watcher", State(Activity.IDLE, seq))
            pause(0.05)

    def hold() -> None:
        os._exit(hold_commits_during(annexd.place, 60, ["sleep", "1000"]))

    annexd.place.state.mkdir(parents=True, exist_ok=True)
    with forked(watch), forked(hold) as holder:
        assert reap(holder) == 128 + signal.SIGTERM
    assert list(holds(annexd.place)) == []


# Autostart


def autostart(home: Path, *paths: Path) -> None:
    """Write git-annex's list."""
    config = home / ".config/git-annex"
    config.mkdir(parents=True)
    (config / "autostart").write_text("".join(f"{path}\n" for path in paths))


def test_an_empty_autostart_list_is_in_order(sealed_home: Path) -> None:
    assert run_to_end((*CLI, "start", "--autostart")) == Ended(0, b"", b"")
    autostart(sealed_home)
    assert run_to_end((*CLI, "start", "--autostart")) == Ended(0, b"", b"")
    assert run_to_end((*CLI, "stop", "--autostart")) == Ended(0, b"", b"")


def test_every_repository_on_the_list_is_started_and_stopped(
    annexd: Annexd, sealed_home: Path, tmp_path: Path
) -> None:
    other = Annexd(Repo.create(tmp_path / "other"))
    paths = (annexd.repo.path, tmp_path / "not mounted", other.repo.path, annexd.repo.path)
    autostart(sealed_home, *paths)

    assert annexd("start", "--autostart").status == 0
    assert annexd("start", "--autostart").status == 0
    assert annexd.runs()
    assert other.runs()

    assert annexd("stop", "--autostart").status == 0
    assert not annexd.runs()
    assert not other.runs()


def test_one_refusal_does_not_keep_the_others_from_starting(
    annexd: Annexd, sealed_home: Path, tmp_path: Path
) -> None:
    (tmp_path / "odd").mkdir()
    autostart(sealed_home, tmp_path / "odd", annexd.repo.path)

    ended = annexd("start", "--autostart")

    assert ended.status == 100
    assert b"is not in a git repository" in ended.stderr
    assert annexd.runs()


def limited(what: str, limit: int) -> tuple[str, ...]:
    """The beginning of a command line: in a user namespace with another limit on inotify."""
    script = f'echo {limit} >/proc/sys/user/max_inotify_{what} && exec "$@"'
    return ("unshare", "-Ur", "sh", "-c", script, "sh")


def test_without_inotify_instances_it_starts_and_says_what_to_do(annexd: Annexd) -> None:
    if run_to_end((*limited("instances", 0), "true")).status:
        pytest.skip("user namespaces are not allowed on this machine")

    ended = run_to_end((*limited("instances", 0), *CLI, "start"), cwd=annexd.repo.path)

    assert ended.status == 0
    assert "sudo sysctl fs.inotify.max_user_instances=1024" in annexd.place.log.read_text()


def test_a_daemon_lock_that_is_no_file_is_told(annexd: Annexd) -> None:
    (annexd.place.annex / "daemon.pid").mkdir()

    ended = annexd("start")

    assert ended.status == 111
    assert b"cannot take the daemon lock: not a regular file" in ended.stderr


def test_debug_lines_are_logged_when_git_annex_s_setting_says_so(annexd: Annexd) -> None:
    annexd.repo.config("annex.debug", "true")
    annexd.roles = "chatty"

    annexd("start")

    assert "]: chat about nothing\n" in annexd.place.log.read_text()


@pytest.mark.parametrize(("modules", "is_logged"), [("Process, tiny", True), ("Process", False)])
def test_debug_lines_are_those_of_the_modules_in_git_annex_s_other_setting(
    annexd: Annexd, modules: str, *, is_logged: bool
) -> None:
    annexd.repo.config("annex.debug", "true")
    annexd.repo.config("annex.debugfilter", modules)
    annexd.roles = "chatty"

    annexd("start")

    assert ("]: chat about nothing\n" in annexd.place.log.read_text()) is is_logged
