"""How many transferrers a repository gets."""

import pytest

from annexd.admission import read_admission
from annexd.repository import find_place
from tests.repo import Repo

SSH = "ssh://host/path"
STORE = ""


@pytest.mark.parametrize(
    ("urls", "jobs"),
    [
        ((), 2),
        (("/a",), 2),
        ((SSH,), 2),
        (("/a", "/b"), 3),
        (("/a", "/b", "/c"), 4),
        (("/a", SSH), 4),
        (("/a", SSH, SSH), 6),
        (("/a", SSH, STORE), 5),
        ((SSH,) * 9, 8),
    ],
)
def test_all_remotes_that_may_hang_leave_one_worker_free(
    repo: Repo, urls: tuple[str, ...], jobs: int
) -> None:
    for number, url in enumerate(urls):
        if url:
            repo.config(f"remote.r{number}.url", url)
        uuid = f"8a2b3c4d-1111-4222-8333-44445555{number:04}"
        repo.config(f"remote.r{number}.annex-uuid", uuid)

    assert read_admission(find_place(repo.path)).jobs == jobs
    repo.config("annex.jobs", "1")
    assert read_admission(find_place(repo.path)).jobs == 1
