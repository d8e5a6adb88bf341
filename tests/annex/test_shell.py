"""``annexd shell``, spoken to word by word; what it leaves is judged by the real git-annex."""

import contextlib
import hashlib
import os
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from spool.key import parse
from spool.lock import OPEN, try_take
from spool.transfer import UUID
from tests.processes import (
    ANNEXD_SHELL,
    attempt,
    kill,
    python,
    run,
    running,
    started,
    wait_until,
)
from tests.repo import Repo
from workers.annex.location import log_path
from workers.annex.repository import find
from workers.shell.request import Allowance
from workers.shell.session import Session
from workers.shell.wire import Wire

CLIENT = "00000000-0000-4000-8000-000000000001"
CONTENT = random.Random(1).randbytes(400_000)  # noqa: S311 -- the same in all of pytest-xdist's workers


def key_of(content: bytes) -> bytes:
    return b"SHA256-s%d--%b" % (len(content), hashlib.sha256(content).hexdigest().encode())


KEY = key_of(CONTENT)

HOLD = """
import fcntl, signal, sys
file = open(sys.argv[1], "w")
fcntl.lockf(file, fcntl.LOCK_EX)
print("ready", flush=True)
signal.pause()
"""


class Line:
    """A connection to a server, held by a very patient client."""

    def __init__(self, stdin: IO[bytes], stdout: IO[bytes], pid: int) -> None:
        self.stdin, self.stdout, self.pid = stdin, stdout, pid
        self.greeting = self.hear()

    def hear(self) -> bytes:
        return self.stdout.readline().removesuffix(b"\n")

    def say(self, data: bytes) -> None:
        self.stdin.write(data)
        self.stdin.flush()

    def ask(self, line: bytes) -> bytes:
        self.say(line + b"\n")
        return self.hear()

    def put(self, key: bytes, content: bytes, verdict: bytes = b"VALID\n") -> bytes:
        """Send a content from where the server wants it; the server's last word."""
        answer = self.ask(b"PUT f " + key)
        if not answer.startswith(b"PUT-FROM "):
            return answer
        rest = content[int(answer.split()[1]) :]
        self.say(b"DATA %d\n" % len(rest) + rest + verdict)
        return self.hear()


@contextmanager
def connected(repo: Repo, *, version: int = 4, **env: str) -> Iterator[Line]:
    settings = " ".join(f"{name}={value}" for name, value in env.items())
    command = f"{settings} exec {ANNEXD_SHELL} p2pstdio '{repo.path}' {CLIENT}"
    with started(["sh", "-c", command], cwd=repo.path) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        line = Line(program.stdin, program.stdout, program.pid)
        assert line.greeting == b"AUTH-SUCCESS " + repo.uuid().encode()
        if version:
            assert line.ask(b"VERSION %d" % version) == b"VERSION %d" % min(version, 4)
        yield line
        program.stdin.close()
        program.wait(60)


@pytest.fixture
def line(repo: Repo) -> Iterator[Line]:
    with connected(repo) as line:
        yield line


def content(repo: Repo, key: bytes) -> bytes | None:
    """What the repository has of a key, as the real git-annex finds it."""
    status, path = attempt(("git-annex", "contentlocation", key), cwd=repo.path)
    return (repo.path / os.fsdecode(path.strip())).read_bytes() if status == 0 else None


def tmp(repo: Repo) -> set[str]:
    directory = repo.path / ".git/annex/tmp"
    return set(os.listdir(directory)) if directory.exists() else set()


def shell(repo: Repo, words: str, env: Mapping[str, str] | None = None) -> tuple[int, bytes]:
    settings = [f"{name}={value}" for name, value in (env or {}).items()]
    return attempt(["env", *settings, "sh", "-c", f"{ANNEXD_SHELL} {words}"], cwd=repo.path)


def test_many_contents_are_there_before_success_and_logged_by_the_end(repo: Repo) -> None:
    contents = [os.urandom(100) for _ in range(20)]
    with connected(repo) as line:
        for each in contents:
            assert line.put(key_of(each), each) == b"SUCCESS"
        assert content(repo, key_of(contents[-1])) == contents[-1]
    for each in (contents[0], contents[-1]):
        assert repo.whereis(key_of(each)) == {repo.uuid().encode()}
    assert not list((repo.path / ".git/annex/journal").iterdir())
    assert not list((repo.path / ".git/annex/transfer/download" / CLIENT).iterdir())
    repo.annex("fsck", "-q", "--all")


