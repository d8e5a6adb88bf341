"""What is remembered of the exchanges with a remote, on a disk that may be full."""

from pathlib import Path

from workers.pusher.account import Account


def test_it_counts_also_where_it_cannot_be_written(tmp_path: Path) -> None:
    account = Account("remote", tmp_path / "records")
    (tmp_path / "records").write_bytes(b"a file in its place: every write fails")

    account.hold("the disk is full")
    assert account.error == "the disk is full"
    account.fail("no answer")
    assert account.remaining_s() > 0
    (tmp_path / "records").unlink()
    account.succeed()

    assert account.is_clean
    assert Account("remote", tmp_path / "records").is_clean
