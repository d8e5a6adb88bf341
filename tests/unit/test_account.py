"""What is remembered of the exchanges with a remote, on a disk that may be full."""

from pathlib import Path

from workers.pusher.account import Account


def test_it_counts_also_where_it_cannot_be_written(tmp_path: Path) -> None:
    records = tmp_path / "annex" / "records"  # of a repository that is not there: none is made
    account = Account("remote", records)

    account.hold("the disk is full")
    assert account.error == "the disk is full"
    account.fail("no answer")
    assert account.remaining_s() > 0
    (tmp_path / "annex").mkdir()
    account.succeed()

    assert account.is_clean
    assert Account("remote", records).is_clean