@pytest.mark.parametrize("version", [0, 1, 2, 3, 4, 9])
def test_every_version_is_spoken(repo: Repo, version: int) -> None:
    with connected(repo, version=version) as line:
        verdict = b"VALID\n" if version else b""
        assert line.put(KEY, CONTENT, verdict) == b"SUCCESS"
        assert line.ask(b"GET 399998  " + KEY) == b"DATA 2"
        assert line.stdout.read(2) == CONTENT[-2:]
        assert not version or line.hear() == b"VALID"
        line.say(b"SUCCESS\n")
        assert line.ask(b"CHECKPRESENT " + KEY) == b"SUCCESS"


def test_what_is_wrong_is_refused_and_the_right_content_is_taken_next(
    repo: Repo, line: Line
) -> None:
    wrong = bytes(len(CONTENT))
    for sent, verdict in ((wrong, b"VALID\n"), (CONTENT, b"INVALID\n"), (CONTENT[1:], b"VALID\n")):
        assert line.put(KEY, sent, verdict) == b"FAILURE"
        assert content(repo, KEY) is None

    assert line.put(KEY, CONTENT) == b"SUCCESS"
    assert line.put(KEY, CONTENT) == b"ALREADY-HAVE"


def test_a_server_killed_in_the_middle_goes_on_from_there(repo: Repo) -> None:
    with connected(repo) as line:
        assert line.ask(b"PUT f " + KEY) == b"PUT-FROM 0"
        line.say(b"DATA %d\n" % len(CONTENT) + CONTENT[:300_000])
        partial = repo.path / ".git/annex/tmp" / os.fsdecode(KEY)
        wait_until(lambda: partial.exists() and partial.stat().st_size == 300_000)
        kill(line.pid)
    with connected(repo) as line:
        assert line.ask(b"PUT f " + KEY) == b"PUT-FROM 300000"
        line.say(b"DATA 100000\n" + CONTENT[300_000:] + b"VALID\n")
        assert line.hear() == b"SUCCESS"
    assert content(repo, KEY) == CONTENT
    assert not tmp(repo)


def test_the_beginning_that_is_there_is_not_believed(repo: Repo, line: Line) -> None:
    partial = repo.path / ".git/annex/tmp" / os.fsdecode(KEY)
    partial.parent.mkdir(exist_ok=True)
    partial.write_bytes(bytes(1000))

    assert line.put(KEY, CONTENT) == b"FAILURE"
    assert line.put(KEY, CONTENT) == b"SUCCESS"


def test_a_content_that_somebody_else_is_receiving_is_refused(repo: Repo, line: Line) -> None:
    assert line.ask(b"PUT f " + KEY) == b"PUT-FROM 0"
    with connected(repo) as other:
        assert other.ask(b"PUT f " + KEY).startswith(b"ERROR transfer already in progress")
        assert other.ask(b"CHECKPRESENT " + KEY) == b"FAILURE"


@pytest.mark.parametrize("cut", [b"", b"DATA 400000\nand then", b"DATA 3\n123VAL"])
def test_a_client_that_falls_silent_in_mid_content_is_not_waited_for(
    repo: Repo, cut: bytes
) -> None:
    """Its network may be gone; it comes back by another one, and wants the transfer's lock."""
    here = find(repo.path / ".git")
    (source, said), (heard, sink) = os.pipe(), os.pipe()
    os.write(said, b"VERSION 4\nPUT f %b\n" % KEY + cut)

    wire = Wire(source, sink, patience_s=0.2)
    Session(wire, here, UUID(CLIENT.encode()), Allowance.parse({})).serve()

    assert b"PUT-FROM" in os.read(heard, 1000)
    with connected(repo) as line:
        assert line.put(KEY, CONTENT) in {b"SUCCESS", b"FAILURE"}
    for fd in (source, said, heard, sink):
        os.close(fd)


