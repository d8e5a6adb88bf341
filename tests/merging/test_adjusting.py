"""An unlocked adjusted branch is made as git-annex makes it, and users' commands do not notice."""

import os
import shutil

import pytest

from tests.desks import nothing
from tests.merging.steps import merged, note, push, save
from tests.repo import Repo
from workers.adjusting import Adjusting
from workers.desk import Desk
from workers.footing import Footing
from workers.git.index_install import LOCK
from workers.git.refname import RefName
from workers.merging import Merging
from workers.outcome import Quiet

MAIN = RefName(b"refs/heads/main")
REFS = ("refs/heads/main", "refs/heads/adjusted", "refs/basis")


def refs(repo: Repo) -> bytes:
    return repo.git("for-each-ref", *REFS)


def beside(repo: Repo) -> Repo:
    """A copy, in which git-annex does it."""
    copy = repo.path.parent / f"{repo.path.name} by git-annex"
    shutil.copytree(repo.path, copy, symlinks=True)
    return Repo(copy)


@pytest.fixture
def unlocked(pair: tuple[Repo, Repo], merging: Merging) -> tuple[Repo, Repo]:
    """``b`` is on the adjusted branch, with files of all kinds."""
    a, b = pair
    for name in ("edited", "deep/renamed", "deep/stays", "goes", "stays", "runs"):
        save(a, name, name.encode() * 20)
    a.annex("lock", "-q", "edited", "deep/renamed", "goes")
    (a.path / "runs").chmod(0o755)
    note(a, "text", b"text\n")
    os.symlink("nowhere", a.path / "link")
    a.git("add", "link")
    a.git("commit", "-q", "-a", "-m", "kinds")
    push(a)
    merged(merging)
    b.annex("get", "-q", ".")
    b.annex("adjust", "-q", "--unlock")
    return a, b


def test_what_was_committed_is_carried_over_to_the_same_commits(
    unlocked: tuple[Repo, Repo], merging: Merging
) -> None:
    b = unlocked[1]
    b.replace("edited", b"edited by b")
    b.replace("text", b"edited text\n")
    b.annex("add", "-q", ".")
    b.config("user.name", "Zo\xeb")
    b.git("commit", "-q", "-a", "-m", "one\n\nits body", "--date=2020-02-02T02:02:02+0200")
    b.git("mv", "deep/renamed", "stays.too")
    b.git("rm", "-q", "goes")
    (b.path / "stays").chmod(0o755)
    b.write("sub/new", b"new")
    b.annex("add", "-q", "sub/new")
    b.git("commit", "-q", "-a", "-m", "two")
    theirs = beside(b)
    theirs.annex("sync", "-q", "--no-pull", "--no-push", "--no-content", "--no-commit")
    before = b.head()

    merged(merging)

    assert refs(b) == refs(theirs)
    assert b.head() != before
    assert b.status() == b""
    assert merging.merge() is Quiet.NOTHING
    b.check()


def test_what_arrives_is_shown_as_git_annex_would_show_it(
    unlocked: tuple[Repo, Repo], merging: Merging
) -> None:
    a, b = unlocked
    a.remove("edited")
    save(a, "edited", b"edited by a")
    save(a, "sub/new", b"new")
    note(a, "text", b"edited text\n")
    a.git("rm", "-q", "goes", "runs")
    a.git("mv", "deep/renamed", "up")
    a.git("commit", "-q", "-m", "changes")
    push(a)
    theirs = beside(b)
    theirs.annex("merge", "-q")

    merged(merging)

    assert refs(b) == refs(theirs)
    assert b.git("ls-files", "-s") == theirs.git("ls-files", "-s")
    assert b.status() == b""
    assert b.read("up") == b"deep/renamed" * 20
    assert merging.merge() is Quiet.NOTHING
    b.annex("get", "-q", "--from", "a")
    assert b.read("edited") == b"edited by a"
    b.check()


def test_git_annex_goes_on_from_there(unlocked: tuple[Repo, Repo], merging: Merging) -> None:
    a, b = unlocked
    note(b, "of b", b"b\n")
    save(a, "of a", b"a")
    push(a)
    merged(merging)
    tip = b.head()

    b.annex("sync", "-q", "--no-content")
    a.annex("sync", "-q", "--no-content")

    assert b.head() == tip
    assert a.head() == b.git("rev-parse", "main").decode().strip()
    b.annex("adjust", "-q", "--unlock")
    assert b.head() == tip
    b.check()


def test_it_waits_for_whoever_changes_the_index(
    unlocked: tuple[Repo, Repo], merging: Merging
) -> None:
    a, b = unlocked
    note(a, "of a", b"a\n")
    push(a)
    before, lock = refs(b), b.path / (".git/index" + os.fsdecode(LOCK))
    lock.touch()

    assert merging.merge() is Quiet.BUSY

    assert refs(b) == before
    lock.unlink()
    merged(merging)
    assert b.read("of a") == b"a\n"


@pytest.mark.parametrize("what", ["another adjustment", "a merge", "ahead"])
def test_the_rest_is_git_annexs(unlocked: tuple[Repo, Repo], desk: Desk, what: str) -> None:
    b = unlocked[1]
    match what:
        case "another adjustment":
            b.git("checkout", "-q", "main")
            b.annex("adjust", "-q", "--hide-missing")
        case "a merge":
            b.git("checkout", "-q", "-b", "side")
            note(b, "of side", b"side\n")
            b.git("checkout", "-q", "adjusted/main(unlocked)")
            b.git("merge", "-q", "--no-ff", "-m", "merged", "side")
        case _:
            b.git("update-ref", "refs/heads/main", b.head())

    assert Adjusting.of(desk, desk.head(), MAIN) is None


def test_of_what_was_committed_meanwhile_nothing_is_lost(
    unlocked: tuple[Repo, Repo], desk: Desk
) -> None:
    """A user commits just when the refs are to move: none of them does."""
    b = unlocked[1]
    note(b, "of b", b"b\n")
    adjusting = Adjusting.of(desk, desk.head(), MAIN)
    assert adjusting is not None
    shown = adjusting.propagated()
    note(b, "of b, later", b"b\n")
    before = refs(b)

    assert not desk.update_refs.move(*shown.moves)

    assert refs(b) == before
    merged(Merging(desk, Footing(desk), nothing))
    assert b.git("show", "main:of b, later") == b"b\n"
