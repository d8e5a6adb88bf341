"""A git-annex that stays open."""

import json
import os
import signal

import pytest

from spool.transfer import parse_uuid
from tests.processes import alive, wait_until
from tests.repo import Repo
from workers.annex.branch import Branch
from workers.annex.description import commit_message, describe
from workers.annex.repository import find
from workers.annex.run_annex import run_annex
from workers.annex.stream import AnnexEndedError, AnnexStream
from workers.git.run import GitError

TIMEOUT_S = 20.0


def test_one_process_answers_many_questions(repo: Repo) -> None:
    keys = [repo.add(f"file{number}", b"%d" % number) for number in range(3)]

    with AnnexStream(find(repo.path), "whereis", "--batch", "--json") as stream:
        for number, key in enumerate(keys):
            answer = json.loads(stream.ask(b"file%d" % number, TIMEOUT_S))
            assert answer["key"].encode() == key
        pid = stream.pid
        assert alive(pid)

    assert not alive(pid)


def test_closing_lets_git_annex_finish_its_work(repo: Repo) -> None:
    repo.write("file", b"content")

    with AnnexStream(find(repo.path), "add", "--batch", "--json") as stream:
        assert json.loads(stream.ask(b"file", TIMEOUT_S))["success"]

    assert repo.key("file")


def test_a_late_answer_ends_it(repo: Repo) -> None:
    stream = AnnexStream(find(repo.path), "whereis", "--batch", "--json")

    with pytest.raises(AnnexEndedError, match="did not answer"):
        stream.line(timeout_s=0.05)

    assert not alive(stream.pid)
    with pytest.raises(AnnexEndedError):
        stream.ask(b"file", TIMEOUT_S)
    stream.close()


def test_what_it_complains_about_is_quoted(repo: Repo) -> None:
    with (
        AnnexStream(find(repo.path), "contentlocation", "--batch") as stream,
        pytest.raises(AnnexEndedError, match=r"contentlocation ended.*bad key"),
    ):
        stream.ask(b"no key", TIMEOUT_S)


def test_many_complaints_do_not_stop_it(repo: Repo) -> None:
    script = 'i=0; while read q; do i=$((i+1)); head -c 200000 /dev/zero >&2; echo "$q $i"; done'

    with AnnexStream(find(repo.path), "-c", script, program="sh") as stream:
        answers = [stream.ask(b"q", TIMEOUT_S) for _ in range(3)]

    assert answers == [b"q 1", b"q 2", b"q 3"]


def test_an_endless_line_ends_it(repo: Repo) -> None:
    with (
        AnnexStream(find(repo.path), "-c", "yes | tr -d '\\n'", program="sh") as stream,
        pytest.raises(AnnexEndedError, match="line of more than"),
    ):
        stream.line(TIMEOUT_S)


def test_it_ends_when_its_owner_is_killed(repo: Repo) -> None:
    repository = find(repo.path)
    told_r, told_w = os.pipe()
    owner = os.fork()
    if owner == 0:
        stream = AnnexStream(repository, "whereis", "--batch")
        os.write(told_w, b"%d" % stream.pid)
        os.kill(os.getpid(), signal.SIGKILL)
    assert os.waitpid(owner, 0)[1] == signal.SIGKILL

    child = int(os.read(told_r, 20))

    wait_until(lambda: not alive(child))
    os.close(told_r)
    os.close(told_w)


def test_git_annex_is_run_in_its_repository_and_failures_are_quoted(repo: Repo) -> None:
    key = repo.add("file", b"content")

    assert run_annex(find(repo.path), "lookupkey", "file").strip() == key
    with pytest.raises(GitError, match="nothere"):
        run_annex(find(repo.path), "get", "--", "nothere")


def test_repositories_are_called_what_git_annex_calls_them(repo: Repo) -> None:
    for name in ("first", "a name with spaces, timestamp=5s and é"):
        repo.annex("describe", "-q", "here", name)

    with Branch(find(repo.path)) as branch:
        uuid = branch.repository.uuid
        log = branch.read(b"uuid.log")
        assert describe(log, uuid).decode() == name
        repo.write("file", b"x")
        repo.annex("add", "-q", "file")
        repo.annex("sync", "-q", "--no-content")
        assert repo.git("log", "-1", "--format=%B").strip() == commit_message(log, uuid)
    lines = b"u old timestamp=2s\nu new timestamp=2s\nu a line without clock\nv other\n"
    assert describe(lines, parse_uuid(b"u")) == b"new"
    assert describe(lines, parse_uuid(b"v")) == b"other"
    assert describe(lines, uuid) == b""