@pytest.mark.parametrize(
    "said",
    [
        b"PUT f ../../../../etc/passwd",
        b"PUT f SHA256-s3--../../x/y",
        b"PUT /etc/passwd " + KEY,
        b"GET 0 f SHA256-s99999999999999999999--aa",
        b"GET -1 f " + KEY,
        b"GET 99999999999999999999999 f " + KEY,
        b"CHECKPRESENT ",
        b"CHECKPRESENT SHA256-s1--" + b"a" * 300,
        b"REMOVE \xff\xfe",
        b"REMOVE-BEFORE x " + KEY,
        b"VERSION -1",
        b"CONNECT sh",
        b"AUTH a b",
        b"\0\1\2",
        b"",
    ],
)
def test_nonsense_is_an_error_and_does_no_harm(repo: Repo, line: Line, said: bytes) -> None:
    before = repo.git("for-each-ref")

    answer = line.ask(said)

    # A key that only looks odd is a key: no file of that name is ever outside of the annex.
    assert answer.startswith((b"ERROR", b"PUT-FROM 0"))
    if answer.startswith(b"ERROR"):
        assert line.ask(b"CHECKPRESENT " + KEY) == b"FAILURE"
    assert repo.git("for-each-ref") == before


@pytest.mark.parametrize("size", [b"400001", b"9999999999999999999", b"99999999999999999999999"])
def test_more_than_the_key_says_is_not_received(repo: Repo, line: Line, size: bytes) -> None:
    line.ask(b"PUT f " + KEY)

    assert line.ask(b"DATA " + size).startswith(b"ERROR")

    assert line.hear() == b""
    assert content(repo, KEY) is None


def test_a_line_without_an_end_is_not_waited_for(line: Line) -> None:
    line.say(b"x" * 40_000)

    assert line.hear() == b"ERROR line too long"
    assert line.hear() == b""


def test_a_locked_content_is_not_dropped_and_an_unlocked_one_is(repo: Repo) -> None:
    key = repo.add("f", CONTENT)
    with connected(repo) as line:
        assert line.ask(b"LOCKCONTENT " + key) == b"SUCCESS"
        assert attempt(("git-annex", "drop", "--force", "f"), cwd=repo.path)[0] != 0
        line.say(b"UNLOCKCONTENT\n")
        assert line.ask(b"CHECKPRESENT " + key) == b"SUCCESS"
        repo.annex("drop", "-q", "--force", "f")
        assert line.ask(b"LOCKCONTENT " + key) == b"FAILURE"


def test_a_client_that_is_cut_off_can_rely_on_its_lock_for_a_while(repo: Repo) -> None:
    key = repo.add("f", CONTENT)
    with connected(repo) as line:
        assert line.ask(b"LOCKCONTENT " + key) == b"SUCCESS"
        kill(line.pid)

    assert attempt(("git-annex", "drop", "--force", "f"), cwd=repo.path)[0] != 0


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_promise_that_is_busy_ends_no_connection(repo: Repo, tmp_path: Path, when: str) -> None:
    """It ended with a traceback; and an answer to no question, after the last, is none."""
    key = repo.add("f", CONTENT)
    (found,) = (repo.path / ".git/annex/objects").glob(f"*/*/*/{key.decode()}")
    busy = found.with_name(f"{found.name}.rtl")
    found.parent.chmod(0o755)
    said = tmp_path / "said"
    with contextlib.ExitStack() as stack, connected(repo) as line:
        if when == "after":
            assert line.ask(b"LOCKCONTENT " + key) == b"SUCCESS"
        stack.enter_context(running(python(HOLD, busy), output=said))
        wait_until(lambda: said.exists() and b"ready" in said.read_bytes())
        if when == "before":
            assert line.ask(b"LOCKCONTENT " + key).startswith(b"ERROR cannot lock: somebody")
        else:
            line.say(b"UNLOCKCONTENT\n")
        assert line.ask(b"CHECKPRESENT " + key) == b"SUCCESS"


