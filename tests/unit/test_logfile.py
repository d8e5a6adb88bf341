"""The log: whose lines are whole, whose size is bounded, and which nothing can forge."""

import logging
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from workers import logfile

LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} [a-z0-9-]+\[\d+\]: ")


def in_child(life: Callable[[], None]) -> None:
    """Run in a fork, since standard error is the log there."""
    pid = os.fork()
    if pid == 0:
        try:
            life()
        finally:
            os._exit(0)
    os.waitpid(pid, 0)


def record(text: str, *args: object) -> logging.LogRecord:
    return logging.LogRecord("x", logging.INFO, __file__, 1, text, args, None)


def test_every_line_says_when_and_who(tmp_path: Path) -> None:
    path = tmp_path / "log"

    def life() -> None:
        handler = logfile.LineHandler("watcher", path)
        handler.emit(record("commit %d files", 3))
        handler.emit(record("first\nsecond"))

    in_child(life)

    lines = path.read_text().splitlines()
    assert [LINE.sub("", line) for line in lines] == ["commit 3 files", "first", "second"]
    assert all(LINE.match(line) for line in lines)
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("is_file_there", [False, True])
def test_the_log_of_a_repository_that_moves_away_goes_with_it(
    tmp_path: Path, *, is_file_there: bool
) -> None:
    path = tmp_path / "repo/annex/annexd/log"
    path.parent.mkdir(parents=True)

    def life() -> None:
        handler = logfile.LineHandler("supervisor", path)
        handler.emit(record("started"))
        (tmp_path / "repo").rename(tmp_path / "moved")
        if is_file_there:
            (tmp_path / "repo").touch()
        handler.emit(record("stop: the repository has gone"))

    in_child(life)

    lines = (tmp_path / "moved/annex/annexd/log").read_text().splitlines()
    assert [LINE.sub("", line) for line in lines] == ["started", "stop: the repository has gone"]
    assert (tmp_path / "repo").exists() == is_file_there


def test_control_characters_never_reach_the_log(tmp_path: Path) -> None:
    path = tmp_path / "log"
    evil = os.fsdecode(b"\x1b]0;owned\x07\r\x9b31m\xff")

    in_child(lambda: logfile.LineHandler("watcher", path).emit(record("skip %s", evil)))

    text = path.read_bytes()
    assert not set(text) & (set(range(32)) - {10} | set(range(127, 160)))
    assert text.endswith(b": skip \\x1b]0;owned\\x07\\r\\udc9b31m\\udcff\n")


def test_the_log_and_the_generation_before_it_are_bounded(tmp_path: Path) -> None:
    path = tmp_path / "log"

    def life() -> None:
        handler = logfile.LineHandler("watcher", path, limit_bytes=2000)
        for number in range(500):
            handler.emit(record("line %d", number))

    in_child(life)

    assert sorted(os.listdir(tmp_path)) == ["log", "log.1"]
    text = (tmp_path / "log.1").read_text() + path.read_text()
    numbers = [int(line.rpartition(" ")[2]) for line in text.splitlines()]
    assert numbers == list(range(500 - len(numbers), 500))  # none lost at the rotation
    assert 2000 < len(text) < 2 * 2000 + 200


def test_many_writers_lose_no_line_at_a_rotation(tmp_path: Path) -> None:
    """Two may find it full at once; the second must not rename the new file over the old one."""
    path = tmp_path / "log"
    writers, lines = 6, 300

    def life() -> None:
        gate = os.pipe()
        for writer in range(writers):
            if os.fork() == 0:
                os.close(gate[1])
                os.read(gate[0], 1)
                # Full three times, so that the last two generations hold at least half of it all.
                handler = logfile.LineHandler(f"writer-{writer}", path, limit_bytes=60_000)
                for number in range(lines):
                    handler.emit(record("line %d %s", number, "x" * 20))
                os._exit(0)
        os.close(gate[1])
        for _ in range(writers):
            os.wait()

    in_child(life)

    both = (tmp_path / "log.1").read_text() + path.read_text()
    assert all(LINE.match(line) for line in both.splitlines())
    assert len((tmp_path / "log.1").read_bytes()) >= 60_000
    for writer in range(writers):
        found = re.findall(rf"writer-{writer}\[\d+\]: line (\d+) ", both)
        assert sorted(map(int, found)) == list(range(lines - len(found), lines))


def test_the_second_who_finds_the_log_full_leaves_the_new_one_alone(tmp_path: Path) -> None:
    path = tmp_path / "log"

    def life() -> None:
        logfile.open_log(path)
        os.write(logfile.STDERR, b"full\n")
        path.rename(tmp_path / "log.1")  # another was faster
        path.write_bytes(b"new\n")
        logfile._rotate(path)

    in_child(life)

    assert path.read_bytes() == b"new\n"
    assert (tmp_path / "log.1").read_bytes() == b"full\n"


def test_a_log_that_somebody_deletes_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "annexd" / "log"

    def life() -> None:
        handler = logfile.LineHandler("watcher", path)
        handler.emit(record("before"))
        path.unlink()
        path.parent.rmdir()
        handler.emit(record("after"))

    in_child(life)

    assert path.read_text().endswith(": after\n")


def test_a_full_disk_does_not_stop_the_work() -> None:
    def life() -> None:
        logfile.LineHandler("watcher", None).emit(record("lost"))

    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, logfile.STDERR)
        life()
        os.write(write, b"went on")
        os._exit(0)
    os.close(write)
    assert os.read(read, 100) == b"went on"
    os.close(read)
    os.waitpid(pid, 0)


def test_a_worker_logs_as_itself_and_not_as_its_parent_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", list(root.handlers))

    logfile.set_up("supervisor", None)
    logfile.set_up("watcher", None)

    assert [type(handler) for handler in root.handlers] == [logfile.LineHandler]
