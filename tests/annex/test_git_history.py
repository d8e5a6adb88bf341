"""What the history says of paths, whatever a peer has put into it."""

from tests.repo import Repo
from workers.git.tree import deeds_at


def test_a_subject_may_hold_what_ends_a_line_elsewhere(repo: Repo) -> None:
    """bytes.splitlines() ends a line at CR, too, and the second half has no commit."""
    repo.write("file", b"content")
    repo.git("add", "file")
    repo.git("commit", "-q", "--cleanup=verbatim", "-m", "one\rline")

    found = list(deeds_at(repo.plumbing, repo.head(), [b"file"], 10))

    assert [(deed.subject, deed.change.path) for deed in found] == [(b"one\rline", b"file")]


def test_what_was_in_a_directory_is_no_deed_at_the_file_that_has_its_name_now(repo: Repo) -> None:
    """The watcher crashed where such a file was deleted elsewhere: it took the paths as its own."""
    for path in ("name/below", "name"):
        repo.write(path, path.encode())
        repo.git("add", "-A")
        repo.git("commit", "-q", "-m", path)
        repo.git("rm", "-q", path)
        repo.git("commit", "-q", "-m", "gone")

    found = [deed.change for deed in deeds_at(repo.plumbing, repo.head(), [b"name"], 10)]

    assert [(deed.path, deed.new is None) for deed in found] == [(b"name", True), (b"name", False)]