def test_removing_is_done_by_git_annex_and_respects_locks(repo: Repo) -> None:
    key = repo.add("f", CONTENT)
    with connected(repo) as line:
        now = int(line.ask(b"GETTIMESTAMP").split()[1])
        assert line.ask(b"REMOVE-BEFORE %d %b" % (now, key)) == b"FAILURE"
        with connected(repo) as other:
            assert other.ask(b"LOCKCONTENT " + key) == b"SUCCESS"
            assert line.ask(b"REMOVE " + key) == b"FAILURE"
            other.say(b"UNLOCKCONTENT\n")
            other.ask(b"GETTIMESTAMP")
        assert line.ask(b"REMOVE-BEFORE %d %b" % (now + 100, key)) == b"SUCCESS"
        assert line.ask(b"REMOVE " + key) == b"SUCCESS"
        assert line.put(key, CONTENT) == b"SUCCESS"
    assert content(repo, key) == CONTENT
    assert repo.whereis(key) == {repo.uuid().encode()}


def test_what_only_git_annex_may_store_is_given_to_it(repo: Repo) -> None:
    repo.config("annex.freezecontent-command", "touch frozen")
    with connected(repo) as line:
        assert line.put(KEY, bytes(len(CONTENT))) == b"FAILURE"
        assert line.put(KEY, CONTENT) == b"SUCCESS"

    assert content(repo, KEY) == CONTENT
    assert repo.exists("frozen")
    assert repo.whereis(KEY) == {repo.uuid().encode()}


def test_files_that_waited_for_a_content_are_filled(tmp_path: Path) -> None:
    a = Repo.create(tmp_path / "a")
    a.config("annex.addunlocked", "true")
    key = a.add("f", CONTENT)
    b = a.clone(tmp_path / "b")

    with connected(b) as line:
        assert line.put(key, CONTENT) == b"SUCCESS"

    assert b.read("f") == CONTENT
    assert b.status() == b""


def test_what_is_forbidden_is_refused(repo: Repo) -> None:
    key = repo.add("f", CONTENT)
    with connected(repo, GIT_ANNEX_SHELL_READONLY="1") as line:
        for said in (b"PUT f " + KEY, b"REMOVE " + key, b"REMOVE-BEFORE 9 " + key):
            assert line.ask(said) == b"ERROR this repository is read-only; write access denied"
        assert line.ask(b"CONNECT git-receive-pack").startswith(b"ERROR")
    with connected(repo, GIT_ANNEX_SHELL_APPENDONLY="1") as line:
        assert line.ask(b"REMOVE " + key) == b"ERROR this repository is append-only; removal denied"
        assert line.put(KEY, CONTENT) == b"SUCCESS"
    assert content(repo, key) == CONTENT


def test_what_git_may_not_do_it_may_not_through_the_connection_either(repo: Repo) -> None:
    receive, upload = b"CONNECT git-receive-pack", b"CONNECT git-upload-pack"
    with connected(repo, GIT_ANNEX_SHELL_APPENDONLY="1") as line:
        assert line.ask(receive) == b"ERROR this repository is read-only; write access denied"
    with connected(repo, GIT_ANNEX_SHELL_LIMITED="1") as line:
        assert line.ask(receive).startswith(b"ERROR")
        assert line.ask(upload).startswith(b"ERROR")
        assert line.ask(b"CHECKPRESENT " + KEY) == b"FAILURE"


def test_git_is_served_through_the_connection(repo: Repo) -> None:
    repo.add("f", CONTENT)
    with connected(repo) as line:
        size = int(line.ask(b"CONNECT git-upload-pack").split()[1])
        assert repo.head().encode() in line.stdout.read(size)
        line.say(b"DATA 4\n0000")
        words = line.hear()
        while words.startswith(b"DATA "):
            line.stdout.read(int(words.split()[1]))
            words = line.hear()
        assert words == b"CONNECTDONE 0"


def test_a_git_that_ends_before_all_is_said_has_its_status_told(repo: Repo) -> None:
    """As where the disk is full: its client saw a broken connection, and no reason."""
    repo.add("f", CONTENT)
    with connected(repo) as line:
        line.stdout.read(int(line.ask(b"CONNECT git-receive-pack").split()[1]))
        with contextlib.suppress(BrokenPipeError):  # having said why, it may be gone before that
            for data in (b"none", *(bytes(1 << 16) for _ in range(16))):
                line.say(b"DATA %d\n" % len(data) + data)
        words = line.hear()
        while words.startswith(b"DATA "):
            line.stdout.read(int(words.split()[1]))
            words = line.hear()
        assert words == b"CONNECTDONE 128"


