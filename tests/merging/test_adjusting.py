"""An unlocked adjusted branch is made as git-annex makes it, and users' commands do not notice."""

import os
import shutil

import pytest

from tests.desks import nothing
from tests.merging.steps import merged, note, push, save
from tests.repo import Repo
from workers.git.index_install import LOCK
from workers.git.refname import RefName
from workers.watcher.adjusting import Adjusting
from workers.watcher.desk import Desk
from workers.watcher.footing import Footing
from workers.watcher.merging import Merging
from workers.watcher.outcome import Quiet
from workers.watcher.readjusting import Readjusting

MAIN = RefName(b"refs/heads/main")
KINDS = {
    "unlocked": ("--unlock",),
    "locked": ("--lock",),
    "unlockpresent": ("--unlock-present",),
    "hidemissing": ("--hide-missing",),
    "hidemissing-unlocked": ("--hide-missing", "--unlock"),
    "hidemissing-locked": ("--hide-missing", "--lock"),
}
REFS = ("refs/heads/main", "refs/heads/adjusted", "refs/basis")


def refs(repo: Repo) -> bytes:
    return repo.git("for-each-ref", *REFS)


def beside(repo: Repo) -> Repo:
    """A copy, in which git-annex does it."""
    copy = repo.path.parent / f"{repo.path.name} by git-annex"
    shutil.copytree(repo.path, copy, symlinks=True)
    return Repo(copy)


def make_kinds(pair: tuple[Repo, Repo], merging: Merging) -> None:
    """``b`` gets files of all kinds, and the contents of most."""
    a, b = pair
    for name in ("edited", "deep/renamed", "deep/stays", "goes", "stays", "runs", "away", "gone"):
        save(a, name, name.encode() * 20)
    (a.path / "runs").chmod(0o755)
    a.annex("lock", "-q", "edited", "deep/renamed", "goes", "away")
    note(a, "text", b"text\n")
    os.symlink("nowhere", a.path / "link")
    a.git("add", "link")
    a.git("commit", "-q", "-a", "-m", "kinds")
    push(a)
    merged(merging)
    b.annex("get", "-q", ".")
    b.annex("drop", "-q", "--force", "away", "gone")


@pytest.fixture
def unlocked(pair: tuple[Repo, Repo], merging: Merging) -> tuple[Repo, Repo]:
    """``b`` is on the adjusted branch."""
    make_kinds(pair, merging)
    pair[1].annex("adjust", "-q", "--unlock")
    return pair


@pytest.fixture(params=KINDS)
def adjusted(
    pair: tuple[Repo, Repo], merging: Merging, request: pytest.FixtureRequest
) -> tuple[Repo, Repo]:
    """``b`` is on an adjusted branch of each kind."""
    make_kinds(pair, merging)
    pair[1].annex("adjust", "-q", *KINDS[request.param])
    return pair


def test_what_was_committed_is_carried_over_to_the_same_commits(
    adjusted: tuple[Repo, Repo], merging: Merging
) -> None:
    b = adjusted[1]
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
    adjusted: tuple[Repo, Repo], merging: Merging, desk: Desk
) -> None:
    a, b = adjusted
    a.remove("edited")
    save(a, "edited", b"edited by a")
    save(a, "new", b"new")
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
    b.annex("get", "-q", "--key", a.key("edited"), "--from", "a")
    Readjusting(desk, nothing).resume()
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


def test_where_nothing_was_amended_nothing_is_carried_over(
    unlocked: tuple[Repo, Repo], merging: Merging
) -> None:
    """Another version of git-annex may have made the tip in another way."""
    b = unlocked[1]
    main, tip = b.git("rev-parse", "main"), b.head()
    b.git("-c", "user.name=Another", "commit", "-q", "--amend", "--no-edit", "--date=now")
    assert b.head() != tip

    merged(merging)

    assert b.git("rev-parse", "main") == main
    assert b.head() == tip


