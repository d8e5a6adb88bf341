"""However a content arrives, the files that want it are filled in, at once and always.

The assistant leaves nearly all of them as pointers after a bulk add (10.20261026).
"""

import pytest

from tests.daemons import Fleet
from tests.processes import stays, wait_until
from tests.repo import Repo
from tests.synced import synced
from tests.views import worktree


def filled(repo: Repo) -> int:
    """How many names have their content."""
    return sum(entry.here for entry in worktree(repo).values())


def served_without_wanting(pair: tuple[Repo, Repo], fleet: Fleet, files: int) -> None:
    """``b`` is served, and has names whose contents it does not ask for; ``a`` is not served."""
    a, b = pair
    b.annex("group", "-q", ".", "manual")
    b.annex("wanted", "-q", ".", "standard")
    for number in range(files):
        a.write(f"{number}", b"content %d" % number)
    a.annex("add", "-q", "-c", "annex.addunlocked=true", ".")
    a.git("commit", "-q", "-m", "many")
    fleet.serve(b)
    wait_until(lambda: len(worktree(b)) == files, 60)
    fleet.settle()
    assert filled(b) == 0


@pytest.mark.parametrize("files", [1, 100])
def test_what_the_user_gets_by_hand(pair: tuple[Repo, Repo], fleet: Fleet, files: int) -> None:
    served_without_wanting(pair, fleet, files)

    pair[1].annex("get", "-q", ".")

    wait_until(lambda: filled(pair[1]) == files, 30)
    stays(lambda: filled(pair[1]) == files, 3)


@pytest.mark.parametrize("files", [1, 100])
def test_what_a_peer_without_a_daemon_copies_here(
    pair: tuple[Repo, Repo], fleet: Fleet, files: int
) -> None:
    a, b = pair
    served_without_wanting(pair, fleet, files)

    a.annex("copy", "-q", "--to", "b")

    wait_until(lambda: filled(b) == files, 30)
    stays(lambda: filled(b) == files, 3)
    b.check()


def test_what_was_got_while_the_daemon_was_off(pair: tuple[Repo, Repo], fleet: Fleet) -> None:
    a, b = pair
    served_without_wanting(pair, fleet, 20)
    fleet.stop()
    a.annex("copy", "-q", "--to", "b")

    for each in fleet.daemons:
        each.start()

    wait_until(lambda: filled(b) == 20, 30)


def test_a_bulk_add(pair: tuple[Repo, Repo], fleet: Fleet) -> None:
    a, b = pair
    fleet.serve(a, b)

    for number in range(400):
        a.write(f"{number % 10}/{number}", b"content %d" % number)

    synced(a, b, within_s=90)
    b.check()


def test_every_name_of_one_content(pair: tuple[Repo, Repo], fleet: Fleet) -> None:
    a, b = pair
    fleet.serve(a, b)

    for number in range(5):
        a.write(f"copy {number}", b"one content, many names")
    (a.path / "copy 0").chmod(0o755)

    synced(a, b)
    a.write("copy 5", b"one content, many names")
    synced(a, b)
    assert len(b.objects()) == 1


def test_a_pointer_that_its_user_copies_is_filled_in_too(
    pair: tuple[Repo, Repo], fleet: Fleet
) -> None:
    """P04: a pointer is never content, wherever it turns up."""
    a, b = pair
    fleet.serve(a, b)
    a.write("f", b"content")
    synced(a, b)
    pointer = a.git("show", "HEAD:f")

    b.write("pasted", pointer)

    synced(a, b)
    assert a.read("pasted") == b"content"
    assert len(a.objects()) == 1


def test_names_that_arrive_after_their_contents(pair: tuple[Repo, Repo], fleet: Fleet) -> None:
    a, b = pair
    fleet.serve(b)
    synced(b)
    a.write("f", b"content")
    a.annex("add", "-q", "-c", "annex.addunlocked=true", "f")
    a.git("commit", "-q", "-m", "f")
    a.annex("copy", "-q", "--to", "b", "f")
    a.git("push", "-q", "b", "main:synced/main", "+git-annex:synced/git-annex")

    wait_until(lambda: b.holds("f", b"content"), 60)
    b.check()


def test_what_another_file_here_has_brought(pair: tuple[Repo, Repo], fleet: Fleet) -> None:
    """No transfer, and nothing in the journal, tells of a content that was taken in here."""
    a, b = pair
    served_without_wanting(pair, fleet, 1)

    b.write("the same", a.read("0"))

    wait_until(lambda: filled(b) == 2, 30)
