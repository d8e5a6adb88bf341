"""What is not merged: mass deletions, trees that lead elsewhere, histories of others."""

import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.desks import nothing, paths
from tests.merging.steps import follows, merged, note, push
from tests.repo import Repo
from workers import massdeletion
from workers.git.index_entry import Entry
from workers.git.index_racy import Staged
from workers.losses import answer_for
from workers.watcher.agenda import Agenda
from workers.watcher.apply import Dirty
from workers.watcher.committing import Committing
from workers.watcher.desk import Desk
from workers.watcher.finding import Finding
from workers.watcher.footing import Footing
from workers.watcher.guard import Guard
from workers.watcher.merging import Merging
from workers.watcher.outcome import Held


def test_a_link_does_not_lead_out_of_the_repository(
    pair: tuple[Repo, Repo], merging: Merging, tmp_path: Path
) -> None:
    a, b = pair
    outside = tmp_path / "outside"
    outside.mkdir()
    note(a, "d/f", b"f")
    push(a)
    (b.path / "d").symlink_to(outside)

    assert merging.merge() == Dirty((b"d",))

    assert not list(outside.iterdir())


@pytest.mark.parametrize(
    "path", [".git/pwned", ".GIT/pwned", "sub/.git/pwned", "git~1/pwned", "../pwned", ".git"]
)
def test_a_peers_tree_that_git_would_not_check_out_writes_nothing(
    pair: tuple[Repo, Repo], merging: Merging, path: str
) -> None:
    """CVE-2014-9390 and its like: git checks names at a checkout, which nobody does here."""
    a, b = pair
    note(a, "honest", b"honest")
    mode, oid = b"100644", a.git("hash-object", "-w", "--stdin", stdin=b"pwned").strip()
    for name in reversed(path.split("/")):
        oid = literal_tree(a, mode, name.encode(), oid)
        mode = b"40000"
    commit = a.git("commit-tree", oid.decode(), "-p", "HEAD", "-m", "hostile").strip().decode()
    a.git("update-ref", "refs/heads/main", commit)
    push(a)
    before = set(b.path.parent.rglob("*pwned*"))

    outcome = merging.merge()

    assert isinstance(outcome, Held), outcome
    assert set(b.path.parent.rglob("*pwned*")) == before
    assert (b.path / ".git/HEAD").exists()


@pytest.mark.parametrize("second", ["file", "directory"])
def test_a_tree_with_one_name_twice_is_held(
    pair: tuple[Repo, Repo], merging: Merging, second: str
) -> None:
    """As a peer may make it by hand, for who writes through the link into the directory."""
    a, b = pair
    target, file = (
        bytes.fromhex(a.git("hash-object", "-w", "--stdin", stdin=text).decode())
        for text in (b"/tmp", b"pwned")
    )
    below = b"100644 pwned\0" + file
    inner = a.git("hash-object", "-t", "tree", "-w", "--stdin", stdin=below).decode()
    entries = {
        "file": b"100644 d\0" + file,
        "directory": b"40000 d\0" + bytes.fromhex(inner),
    }
    data = b"120000 d\0" + target + entries[second]
    making = ("hash-object", "-t", "tree", "-w", "--literally", "--stdin")
    tree = a.git(*making, stdin=data).decode().strip()
    commit = a.git("commit-tree", tree, "-p", "HEAD", "-m", "hostile").decode().strip()
    a.git("update-ref", "refs/heads/main", commit)
    push(a)

    outcome = merging.merge()

    assert isinstance(outcome, Held), outcome
    assert not b.exists("d")


def literal_tree(repo: Repo, mode: bytes, name: bytes, oid: bytes) -> bytes:
    """A tree with one entry of whatever name, which ``git mktree`` would not make."""
    data = b"%b %b\0%b" % (mode, name, bytes.fromhex(oid.decode()))
    return repo.git("hash-object", "-t", "tree", "-w", "--literally", "--stdin", stdin=data).strip()