@pytest.mark.parametrize("message", [(), ("-m", "better")])
def test_what_was_amended_is_carried_over(
    adjusted: tuple[Repo, Repo], merging: Merging, message: tuple[str, ...]
) -> None:
    """Once a commit is carried over, what a user amends is git-annex's own one."""
    b = adjusted[1]
    note(b, "new", b"new\n")
    merged(merging)
    before = b.git("ls-tree", "-r", "main")
    b.write("text", b"edited text\n")
    b.config("user.name", "Another")  # or in another second
    b.git("commit", "-q", "-a", "--amend", *(message or ("--no-edit",)))

    merged(merging)

    assert b.git("show", "main:text") == b"edited text\n"
    assert b.git("diff", "--name-only", "main~", "main") == b"text\n"
    assert len(b.git("ls-tree", "-r", "main").splitlines()) == len(before.splitlines())
    said = b.git("show", "-s", "--format=%s", "main").decode().strip()
    assert said == (message[1] if message else "git commit --amend")
    assert b.git("show", "-s", "--format=%s", "HEAD").strip() == b"git-annex adjusted branch"
    assert b.status() == b""
    assert merging.merge() is Quiet.NOTHING


@pytest.mark.parametrize("times", [1, 2])
def test_what_has_come_since_it_was_amended_is_not_deleted(
    pair: tuple[Repo, Repo], merging: Merging, times: int
) -> None:
    a, b = pair
    key = a.add("hidden", b"hidden").decode()
    note(a, "text", b"text\n")
    push(a)
    merged(merging)
    b.annex("adjust", "-q", "--hide-missing")
    b.config("user.name", "Another")
    for time in range(times):
        b.write("text", b"edited %d\n" % time)
        b.git("commit", "-q", "-a", "--amend", "-m", f"edited {time}")
    b.annex("get", "-q", "--key", key, "--from", "a")

    merged(merging)

    assert b.git("ls-tree", "--name-only", "main") == b"hidden\ntext\n"
    assert b.git("show", "main:text") == b"edited %d\n" % (times - 1)


def test_what_has_come_and_gone_is_shown_as_git_annex_would_show_it(
    adjusted: tuple[Repo, Repo], desk: Desk
) -> None:
    b = adjusted[1]
    keys = {name: adjusted[0].key(name) for name in ("away", "goes", "stays")}
    b.annex("get", "-q", "--key", keys["away"], "--from", "a")
    for name in ("goes", "stays"):
        b.annex("drop", "-q", "--force", "--key", keys[name])
    theirs = beside(b)
    theirs.annex("sync", "-q", "--no-pull", "--no-push", "--no-content", "--no-commit")
    desk.reload()

    readjusting = Readjusting(desk, nothing)
    readjusting.resume()

    assert refs(b) == refs(theirs)
    assert b.git("ls-files", "-s") == theirs.git("ls-files", "-s")
    assert b.status() == b""
    before = refs(b)
    readjusting.resume()
    assert refs(b) == before
    b.check()


@pytest.mark.parametrize("what", ["file", "directory", "below"])
def test_what_is_hidden_gets_another_name_where_its_own_is_used(
    pair: tuple[Repo, Repo], merging: Merging, what: str
) -> None:
    """Nobody could see it; and it is others' file."""
    a, b = pair
    old = "d/one" if what == "directory" else "d"
    new = "d/of b" if what == "below" else "d"
    save(a, old, b"of a")
    push(a)
    merged(merging)
    b.annex("adjust", "-q", "--hide-missing")
    note(b, new, b"of b\n")

    merged(merging)

    listed = b.git("ls-tree", "-r", "--name-only", "main").decode().split("\n")
    (moved,) = (name for name in listed if ".variant-" in name)
    assert moved.startswith("d.variant-")
    assert moved.endswith("/one") == (what == "directory")
    assert b.git("show", f"main:{moved}") == a.git("show", f"main:{old}")
    assert b.git("ls-files").decode() == new + "\n"
    assert b.status() == b""


@pytest.mark.parametrize("what", ["another adjustment", "a merge", "ahead"])
def test_the_rest_is_git_annexs(unlocked: tuple[Repo, Repo], desk: Desk, what: str) -> None:
    b = unlocked[1]
    match what:
        case "another adjustment":
            b.git("checkout", "-q", "main")
            b.annex("adjust", "-q", "--fix")
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
