"""``git gc --prune=now``, typed while annexd writes: it takes nothing that a ref is to lead to."""

import os
from pathlib import Path

import pytest

from tests.processes import ANNEXD_SHELL
from tests.pruning import half_pruned, pruning
from tests.repo import Repo
from workers.git.exchange import Update, Way, fetch, push
from workers.git.objectid import ObjectFormat
from workers.git.objects import ObjectWriter
from workers.git.permissions import Sharing
from workers.git.pruning import let_prune, pruner, wait_for
from workers.git.refname import parse_ref_name
from workers.git.stream import ObjectId
from workers.pusher.peer import look

PRUNE = ("prune", "--expire=now")
REPACK = ("repack", "-a", "-d", "-q")


@pytest.fixture
def plain(tmp_path: Path) -> Repo:
    return Repo.plain(tmp_path / "repo")


def writer(repo: Repo) -> ObjectWriter:
    return ObjectWriter(repo.plumbing, ObjectFormat.SHA1, Sharing.parse(None), b"test")


def publish(repo: Repo, made: ObjectWriter) -> ObjectId:
    blob = made.add(b"blob", b"content")
    made.stage()
    made.publish()
    assert exists(repo, blob)
    return blob


def refer(repo: Repo, oid: ObjectId) -> None:
    repo.git("update-ref", "refs/annexd/test", oid)


def exists(repo: Repo, oid: ObjectId) -> bool:
    return oid.encode() in repo.git("cat-file", "--batch-all-objects", "--batch-check")


def keeps(repo: Repo) -> list[Path]:
    return list((repo.path / ".git/objects/pack").glob("*.keep"))


def test_only_a_gc_that_spares_nothing_counts(plain: Repo) -> None:
    common = plain.path / ".git"
    assert pruner(common) is None
    with pruning(plain):
        assert pruner(common) is None
    with pruning(plain, "--prune=now") as pid:
        assert pruner(common) == pid
        wait_for(pid, 0.01)
    (common / "gc.pid").write_text(f"{pid} {os.uname().nodename}")
    assert pruner(common) is None
    wait_for(pid, 10)


def test_a_gc_whose_configuration_spares_nothing_counts(plain: Repo) -> None:
    common = plain.path / ".git"
    with pruning(plain, "-c", "gc.pruneExpire=now") as pid:
        assert pruner(common) == pid
    plain.config("gc.pruneExpire", "now")
    with pruning(plain, "--auto") as pid:
        assert pruner(common) == pid
    with pruning(plain, "--prune=2.weeks.ago"):
        assert pruner(common) is None


@pytest.mark.parametrize("way", ["fetch", "push", "shell"])
def test_what_git_receives_meanwhile_is_guarded(plain: Repo, tmp_path: Path, way: str) -> None:
    """It looks before the refs have moved, and takes what has come after that."""
    there = Repo.plain(tmp_path / "there")
    plain.git("commit", "-q", "--allow-empty", "-m", "start")
    there.git("pull", "-q", plain.path)
    plain.write("file", b"content")
    plain.git("add", "file")
    plain.git("commit", "-qm", "news")
    head, ref = ObjectId(plain.head()), parse_ref_name(b"refs/heads/news")
    hook = b'#!/bin/sh\ntest "$1" != prepared || { git repack -adq; git prune --expire=now; }\n'
    there.write(".git/hooks/reference-transaction", hook).chmod(0o755)

    with pruning(there, "--prune=now"):
        if way == "fetch":
            there.git("remote", "add", "plain", plain.path)
            fetch(there.plumbing, Way("plain"), b"%b:%b" % (head.encode(), ref))
        else:
            plain.git("remote", "add", "there", there.path)
            peer = look(there.path, plain.path)
            assert peer is not None
            command = peer.receive_pack() if way == "push" else f"{ANNEXD_SHELL} git-receive-pack"
            push(plain.plumbing, Way("there", receive_pack=command), [Update(head, ref)])

    (there.path / ".git/hooks/reference-transaction").unlink()
    there.git("fsck", "--connectivity-only")
    assert there.git("rev-parse", "news").decode().strip() == head