def test_a_push_that_is_cut_off_leaves_no_lock(repo: Repo) -> None:
    """Else nobody could move that ref any more."""
    repo.git("commit", "-q", "--allow-empty", "-m", "first")
    repo.git("branch", "gone")
    oid = repo.git("rev-parse", "gone").strip()
    hook = repo.path / ".git/hooks/reference-transaction"
    hook.write_text('#!/bin/sh\n[ "$1" != prepared ] || { touch prepared; exec sleep 20; }\n')
    hook.chmod(0o755)
    with connected(repo) as line:
        line.stdout.read(int(line.ask(b"CONNECT git-receive-pack").split()[1]))
        told = b"%b %b refs/heads/gone\0report-status" % (oid, b"0" * len(oid))
        told = b"%04x%b0000" % (len(told) + 4, told)
        line.say(b"DATA %d\n" % len(told) + told)
        wait_until((repo.path / ".git/prepared").exists)
        assert list((repo.path / ".git").rglob("*.lock"))

    assert not list((repo.path / ".git").rglob("*.lock"))


def test_changes_of_refs_are_told(repo: Repo) -> None:
    repo.git("commit", "-q", "--allow-empty", "-m", "one")
    command = f"exec {ANNEXD_SHELL} notifychanges '{repo.path}'"
    with started(["sh", "-c", command]) as program, connected(repo) as line:
        assert program.stdout is not None
        assert program.stdout.readline() == b"READY\n"
        assert repo.head().encode() in program.stdout.readline()
        line.say(b"NOTIFYCHANGE\n")
        for name in ("two", "three"):
            repo.git("commit", "-q", "--allow-empty", "-m", name)
            assert program.stdout.readline() == b"CHANGED " + repo.head().encode() + b"\n"
        assert line.hear().startswith(b"CHANGED ")


def test_the_short_commands_answer_as_git_annex_shell_does(repo: Repo) -> None:
    key = repo.add("f", b"f").decode()
    for words in (
        f"configlist '{repo.path}'",
        f"-c \"git-annex-shell 'configlist' '{repo.path}/.git'\"",
        f"inannex '{repo.path}' {key}",
    ):
        theirs = run(["sh", "-c", f"git-annex-shell {words}"], cwd=repo.path)
        assert shell(repo, words) == (0, theirs)
    assert shell(repo, f"inannex '{repo.path}' {KEY.decode()}") == (1, b"")
    asked = {"SSH_ORIGINAL_COMMAND": f"'annexd' 'shell' 'configlist' '{repo.path}'"}
    assert repo.uuid().encode() in shell(repo, "", asked)[1]


def test_an_uninitialised_repository_is_left_to_git_annex_shell(tmp_path: Path) -> None:
    plain = Repo.plain(tmp_path / "plain")

    assert shell(plain, f"configlist '{plain.path}'") == (0, b"annex.uuid=\ncore.gcrypt-id=\n")
    assert shell(plain, f"p2pstdio '{plain.path}' {CLIENT}")[0] != 0


@pytest.mark.parametrize(
    "asked",
    [
        "touch oops",
        "git-annex-shell 'configlist' '/' ; touch oops",
        "git-upload-pack $(touch oops)",
        "git-upload-pack '--upload-pack=touch oops'",
        "git-annex-shell 'p2pstdio' 'unbalanced",
        "git",
        "annexd start",
        "",
    ],
)
def test_nothing_else_is_run(repo: Repo, asked: str) -> None:
    status, _said = shell(repo, "", {"SSH_ORIGINAL_COMMAND": asked, "HOME": str(repo.path)})

    assert status != 0
    assert not repo.exists("oops")
    assert not (repo.path / ".git/annex/daemon.pid").exists()


def test_a_git_annex_shell_that_is_ourselves_is_not_asked_for_ever(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = repo.add("f", CONTENT)
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "git-annex-shell").write_text(f'#!/bin/sh\nexec {ANNEXD_SHELL} "$@"\n')
    (programs / "git-annex-shell").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")

    status, said = shell(repo, f"dropkey '{repo.path}' {key.decode()}")
    with connected(repo) as line:
        removed = line.ask(b"REMOVE " + key)

    assert status == 1
    assert b"is annexd's" in said
    assert removed == b"FAILURE"
    assert content(repo, key) == CONTENT


