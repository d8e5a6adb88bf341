"""git-annex kept open: answers, endings, and no process left behind."""

import os
import time
from pathlib import Path

import pytest

from tests.processes import alive, forked, kill, wait_until
from tests.repo import Repo
from workers.annex import repository
from workers.annex import stream as module
from workers.annex.repository import Repository
from workers.annex.stream import AnnexEndedError, AnnexStream, AnnexTimeoutError
from workers.git.offspring import descendants


@pytest.fixture
def here(repo: Repo) -> Repository:
    return repository.find(repo.path)


def test_each_question_has_one_line_of_answer(here: Repository, repo: Repo) -> None:
    key = repo.add("f", b"content")

    with AnnexStream(here, "lookupkey", "--batch") as stream:
        assert stream.ask(b"f\n", 20) == key
        assert stream.ask(b"nosuch\n", 20) == b""
        assert stream.ask(b"f\n", 20) == key
        assert stream.lines() == []
    assert not alive(stream.pid)


def test_a_question_that_ends_it_says_why(here: Repository) -> None:
    with AnnexStream(here, "examinekey", "--batch", "--json") as stream:
        with pytest.raises(AnnexEndedError, match="bad key"):
            stream.ask(b"this is none\n", 20)
        with pytest.raises(AnnexEndedError):
            stream.ask(b"nor this\n", 20)


def test_one_that_says_nothing_is_killed_in_time(here: Repository) -> None:
    stream = AnnexStream(here, "1000", program="sleep")

    with pytest.raises(AnnexTimeoutError, match="within 0 s"):
        stream.line(0.2)

    assert not alive(stream.pid)
    stream.close()


def test_waiting_for_nothing_in_particular_ends_in_time_and_kills_nothing(here: Repository) -> None:
    with AnnexStream(here, "1000", program="sleep") as stream:
        assert stream.wait(0.1) == []
        assert alive(stream.pid)
        stream.kill()


def test_the_programs_that_it_started_are_killed_with_it(here: Repository) -> None:
    script = "sleep 1000 & (sleep 1000 & echo $!; wait) & wait"
    with AnnexStream(here, "-c", script, program="sh") as stream:
        grandchild = int(stream.line(20))
        family = descendants(stream.pid)
        assert grandchild in family
        assert len(family) == 3

        stream.kill()

    wait_until(lambda: not any(alive(pid) for pid in (stream.pid, *family)))


def test_it_ends_when_its_owner_is_killed(here: Repository, tmp_path: Path) -> None:
    def own() -> None:
        stream = AnnexStream(here, "lookupkey", "--batch")
        (tmp_path / "new").write_text(str(stream.pid))
        (tmp_path / "new").rename(tmp_path / "pid")
        stream.line(60)

    with forked(own) as owner:
        wait_until((tmp_path / "pid").exists)
        pid = int((tmp_path / "pid").read_text())
        assert alive(pid)

        kill(owner)
        wait_until(lambda: not alive(pid))


def test_it_is_in_its_owners_process_group(here: Repository) -> None:
    """So that ending a worker's group ends it too."""
    with AnnexStream(here, "lookupkey", "--batch") as stream:
        assert os.getpgid(stream.pid) == os.getpgid(0)


def test_its_stderr_never_blocks_it_and_its_end_is_kept(here: Repository) -> None:
    script = "head -c 300000 /dev/zero | tr '\\0' x >&2; echo the reason >&2; echo done; exit 3"
    with AnnexStream(here, "-c", script, program="sh") as stream:
        assert stream.line(20) == b"done"
        with pytest.raises(AnnexEndedError, match="the reason"):
            stream.line(20)


def test_a_closed_stderr_does_not_make_waiting_busy(here: Repository) -> None:
    with AnnexStream(here, "-c", "exec 2>&-; sleep 1; echo done", program="sh") as stream:
        before = time.process_time()

        assert stream.line(20) == b"done"

        assert time.process_time() - before < 0.3


def test_a_line_without_an_end_does_not_fill_our_memory(here: Repository) -> None:
    with (
        AnnexStream(here, "/dev/zero", program="cat") as stream,
        pytest.raises(AnnexEndedError, match="without an end"),
    ):
        stream.line(20)
    assert not alive(stream.pid)


def test_what_answers_no_question_is_not_taken_for_an_answer(here: Repository) -> None:
    with AnnexStream(here, "-c", "echo hello; cat", program="sh") as stream:
        wait_until(lambda: stream.wait(1) == [b"hello"])
        assert stream.ask(b"question\n", 20) == b"question"
        stream.send(b"more\n")
        assert stream.line(20) == b"more"
        stream.send(b"unasked\n")
        wait_until(lambda: stream._poll.poll(1000))

        with pytest.raises(AnnexEndedError, match="no question"):
            stream.ask(b"question\n", 20)


def test_the_end_of_its_input_is_the_end_of_it(here: Repository) -> None:
    with AnnexStream(here, "-c", "cat >&2; exit 7", program="sh") as stream:
        stream.finish()
        assert stream.wait_for_end(20) == 7


def test_one_that_has_closed_its_output_and_lives_on_is_killed_in_time(
    here: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was waited for, for ever."""
    monkeypatch.setattr(module, "CLOSE_S", 0.5)
    lives_on = ("-c", "exec >&-; exec sleep 1000")
    with AnnexStream(here, *lives_on, program="sh") as stream:
        pass
    assert not alive(stream.pid)

    with (
        AnnexStream(here, *lives_on, program="sh") as stream,
        pytest.raises(AnnexTimeoutError, match="no end"),
    ):
        stream.wait_for_end(0.5)
    assert not alive(stream.pid)