def test_what_cannot_be_looked_into_is_held(
    pair: tuple[Repo, Repo], merging: Merging, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another user's directory, where a file is to be: the watcher crashed, again and again."""
    a, b = pair
    note(a, "d", b"a file")
    push(a)
    b.write("d/theirs", b"a directory")

    scandir = os.scandir

    def refuse(path: bytes) -> Iterator[os.DirEntry[bytes]]:
        if path == os.fsencode(b.path / "d"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return scandir(path)

    with monkeypatch.context() as forbidden:
        forbidden.setattr(os, "scandir", refuse)
        outcome = merging.merge()

    assert isinstance(outcome, Held), outcome
    assert outcome.passing
    assert b.read("d/theirs") == b"a directory"


def test_another_repository_is_not_written_into(pair: tuple[Repo, Repo], merging: Merging) -> None:
    a, b = pair
    note(a, "d/f", b"f")
    push(a)
    Repo.plain(b.path / "d")

    assert isinstance(merging.merge(), Held)

    assert not b.exists("d/f")


def test_many_deletions_are_held_until_they_are_accepted(
    pair: tuple[Repo, Repo], merging: Merging
) -> None:
    a, b = pair
    for number in range(30):
        a.write(f"{number}", b"%d" % number)
    a.annex("add", "-q", ".")
    a.git("commit", "-qm", "many")
    push(a)
    merged(merging)
    a.git("rm", "-q", "*")
    a.git("commit", "-qm", "none")
    push(a)

    assert isinstance(merging.merge(), Held)
    assert len(paths(b)) == 30
    merging.accept()
    merged(merging)

    assert not paths(b)


def test_who_accepts_when_nothing_is_held_does_not_accept_what_comes_a_day_later(
    pair: tuple[Repo, Repo], merging: Merging, many: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = pair
    monkeypatch.setattr(massdeletion, "CONSENT_S", 0.0)
    merging.accept()
    a.git("rm", "-q", "-r", "locked")
    a.git("commit", "-qm", "none")
    push(a)

    assert isinstance(merging.merge(), Held)
    assert len(paths(b)) == len(many)


@pytest.fixture
def many(pair: tuple[Repo, Repo], merging: Merging) -> list[str]:
    """Thirty locked files that both have."""
    a, _ = pair
    names = [f"locked/{number}" for number in range(30)]
    for name in names:
        a.write(name, name.encode())
    a.annex("add", "-q", ".")
    a.git("commit", "-qm", "many")
    push(a)
    merged(merging)
    return names


def test_moved_links_are_not_taken_for_deleted(
    pair: tuple[Repo, Repo], merging: Merging, many: list[str]
) -> None:
    """Deeper down they are other links."""
    a, b = pair
    (a.path / "deeper").mkdir()
    a.git("mv", "locked", "deeper/down")
    a.annex("fix", "-q")
    a.git("rm", "-qf", "deeper/down/3")
    a.git("commit", "-qam", "moved")
    push(a)

    merged(merging)

    follows(a, b)
    assert len(paths(b)) == len(many) - 1


def test_few_deletions_again_and_again_are_no_mass_deletion(
    pair: tuple[Repo, Repo], merging: Merging, many: list[str]
) -> None:
    """Somebody who was away for a week gets them all at once."""
    a, b = pair
    for number in range(0, len(many), 10):
        a.git("rm", "-q", *many[number : number + 10])
        a.git("commit", "-qm", "ten less")
    push(a)

    merged(merging)

    assert not paths(b)


def test_deletions_that_another_annexd_answers_for_are_merged(
    pair: tuple[Repo, Repo], merging: Merging, many: list[str]
) -> None:
    a, b = pair
    a.git("rm", "-q", *many)
    a.git("commit", "-qm", "none" + answer_for(len(many), 0).decode())
    push(a)

    merged(merging)

    assert not paths(b)


def test_a_merge_of_a_peers_that_loses_files_is_held(
    pair: tuple[Repo, Repo], merging: Merging, many: list[str]
) -> None:
    """RT-05: neither of its parents has deleted anything."""
    a, b = pair
    a.git("branch", "other")
    note(a, "one", b"one")
    a.git("checkout", "-q", "other")
    note(a, "other", b"other")
    a.git("checkout", "-q", "main")
    a.git("merge", "-q", "--no-commit", "other")
    a.git("rm", "-qr", "locked")
    a.git("commit", "-qm", "merge")
    push(a)

    assert isinstance(merging.merge(), Held)
    assert len(paths(b)) == len(many)


def test_what_is_found_anew_is_not_held_any_more(desk: Desk) -> None:
    """A name that was missing among many, and then turns out to have been changed."""
    committing = Committing(desk, Agenda(), Guard(desk), Footing(desk))
    committing.held[b"name"] = Finding(b"name", None, None)

    committing.add([Finding(b"name", None, None, is_rename=True)], time.monotonic())

    assert not committing.held
    assert len(committing) == 1


@pytest.fixture
def committing(pair: tuple[Repo, Repo], desk: Desk) -> Committing:
    """Of a repository with files ``00`` to ``99``."""
    _a, b = pair
    for number in range(100):
        b.write(f"{number:02}", b"%d" % number)
    b.git("-c", "annex.largefiles=nothing", "add", ".")
    b.git("commit", "-qm", "many")
    desk.take_rewritten()
    return Committing(desk, Agenda(), Guard(desk), Footing(desk))


def delete(committing: Committing, b: Repo, numbers: range) -> int:
    """Have it commit that these are gone; how many it holds then."""
    names = [f"{number:02}" for number in numbers]
    for name in names:
        b.remove(name)
    now = time.monotonic()
    committing.add((Finding(name.encode(), None, None) for name in names), now)
    committing.commit(now)
    return len(committing.held)


def test_what_goes_on_being_deleted_while_somebody_accepts_is_not_held_again(
    pair: tuple[Repo, Repo], committing: Committing
) -> None:
    _a, b = pair
    assert delete(committing, b, range(40)) == 40
    committing.accept()

    assert delete(committing, b, range(40, 50)) == 0
    assert delete(committing, b, range(50, 90)) == 0

    assert not {f"{number:02}".encode() for number in range(90)} & set(b.tree())


def test_who_accepts_too_early_by_a_day_accepts_nothing(
    pair: tuple[Repo, Repo], committing: Committing, monkeypatch: pytest.MonkeyPatch
) -> None:
    _a, b = pair
    monkeypatch.setattr(massdeletion, "CONSENT_S", 0.0)
    committing.accept()

    assert delete(committing, b, range(40)) == 40


def test_one_more_file_deleted_a_minute_after_many_is_not_held(
    pair: tuple[Repo, Repo], committing: Committing, monkeypatch: pytest.MonkeyPatch
) -> None:
    _a, b = pair
    monkeypatch.setattr(massdeletion, "CONSENT_S", 0.0)
    assert delete(committing, b, range(80)) == 80
    committing.accept()
    committing.commit(time.monotonic())

    assert delete(committing, b, range(80, 81)) == 0


@pytest.mark.parametrize(("taken_out", "held"), [(8, 0), (32, 72)])
def test_who_moves_a_directory_and_then_takes_a_part_of_it_out(
    pair: tuple[Repo, Repo], desk: Desk, taken_out: int, held: int
) -> None:
    """What he has moved is not gone: few are, though fewer were added than names are missing."""
    _a, b = pair
    names = [f"{number:02}" for number in range(40)]
    for directory in ("old", "new"):
        for name in names:
            b.write(f"{directory}/{name}", name.encode())
    b.git("-c", "annex.largefiles=nothing", "add", "old", "new")
    b.git("commit", "-qm", "both")
    index = desk.index()
    came = [_found(desk, entry) for entry in index if entry.path.startswith(b"new/")]
    b.git("rm", "-q", "--cached", "-r", "new")
    b.git("commit", "-qm", "only the old one")
    desk.take_rewritten()
    committing = Committing(desk, Agenda(), Guard(desk), Footing(desk))
    now = time.monotonic()
    committing.add(came, now)
    assert committing.commit(now) is not None

    for name in names[:taken_out]:
        b.remove(f"new/{name}")
    gone = [f"old/{name}" for name in names] + [f"new/{name}" for name in names[:taken_out]]
    for name in names:
        b.remove(f"old/{name}")
    committing.add((Finding(name.encode(), None, None) for name in gone), now)
    committing.commit(now)

    assert len(committing.held) == held


def _found(desk: Desk, entry: Entry) -> Finding:
    """A file as the watcher has found it."""
    staged = Staged(entry.mode, entry.oid, entry.stat, time.time_ns())
    return Finding(entry.path, staged, desk.lstat(entry.path))


def test_unrelated_histories_are_held(
    pair: tuple[Repo, Repo], merging: Merging, desk: Desk, tmp_path: Path
) -> None:
    _, b = pair
    stranger = Repo.create(tmp_path / "stranger")
    note(stranger, "strange", b"strange")
    stranger.git("push", "-q", b.path, "main:synced/main")

    assert isinstance(merging.merge(), Held)
    assert not b.exists("strange")
    b.config("annexd.allow-unrelated", "true")
    desk.reload()
    merged(merging)

    assert b.exists("strange")


def test_deletions_that_a_user_has_come_between_are_not_his(
    pair: tuple[Repo, Repo], desk: Desk
) -> None:
    a, b = pair
    files = {b"%d" % number for number in range(30)}
    for name in (*files, b"edited"):
        a.write(name.decode(), name)
    a.git("-c", "annex.largefiles=nothing", "add", ".")
    a.git("commit", "-qm", "many")
    push(a)
    footing = Footing(desk)
    merged(Merging(desk, footing, nothing))
    a.git("rm", "-q", "[0-9]*")
    note(a, "edited", b"by them")
    push(a)

    def edit() -> None:
        b.write("edited", b"by the user, while the merge runs")

    interrupted = Merging(desk, footing, edit)
    interrupted.accept()
    outcome = interrupted.merge()

    assert isinstance(outcome, Dirty)
    assert outcome.deleted == files
    for foreseen, held in ((False, 30), (True, 0)):
        committing = Committing(desk, Agenda(), Guard(desk), footing)
        committing.foresee(outcome.deleted if foreseen else ())
        now = time.monotonic()
        committing.add((Finding(path, None, None) for path in sorted(files)), now)
        committing.commit(now)
        assert len(committing.held) == held
    assert b.tree().keys() == {b"edited"}