def test_what_has_been_taken_is_written_again(plain: Repo) -> None:
    made = writer(plain)
    blob = publish(plain, made)
    refer(plain, blob)
    (plain.path / ".git/objects" / blob[:2] / blob[2:]).unlink()  # it looked before that

    made.secure()

    assert exists(plain, blob)
    assert not keeps(plain)


def test_what_may_yet_be_taken_is_written_as_a_pack(plain: Repo) -> None:
    made = writer(plain)
    blob = publish(plain, made)
    refer(plain, blob)
    with pruning(plain, "--prune=now"):
        made.secure()
        (plain.path / ".git/objects" / blob[:2] / blob[2:]).unlink()

    assert exists(plain, blob)
    assert not keeps(plain)


def test_while_it_is_at_work_all_is_guarded(plain: Repo) -> None:
    made = writer(plain)
    with pruning(plain, "--prune=now"):
        blob = publish(plain, made)
        plain.git(*REPACK)
        plain.git(*PRUNE)
        assert exists(plain, blob)
        refer(plain, blob)
        made.secure()
    assert not keeps(plain)


def test_a_pack_is_no_pack_that_a_gc_has_seen_unguarded(plain: Repo) -> None:
    """One of an attempt that failed, with the same objects: it would be removed by its name."""
    packs = plain.path / ".git/objects/pack"
    with pruning(plain, "--prune=now"):
        made = writer(plain)
        publish(plain, made)
        made.secure()
        seen = list(packs.iterdir())

        made = writer(plain)
        blob = publish(plain, made)
        for path in seen:
            path.unlink()
        refer(plain, blob)
        made.secure()

    assert exists(plain, blob)
    plain.git("fsck", "--strict")


def test_a_guard_that_a_killed_process_left_is_removed(plain: Repo) -> None:
    with pruning(plain, "--prune=now"):
        publish(plain, writer(plain))
    (plain.path / ".git/objects/pack/pack-x.keep").write_bytes(b"annexd-test2")
    assert len(keeps(plain)) == 2

    writer(plain).sweep()

    assert [path.name for path in keeps(plain)] == ["pack-x.keep"]


@pytest.mark.parametrize("when", ["before it", "meanwhile"])
def test_git_prune_takes_nothing_that_a_ref_leads_to_by_then(plain: Repo, when: str) -> None:
    """A user's, by hand, as git itself says: too many unreachable loose objects; run 'git prune'.

    Observed: it took commits and trees of both branches, and nothing was synced any more.
    """
    plain.git("commit", "-q", "--allow-empty", "-m", "start")
    made = writer(plain)
    blob = publish(plain, made) if when == "before it" else None
    with half_pruned(plain) as pid:
        assert pruner(plain.path / ".git") == pid
        blob = blob or publish(plain, made)
        refer(plain, blob)
        made.secure()

    assert exists(plain, blob)
    assert not keeps(plain)


def test_git_prune_elsewhere_is_none_of_our_business(plain: Repo, tmp_path: Path) -> None:
    there = Repo.plain(tmp_path / "there")
    there.git("commit", "-q", "--allow-empty", "-m", "start")
    with half_pruned(there):
        assert pruner(plain.path / ".git") is None
    with half_pruned(there, f"--git-dir={there.path}/.git") as pid:
        assert pruner(plain.path / ".git") == pid  # for all that can be seen


def test_git_prune_that_spares_what_is_new_is_let_be(plain: Repo) -> None:
    with pruning(plain, "--prune=2.weeks.ago"):
        assert pruner(plain.path / ".git") is None


def test_a_gc_that_nobody_has_seen_at_work_is_noticed_when_it_has_ended(plain: Repo) -> None:
    common = plain.path / ".git"
    before = let_prune(common)
    assert let_prune(common) == before

    plain.git("gc", "--prune=now", "-q")

    assert let_prune(common) != before
