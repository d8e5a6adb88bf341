"""Links are put in the place of files while their users are at work."""

import os

from tests.desks import desk_of
from tests.processes import forked
from tests.repo import Repo
from workers.watcher.relink import put_link

ROUNDS = 300


def test_a_file_that_is_deleted_and_made_again_meanwhile_is_no_trouble(repo: Repo) -> None:
    path = repo.path / "file"

    def churn() -> None:
        while True:
            replacement = path.with_name("replacement")
            replacement.write_bytes(b"theirs")
            replacement.rename(path)
            path.unlink()

    with desk_of(repo) as desk, forked(churn):
        tries = 0
        while tries < ROUNDS:
            try:
                seen = os.lstat(path)
            except FileNotFoundError:
                continue
            tries += 1
            put_link(desk, b"file", b"target", seen)
    assert not os.listdir(desk.place.tmp)
