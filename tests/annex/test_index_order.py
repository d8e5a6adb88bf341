"""Where a path is, or would be, is found from where the last one was, whatever the order."""

import random
from bisect import bisect_left

from tests.repo import Repo
from workers.git.index import read_index
from workers.git.objectid import ObjectFormat


def test_paths_are_found_in_any_order(repo: Repo) -> None:
    names = [f"{number:03d}" for number in range(0, 200, 3)]
    for name in names:
        repo.write(name, b"")
    repo.git("add", "-A")
    index = read_index(bytes(repo.path / ".git/index"), ObjectFormat.SHA1)
    there = [entry.path for entry in index]
    assert len(there) >= len(names)
    dice = random.Random(7)  # noqa: S311 -- no secret

    asked = [f"{number:03d}".encode() for number in range(201)]
    orders = [asked, asked[::-1], dice.choices(asked, k=1000), [b"", b"zzz", b"", b"000", b"zzz"]]
    for order in orders:
        for path in order:
            at = bisect_left(there, path)
            after = dice.randrange(at + 1)
            end = at + (path in there)
            assert index.span(path) == (at, end)
            assert index.span(path, after) == (at, end)