def test_only_one_directory_may_be_asked_for(repo: Repo, tmp_path: Path) -> None:
    other = Repo.create(tmp_path / "other")
    (tmp_path / "link").symlink_to(other.path)
    only = {"GIT_ANNEX_SHELL_DIRECTORY": "~/repo", "HOME": str(tmp_path)}
    for allowed in (str(repo.path), "repo", "~/repo", "/~/repo"):
        assert shell(repo, f"configlist '{allowed}'", only)[0] == 0
    for refused in (str(other.path), "~/other", "link", "repo/../other", "/", "repo/.git"):
        for words in (f"configlist '{refused}'", f"-c \"git-upload-pack '{refused}'\""):
            status, said = shell(repo, words, only)
            assert status != 0
            assert b"Only allowed to access" in said
    limited = only | {"GIT_ANNEX_SHELL_LIMITED": "1"}
    assert shell(repo, "-c \"git-upload-pack 'repo'\"", limited)[0] == 1


def test_a_parcel_is_judged_content_by_content(repo: Repo, line: Line) -> None:
    right, wrong, withdrawn, had = (os.urandom(100) for _ in range(4))
    assert line.put(key_of(had), had) == b"SUCCESS"
    foreign = b"SKEIN256-s100--" + b"0" * 64
    keys = [key_of(right), key_of(wrong), key_of(withdrawn), key_of(had), foreign, b"nonsense"]

    assert line.ask(b"ANNEXD-PARCELS 1") == b"ANNEXD-PARCELS 1"
    line.say(b"PUT-MANY 6\n" + b"".join(b"100 a%%file %b\n" % key for key in keys))
    assert line.hear() == b"TAKE yyyhnn"
    line.say(b"DATA 100\n" + right + b"VALID\n" + b"DATA 100\n" + bytes(100) + b"VALID\n")
    line.say(b"DATA 100\n" + withdrawn + b"INVALID\n")
    assert line.hear() == b"STORED ynn"

    assert content(repo, key_of(right)) == right
    assert content(repo, key_of(wrong)) is None
    assert tmp(repo) == set()
    line.say(b"GET-MANY 2\nf %b\nf %b\n" % (key_of(wrong), key_of(right)))
    assert [line.hear(), line.hear(), line.hear()] == [b"DATA 0", b"INVALID", b"DATA 100"]
    assert line.stdout.read(100) == right
    assert line.hear() == b"VALID"
    assert line.ask(b"CHECKPRESENT " + key_of(right)) == b"SUCCESS"


def test_what_comes_in_parcels_is_logged_by_the_end(repo: Repo) -> None:
    contents = [os.urandom(100) for _ in range(20)]
    with connected(repo) as line:
        offers = b"".join(b"100  %b\n" % key_of(each) for each in contents)
        line.say(b"PUT-MANY 20\n" + offers)
        assert line.hear() == b"TAKE " + b"y" * 20
        line.say(b"".join(b"DATA 100\n" + each + b"VALID\n" for each in contents))
        assert line.hear() == b"STORED " + b"y" * 20
    assert repo.whereis(key_of(contents[7])) == {repo.uuid().encode()}
    repo.annex("fsck", "-q", "--all")


def test_a_parcel_may_be_offered_before_the_one_before_is_stored(repo: Repo, line: Line) -> None:
    first, second = os.urandom(100), os.urandom(100)
    line.say(b"PUT-MANY 1\n100 f %b\n" % key_of(first))
    assert line.hear() == b"TAKE y"
    line.say(b"DATA 100\n" + first + b"VALID\nPUT-MANY 1\n100 f %b\n" % key_of(second))
    assert [line.hear(), line.hear()] == [b"STORED y", b"TAKE y"]
    line.say(b"DATA 100\n" + second + b"VALID\n")
    assert line.hear() == b"STORED y"
    assert content(repo, key_of(first)) == first
    assert content(repo, key_of(second)) == second


