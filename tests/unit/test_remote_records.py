"""What is known of each remote, as roles write it for each other."""

import os
from pathlib import Path

import pytest

from spool import lock
from spool.remotes import (
    PAUSE_MAX_S,
    TRANSFER_LOCK,
    Exchange,
    Reach,
    errors,
    forgive_transfers,
    pause_s,
    read_push,
    read_reach,
    read_transfer,
    read_tree,
    write_push,
    write_reach,
    write_transfer,
    write_tree,
)
from tests.processes import forked, reap

FAILING = Exchange(
    last_success=100.0, failing_since=200.0, failures=5, not_before=900.0, last_error="no route"
)


@pytest.mark.parametrize("text", [b"", b"reach perhaps\n", b"reach here\nsince nan\n", b"\xff"])
def test_what_is_neither_here_nor_away_is_not_known(tmp_path: Path, text: bytes) -> None:
    write_reach(tmp_path, b"r", Reach(here=True, since=1.0, why="mounted"))
    (tmp_path / "r/reach").write_bytes(text)

    assert read_reach(tmp_path, b"r") is None


def test_a_remote_is_left_alone_no_longer_than_a_fifth_of_the_time_that_it_has_failed_for() -> None:
    assert [pause_s(1, failing_s) for failing_s in (0.0, 1.0, 5.0, 29.0)] == [2.0, 2.0, 5.0, 29.0]
    for failures in range(1, 40):
        assert pause_s(failures, 60.0) == 30.0
        assert pause_s(failures, 600.0) <= 120.0
        assert pause_s(failures, 1e9) <= PAUSE_MAX_S
    assert pause_s(1, 1e9) == 30.0
    assert pause_s(2, 1e9) == 60.0
    assert pause_s(40, 1e9) == PAUSE_MAX_S


def test_all_that_fails_with_a_remote_is_told(tmp_path: Path) -> None:
    write_push(tmp_path, b"r", Exchange(failing_since=1.0, failures=1, last_error="refused"))
    write_tree(tmp_path, b"r", Exchange(failing_since=1.0, failures=1, last_error="full"))
    write_transfer(tmp_path, b"r", Exchange(last_success=2.0, last_error="long ago"))

    assert errors(tmp_path, b"r") == ("refused", "full")
    assert errors(tmp_path, b"other") == ()
    assert read_tree(tmp_path, b"r") == Exchange(failing_since=1.0, failures=1, last_error="full")


def test_who_forgives_has_contents_moved_at_once_and_hides_nothing(tmp_path: Path) -> None:
    for name in (b"one", b"two"):
        write_transfer(tmp_path, name, FAILING)
    write_push(tmp_path, b"one", FAILING)
    (tmp_path / "three/transfer").mkdir(parents=True)

    forgive_transfers(tmp_path)

    forgiven = Exchange(last_success=100.0, failing_since=200.0, last_error="no route")
    assert read_transfer(tmp_path, b"one") == read_transfer(tmp_path, b"two") == forgiven
    assert read_push(tmp_path, b"one") == FAILING
    assert errors(tmp_path, b"two") == ("no route",)
    assert (tmp_path / "three/transfer").is_dir()


def test_who_just_tries_it_is_not_interfered_with(tmp_path: Path) -> None:
    write_transfer(tmp_path, b"r", FAILING)
    with lock.held(os.fsencode(tmp_path / "r" / TRANSFER_LOCK), within_s=1.0):
        with forked(lambda: forgive_transfers(tmp_path)) as child:
            assert reap(child) == 0
        assert read_transfer(tmp_path, b"r") == FAILING

    forgive_transfers(tmp_path)

    assert read_transfer(tmp_path, b"r") != FAILING
