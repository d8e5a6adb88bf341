"""The scanner beside a remote at a path that does not answer: its drive, or server, has gone."""

from pathlib import Path

import pytest

from spool.transfer import Direction
from tests.hanging import hanging, needs_fuse
from tests.repo import Repo
from tests.scanning import queued, scanning

UP, DOWN = Direction.UPLOAD, Direction.DOWNLOAD


@needs_fuse
@pytest.mark.timeout(60)
def test_a_remote_whose_disk_is_dead_does_not_keep_others_from_being_served(
    pair: tuple[Repo, Repo], tmp_path: Path
) -> None:
    """The scanner looked there who runs, by itself, and was never heard of again."""
    a, b = pair
    c = a.clone(tmp_path / "c")
    a.git("remote", "add", "c", c.path)
    a.annex("sync", "-q", "--no-content")  # only now it knows c's uuid
    theirs = b.add("theirs", b"1")
    with scanning(a) as scanned, hanging(tmp_path / "mnt"):
        scanned.settled()
        a.config("remote.b.url", str(tmp_path / "mnt"))
        b.git("push", "-q", "a", "main:synced/main", "git-annex:synced/git-annex")
        a.git("merge", "-q", "synced/main")
        a.annex("merge", "-q")
        ours = a.add("ours", b"2")

        scanned.settled()

        assert queued(a, DOWN, b) == {theirs: b"theirs"}
        assert ours in queued(a, UP, c)
