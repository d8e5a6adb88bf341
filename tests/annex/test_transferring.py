"""Transfers by ``git-annex transferrer``."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from spool.key import Key
from spool.transfer import UUID, Direction, Transfer
from tests.processes import alive, wait_until
from tests.repo import Repo
from workers.annex import repository
from workers.annex.stream import AnnexEndedError
from workers.annex.transferring import (
    AnnexTransferrer,
    Ended,
    Event,
    Message,
    Progress,
    Size,
)


@dataclass(frozen=True, slots=True)
class Store:
    """A repository with a directory special remote."""

    repo: Repo
    path: Path
    uuid: UUID

    def transfer(self, direction: Direction, key: bytes) -> Transfer:
        return Transfer(direction, self.uuid, Key(key))

    def stored(self) -> set[str]:
        """Keys that are in their place; unfinished ones are in ``tmp``."""
        files = (file.relative_to(self.path) for file in self.path.rglob("*") if file.is_file())
        return {file.name for file in files if file.parts[0] != "tmp"}


@pytest.fixture
def store(repo: Repo, tmp_path: Path) -> Store:
    path = tmp_path / "store"
    path.mkdir()
    repo.annex("initremote", "-q", "d", "type=directory", f"directory={path}", "encryption=none")
    return Store(repo, path, UUID(repo.git("config", "remote.d.annex-uuid").strip()))


@pytest.fixture
def transferrer(store: Store) -> Iterator[AnnexTransferrer]:
    made = AnnexTransferrer(repository.find(store.repo.path))
    yield made
    made.stream.close()


def until_ended(transferrer: AnnexTransferrer) -> list[Event]:
    events: list[Event] = []

    def ended() -> bool:
        events.extend(transferrer.wait(5))
        return any(isinstance(event, Ended) for event in events)

    wait_until(ended, 60)
    return events


def test_content_is_sent_and_fetched_again_with_progress_and_locations(
    store: Store, transferrer: AnnexTransferrer
) -> None:
    key = store.repo.add("we ird\\é", b"x" * 5_000_000)

    transferrer.start(store.transfer(Direction.UPLOAD, key), "we ird\\é".encode())
    sent = until_ended(transferrer)

    assert sent[0] == Size(5_000_000)
    assert sent[-1] == Ended(success=True)
    done = [event.done for event in sent if isinstance(event, Progress)]
    assert done == sorted(done)
    assert done[-1] == 5_000_000
    assert store.stored() == {key.decode()}

    store.repo.annex("drop", "-q", "--", "we ird\\é")
    transferrer.start(store.transfer(Direction.DOWNLOAD, key), b"")
    assert until_ended(transferrer)[-1] == Ended(success=True)
    assert store.repo.read("we ird\\é") == b"x" * 5_000_000
    assert b"2 copies" in store.repo.annex("whereis", "--", "we ird\\é")


def test_a_failure_says_why_and_the_next_transfer_goes_on(
    store: Store, transferrer: AnnexTransferrer
) -> None:
    key = store.repo.add("f", b"content")

    transferrer.start(store.transfer(Direction.DOWNLOAD, b"SHA256-s3--%064d" % 1), b"gone")
    failed = until_ended(transferrer)
    transferrer.start(store.transfer(Direction.UPLOAD, key), b"f")

    assert failed[-1] == Ended(success=False)
    assert any(isinstance(event, Message) for event in failed)
    assert until_ended(transferrer)[-1] == Ended(success=True)


def test_a_remote_that_it_does_not_know_ends_it(
    store: Store, transferrer: AnnexTransferrer
) -> None:
    key = store.repo.add("f", b"content")

    transferrer.start(Transfer(Direction.UPLOAD, UUID(b"no-such"), Key(key)), b"f")

    with pytest.raises(AnnexEndedError, match="protocol error"):
        until_ended(transferrer)


def test_a_transfer_is_cancelled_by_killing_it_and_begins_again(
    store: Store, transferrer: AnnexTransferrer
) -> None:
    store.repo.config("remote.d.annex-bwlimit", "1MiB")
    key = store.repo.add("big", b"x" * 20_000_000)
    transferrer.start(store.transfer(Direction.UPLOAD, key), b"big")
    wait_until(lambda: any(isinstance(event, Progress) for event in transferrer.wait(1)))

    transferrer.stream.kill()

    assert not alive(transferrer.stream.pid)
    assert key.decode() not in store.stored()
    store.repo.git("config", "--unset", "remote.d.annex-bwlimit")
    again = AnnexTransferrer(repository.find(store.repo.path))
    again.start(store.transfer(Direction.UPLOAD, key), b"big")
    assert until_ended(again)[-1] == Ended(success=True)
    again.stream.close()
