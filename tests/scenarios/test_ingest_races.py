"""Adding a file while git-annex takes its content away, or shares it, corrupts nothing."""

import pytest

from tests.daemons import Fleet
from tests.processes import pause, running, wait_until
from tests.repo import Repo
from tests.synced import synced

LONG = pytest.param(500, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])
"""A thousand commands of git-annex, one after the other."""

DROP_AND_GET = """
for round in $(seq {rounds}); do git annex drop -q f; git annex get -q f; done
touch ../done
"""


@pytest.mark.parametrize("rounds", [10, LONG])
def test_a_pointer_is_never_taken_for_content(
    pair: tuple[Repo, Repo], fleet: Fleet, rounds: int
) -> None:
    """RT-04: one process drops and gets a file, another touches it all the time."""
    a, b = pair
    b.annex("group", "-q", ".", "manual")
    b.annex("wanted", "-q", ".", "standard")
    a.write("f", b"content" * 1000)
    fleet.serve(a, b)
    done = a.path.parent / "done"
    wait_until(lambda: b.exists("f"))
    b.annex("get", "-q", "f")

    with running(["sh", "-c", DROP_AND_GET.format(rounds=rounds)], cwd=b.path):
        while not done.exists():
            (b.path / "f").touch()
            pause(0.02)

    b.annex("get", "-q", "f")
    synced(a, b)
    fleet.settle()
    for repo in pair:
        for path in (repo.path / ".git/annex/objects").rglob("*"):
            assert not path.is_file() or not path.read_bytes().startswith(b"/annex/objects/")
        repo.check()


def test_editing_a_thin_file_never_sends_wrong_bytes_for_its_old_key(
    pair: tuple[Repo, Repo], fleet: Fleet
) -> None:
    """RT-09: a thin file *is* its object, which a locked file with the same content shares."""
    a, b = pair
    a.config("annex.thin", "true")
    a.write("unlocked", b"shared content\n")
    a.write("locked", b"shared content\n")
    a.annex("add", "-q", "locked", "unlocked")
    a.annex("unlock", "-q", "unlocked")
    a.git("commit", "-q", "-m", "the same content twice")
    fleet.serve(a, b)
    synced(a, b)
    fleet.settle()

    a.write("unlocked", b"not shared any more\n")

    synced(b, within_s=30)
    wait_until(lambda: b.holds("unlocked", b"not shared any more\n"), 30)
    assert b.read("locked") == b"shared content\n"
    b.check()
    synced(a, b)
    a.check()