def test_nothing_of_a_parcel_is_taken_where_nothing_may_be_written(repo: Repo) -> None:
    with connected(repo, GIT_ANNEX_SHELL_READONLY="1") as line:
        line.say(b"PUT-MANY 1\n%d f %b\n" % (len(CONTENT), KEY))
        assert line.hear() == b"TAKE n"
        assert line.put(KEY, CONTENT).startswith(b"ERROR this repository is read-only")


def test_a_parcel_that_is_cut_off_leaves_nothing_that_looks_complete(repo: Repo) -> None:
    two = [os.urandom(1000), os.urandom(1000)]
    with connected(repo) as line:
        line.say(b"PUT-MANY 2\n" + b"".join(b"1000 f %b\n" % key_of(each) for each in two))
        assert line.hear() == b"TAKE yy"
        line.say(b"DATA 1000\n" + two[0] + b"VALID\nDATA 1000\n" + two[1][:500])
    assert [content(repo, key_of(each)) for each in two] == [None, None]
    with connected(repo) as line:
        assert line.put(key_of(two[1]), two[1]) == b"SUCCESS"
        line.say(b"PUT-MANY 1\n1000 f %b\n" % key_of(two[0]))
        assert line.hear() == b"TAKE y"
        line.say(b"DATA 1000\n" + two[0] + b"VALID\n")
        assert line.hear() == b"STORED y"
    repo.annex("fsck", "-q", "--all")


@contextmanager
def annexd_running(repo: Repo) -> Iterator[None]:
    """As far as others can see."""
    directory = repo.path / ".git/annex/annexd"
    directory.mkdir(exist_ok=True)
    lock = try_take(os.fsencode(directory / "lock"), flags=OPEN | os.O_CREAT)
    assert lock is not None
    try:
        yield
    finally:
        lock.close()


def send_parcel(line: Line, contents: list[bytes]) -> None:
    line.say(b"PUT-MANY %d\n" % len(contents))
    line.say(b"".join(b"100  %b\n" % key_of(each) for each in contents))
    assert line.hear() == b"TAKE " + b"y" * len(contents)
    line.say(b"".join(b"DATA 100\n" + each + b"VALID\n" for each in contents))
    assert line.hear() == b"STORED " + b"y" * len(contents)


def log_of(repo: Repo, key: bytes) -> bytes:
    path = log_path(parse(key), find(repo.path).tuning)
    return repo.git("cat-file", "blob", b"git-annex:" + path)


def test_what_the_sender_logs_is_not_logged_again_where_annexd_runs(repo: Repo) -> None:
    contents = [os.urandom(100) for _ in range(20)]
    told, dropped, untold = (key_of(each) for each in contents[:3])
    with annexd_running(repo), connected(repo) as line:
        send_parcel(line, contents)
        repo.annex("setpresentkey", told, repo.uuid(), "1")
        repo.annex("drop", "-q", "--force", "--key", dropped)
        before = log_of(repo, told)
        assert repo.whereis(untold) == set()
    assert log_of(repo, told) == before
    assert repo.whereis(untold) == {repo.uuid().encode()}
    assert repo.whereis(dropped) == set()


def test_a_push_to_where_annexd_runs_does_not_wait_for_git_annex_s_hooks(
    pair: tuple[Repo, Repo], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = pair
    (tmp_path / "bin").mkdir()
    ran = tmp_path / "ran"
    fake = tmp_path / "bin/git-annex"
    fake.write_text(f'#!/bin/sh\necho "$@" >>{ran}\n')
    fake.chmod(0o755)
    hook = b.path / ".git/hooks/post-receive"
    assert hook.exists()
    push = ("push", "-q", "--no-verify", f"--receive-pack={ANNEXD_SHELL} git-receive-pack")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")

    a.git(*push, str(b.path), "HEAD:refs/heads/synced/one")
    assert "post-receive" in ran.read_text()
    ran.unlink()
    with annexd_running(b):
        a.git(*push, str(b.path), "HEAD:refs/heads/synced/two")
        assert not ran.exists()
        hook.write_text(f"#!/bin/sh\necho mine >>{ran}\n")
        a.git(*push, str(b.path), "HEAD:refs/heads/synced/three")
    assert ran.read_text() == "mine\n"
    assert b.git("rev-parse", "synced/one", "synced/two", "synced/three")
