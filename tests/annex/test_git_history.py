"""What the history says of paths, whatever a peer has put into it."""

from tests.repo import Repo
from workers.git.tree import deeds_at


def test_a_subject_may_hold_what_ends_a_line_elsewhere(repo: Repo) -> None:
    """bytes.splitlines() ends a line at CR, too, and the second half has no commit."""
    repo.write("file", b"content")
    repo.git("add", "file")
    repo.git("commit", "-q", "--cleanup=verbatim", "-m", "one\rline")

    found = list(deeds_at(repo.plumbing, repo.head(), [b"file"], 10))

    assert [(subject, deed.path) for subject, deed in found] == [(b"one\rline", b"file")]
