"""What somebody has just saved beside an assistant is committed there before ours is pushed."""

from collections.abc import Callable, Iterator

import pytest

from tests.merging.steps import push
from tests.processes import stays, wait_until
from tests.pushing import has, pushing, tip
from tests.repo import Repo
from tests.scanning import lock_held
from workers.annex.repository import find
from workers.git.stream import ObjectId
from workers.pusher import peer
from workers.pusher.unsaved import LONGEST_S, UNTOLD_S, Unsaved
from workers.pusher.values import Ours, own

NOW = 1000.0


@pytest.fixture(autouse=True)
def assistant(pair: tuple[Repo, Repo]) -> Iterator[None]:
    """It runs in ``b``, as far as anybody can see."""
    with lock_held(pair[1].path / ".git/annex/daemon.pid"):
        yield


def both_have(a: Repo, b: Repo) -> None:
    """A file of each kind, committed in both; then ``a`` changes all of them, and adds one."""
    a.write("text", b"first")
    a.write("beside", b"first")
    a.write(".gitignore", b"*.log\n")
    a.git("add", "text", "beside", ".gitignore")
    for name, unlocked in (("annexed", "true"), ("locked", "false")):
        a.git("-c", f"annex.addunlocked={unlocked}", "annex", "add", "-q", str(a.write(name, b"1")))
    a.git("commit", "-qm", "first")
    push(a)
    b.git("merge", "-q", "synced/main")
    b.annex("get", "-q", ".")
    for name in ("text", "annexed", "locked"):
        a.replace(name, b"changed")
    a.write("new", b"new")
    a.git("add", ".")
    a.git("commit", "-qm", "changed")


def held(a: Repo, b: Repo, now: float = NOW, unsaved: Unsaved | None = None) -> bool:
    """Whether ``a`` would not push to ``b`` at that moment."""
    here = find(a.path)
    there = peer.look(b.path, here.common)
    assert there is not None
    ours = Ours(b"main", ObjectId(a.head()), None)
    theirs = {own(b"main"): ObjectId(b.head())}
    return (unsaved or Unsaved(here)).push_at(ours, theirs, there, now) > now


def directory(b: Repo) -> None:
    """One in a file's place."""
    b.remove("text")
    b.write("text/file", b"inside")


def same(b: Repo) -> None:
    """What was there, in files of their own."""
    b.replace("text", b"first")
    b.replace("annexed", b"1")


SAVES: dict[str, Callable[[Repo], object]] = {
    "text": lambda b: b.write("text", b"saved"),
    "annexed": lambda b: b.write("annexed", b"2"),
    "locked": lambda b: b.replace("locked", b"2"),
    "new": lambda b: b.write("new", b"another"),
    "deleted": lambda b: b.remove("text"),
    "a directory": directory,
    "new beside ours": lambda b: b.write("d/other", b"saved"),
    "deleted beside ours": lambda b: b.remove("beside"),
    "beside ours": lambda b: b.write("beside", b"saved"),
    "staged": lambda b: (b.write("text", b"saved"), b.git("add", "text")),
}


@pytest.mark.parametrize("save", SAVES.values(), ids=SAVES.keys())
def test_what_is_saved_where_we_would_change_it_comes_first(
    pair: tuple[Repo, Repo], save: Callable[[Repo], object]
) -> None:
    a, b = pair
    both_have(a, b)
    assert not held(a, b)

    save(b)

    assert held(a, b)


NOTHING: dict[str, Callable[[Repo], object]] = {
    "ignored": lambda b: b.write("other.log", b"saved"),
    "another repository": lambda b: Repo.plain(b.path / "inner").write("file", b"saved"),
    "emptied of content": lambda b: b.annex("drop", "-q", "--force", "annexed"),
    "committed": lambda b: (b.write("text", b"saved"), b.git("commit", "-qam", "saved")),
}


@pytest.mark.parametrize("do", NOTHING.values(), ids=NOTHING.keys())
def test_nothing_else_is_waited_for(pair: tuple[Repo, Repo], do: Callable[[Repo], object]) -> None:
    a, b = pair
    both_have(a, b)

    do(b)

    assert not held(a, b)


def test_what_is_never_committed_is_not_waited_for_long(pair: tuple[Repo, Repo]) -> None:
    a, b = pair
    both_have(a, b)
    b.write("text", b"saved")
    unsaved = Unsaved(find(a.path))

    assert held(a, b, NOW, unsaved)
    assert not held(a, b, NOW + LONGEST_S, unsaved)


def test_what_git_has_not_been_told_of_is_waited_for_less_long(pair: tuple[Repo, Repo]) -> None:
    """Git over there would not merge, and the assistant would commit what was there before."""
    a, b = pair
    both_have(a, b)
    same(b)
    unsaved = Unsaved(find(a.path))

    assert held(a, b, NOW, unsaved)
    assert not held(a, b, NOW + UNTOLD_S, unsaved)


def test_where_no_branch_is_checked_out_nothing_is_waited_for(pair: tuple[Repo, Repo]) -> None:
    """In the middle of a rebase."""
    a, b = pair
    both_have(a, b)
    b.write("text", b"saved")
    here = find(a.path)
    there = peer.look(b.path, here.common)
    assert there is not None

    assert Unsaved(here).push_at(Ours(None, None, None), {}, there, NOW) == NOW


def test_what_it_commits_is_fetched_and_ours_not_pushed_before(
    pair: tuple[Repo, Repo],
) -> None:
    a, b = pair
    both_have(a, b)
    b.write("text", b"saved")
    with pushing(a):
        stays(lambda: tip(b, "heads/synced/main") != a.head(), 2)

        b.git("commit", "-qam", "git-annex in b")

        wait_until(has(a, "remotes/b/main", b.head()), LONGEST_S / 2)
        stays(lambda: tip(b, "heads/synced/main") != a.head(), 2)
