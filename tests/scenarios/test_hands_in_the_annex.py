"""Users who change what is git-annex's by hand, or by its rarer commands, while annexd is at work.

Whatever they do, each content that lay in a work tree when they were done is still to be had.
"""

import hashlib
import os
import shutil
from collections.abc import Callable

import pytest

from tests.daemons import Fleet
from tests.processes import attempt, pause, run, wait_until
from tests.repo import Repo
from tests.scenarios.oracle import History
from tests.synced import synced
from tests.views import digest


def contents(count: int) -> dict[str, bytes]:
    return {f"f{n}.dat": b"%d " % n * (10_000 + n) for n in range(count)}


def written(repo: Repo, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        repo.write(name, content)


def must_be_findable(files: dict[str, bytes], *repos: Repo) -> None:
    """No content is lost, and nothing is damaged."""
    lost = {digest(content) for content in files.values()} - History([*repos], [*repos]).findable()
    assert not lost
    for repo in repos:
        repo.check()


def unannex(repo: Repo) -> None:
    repo.annex("unannex", "-q", "f0.dat")


def migrate(repo: Repo) -> None:
    repo.annex("migrate", "-q", "--backend=SHA256", "f1.dat")


def rekey(repo: Repo) -> None:
    content = repo.read("f2.dat")
    key = f"SHA256-s{len(content)}--{hashlib.sha256(content).hexdigest()}"
    repo.annex("rekey", "-q", "--force", "f2.dat", key)


def reinject(repo: Repo) -> None:
    outside = repo.path.parent / f"outside {repo.path.name}"
    shutil.copyfile(repo.path / "f3.dat", outside)
    repo.annex("drop", "-q", "--force", "f3.dat")
    repo.annex("reinject", "-q", "--known", outside)


def fix(repo: Repo) -> None:
    repo.annex("fix", "-q")


def drop_unused(repo: Repo) -> None:
    repo.write("f4.dat", b"another")
    repo.annex("unused", "-q")
    attempt(["git-annex", "dropunused", "-q", "all"], cwd=repo.path)


def lock_and_unlock(repo: Repo) -> None:
    for verb in ("lock", "unlock", "lock"):
        attempt(["git-annex", verb, "-q", "--force", "f5.dat"], cwd=repo.path)


@pytest.mark.parametrize(
    "command", [unannex, migrate, rekey, reinject, fix, drop_unused, lock_and_unlock]
)
def test_git_annex_s_rarer_commands_lose_nothing(
    pair: tuple[Repo, Repo], fleet: Fleet, command: Callable[[Repo], None]
) -> None:
    a, b = pair
    files = contents(6)
    written(a, files)
    fleet.serve(a, b)
    synced(a, b)

    command(a)
    a.write("after", b"so that there is something to wait for")
    wait_until(lambda: b.exists("after"), 60)

    fleet.settle()
    synced(a, b)
    if command is drop_unused:
        files["f4.dat"] = b"another"
    must_be_findable(files, a, b)
    for name, content in files.items():
        assert a.read(name) == b.read(name) == content


def test_a_user_who_empties_directories_of_the_annex_in_the_middle(
    pair: tuple[Repo, Repo], fleet: Fleet
) -> None:
    """``rm -rf .git/annex/tmp .git/annex/transfer``, and ``git gc --prune=now``, over and over."""
    a, b = pair
    fleet.serve(a, b)
    files: dict[str, bytes] = {}
    for number in range(40):
        repo, other = pair[number % 2], pair[(number + 1) % 2]
        name, content = f"{number}.dat", os.urandom(50_000)
        files[name] = content
        repo.write(name, content)
        pause(0.05)
        for each in ("tmp", "transfer", "othertmp"):
            shutil.rmtree(repo.path / ".git/annex" / each, ignore_errors=True)
            shutil.rmtree(other.path / ".git/annex" / each, ignore_errors=True)
        if number % 4 == 0:
            attempt(["git", "gc", "-q", "--prune=now"], cwd=other.path)

    fleet.settle()
    synced(a, b, within_s=120)
    must_be_findable(files, a, b)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a file immutable")
def test_what_is_immutable_is_left_until_it_is_not(pair: tuple[Repo, Repo], fleet: Fleet) -> None:
    a, b = pair
    files = contents(3)
    written(a, files)
    fleet.serve(a, b)
    synced(a, b)
    if attempt(["chattr", "+i", b.path / "f0.dat"])[0]:
        pytest.skip("no file can be made immutable here")
    try:
        files["f0.dat"] = b"edited over there"
        a.replace("f0.dat", files["f0.dat"])
        a.write("f9.dat", b"other news")
        wait_until(lambda: a.git("log", "--oneline", "--", "f9.dat"))
        pause(3)
    finally:
        run(["chattr", "-i", b.path / "f0.dat"])
    run(["annexd", "poke"], cwd=b.path)
    synced(a, b)
    must_be_findable({**contents(3), **files}, a, b)
    assert b.read("f0.dat") == files["f0.dat"]


@pytest.mark.parametrize("mode", ["u-w", "a+w", "u+rwX,go-rwx"])
def test_a_user_who_changes_the_modes_of_all_objects(
    pair: tuple[Repo, Repo], fleet: Fleet, mode: str
) -> None:
    a, b = pair
    files = contents(4)
    written(a, files)
    fleet.serve(a, b)
    synced(a, b)
    for repo in pair:
        run(["chmod", "-R", mode, repo.path / ".git/annex/objects"])
    try:
        for number, repo in enumerate(pair):
            files[f"f{number}.dat"] = b"edited %d" % number
            repo.replace(f"f{number}.dat", files[f"f{number}.dat"])
            files[f"new{number}"] = b"new %d" % number * 5000
            repo.write(f"new{number}", files[f"new{number}"])
        synced(a, b)
        fleet.settle()
        must_be_findable({**contents(4), **files}, a, b)
    finally:
        for repo in pair:
            run(["chmod", "-R", "u+rwX", repo.path / ".git/annex"])


@pytest.mark.parametrize("pause_s", [0.0, 1.0, 5.0])
def test_an_emptied_work_tree_that_is_checked_out_again_is_as_it_was(
    pair: tuple[Repo, Repo], fleet: Fleet, pause_s: float
) -> None:
    a, b = pair
    files = contents(25)
    written(a, files)
    fleet.serve(a, b)
    synced(a, b)
    head = a.head()

    for name in files:
        a.remove(name)
    pause(pause_s)
    a.git("checkout", "-q", head, "--", ".")

    a.write("after", b"so that there is something to wait for")
    wait_until(lambda: b.exists("after"), 60)
    fleet.settle()
    synced(a, b)
    must_be_findable(files, a, b)
    assert {name: b.read(name) for name in files} == files


def test_stashing_and_popping_what_is_just_being_added(
    pair: tuple[Repo, Repo], fleet: Fleet
) -> None:
    a, b = pair
    written(a, contents(2))
    fleet.serve(a, b)
    synced(a, b)
    files = contents(2)
    for number in range(5):
        files[f"new{number}"] = b"%d" % number * 20_000
        a.write(f"new{number}", files[f"new{number}"])
        a.replace("f0.dat", files.setdefault("f0.dat", b"") + b"%d" % number)
        files["f0.dat"] = a.read("f0.dat")
        pause(0.02 * number)
        attempt(["git", "stash", "-q", "-u"], cwd=a.path)
        pause(0.3)
        # Fails where a file has been committed and is there; then it stays in the stash.
        attempt(["git", "stash", "pop", "-q"], cwd=a.path)
        attempt(["git", "reset", "-q"], cwd=a.path)
    stashed = a.git("stash", "list").splitlines()
    fleet.settle()
    synced(a, b)
    assert stashed or all(a.exists(name) for name in files)
    kept = {name: text for name, text in files.items() if a.holds(name, text)}
    must_be_findable(kept, a, b)


def test_rules_that_a_peer_changes_hold_for_what_comes_with_them(
    pair: tuple[Repo, Repo], fleet: Fleet
) -> None:
    """Attributes, and a filter that only one side has, arrive in one commit with the files."""
    a, b = pair
    written(a, contents(2))
    fleet.serve(a, b)
    synced(a, b)
    run(["annexd", "hold"], cwd=a.path)
    a.write(
        ".gitattributes", b"*.txt annex.largefiles=nothing text eol=crlf\n*.dat filter=none-here\n"
    )
    a.write("t.txt", b"one\r\ntwo\r\n")
    a.write("f0.dat", b"changed " * 5000)
    run(["annexd", "release"], cwd=a.path)

    # Its line ends are not those of its blob, so ``synced`` would find it changed.
    wait_until(lambda: b.holds("t.txt", b"one\r\ntwo\r\n"), 60)
    wait_until(lambda: b.holds("f0.dat", b"changed " * 5000), 60)
    b.write("f1.dat", b"and back " * 5000)
    wait_until(lambda: a.holds("f1.dat", b"and back " * 5000), 60)
    fleet.settle()
    for repo in pair:
        assert not repo.status()
    must_be_findable({"f0.dat": b"changed " * 5000, **contents(2)}, a, b)
