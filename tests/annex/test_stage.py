"""What was found is committed, although users and peers come in between."""

import os
import time
from pathlib import Path

import pytest

from spool.key import Key
from tests.annex.logs import logged
from tests.desks import desk_of
from tests.processes import run
from tests.pruning import half_pruned, pruning
from tests.repo import Repo
from tests.spool import some_key
from workers.git.commit import Signature
from workers.git.index_entry import FILE, StatData
from workers.git.index_racy import Staged
from workers.git.stream import ObjectId
from workers.watcher.desk import Desk
from workers.watcher.finding import Finding
from workers.watcher.footing import Footing
from workers.watcher.maker import is_made_by_annexd
from workers.watcher.stage import Outcome, Stage, Staging

WHO = Signature(b"A U Thor", b"author@example.com", 1_700_000_000)


def found(desk: Desk, name: str) -> Finding:
    """A file as it is found, to be kept in git."""
    full = desk.full(os.fsencode(name))
    with open(full, "rb") as file:
        oid = desk.commits.blob(file.read())
    st = os.lstat(full)
    return Finding(os.fsencode(name), Staged(FILE, oid, StatData.of(st), time.time_ns()), st)


def test_what_git_has_pruned_before_it_is_committed_is_looked_at_again(repo: Repo) -> None:
    """A merge comes first, and with it all blobs are written; nothing leads to them yet."""
    repo.git("commit", "-q", "--allow-empty", "-m", "start")
    repo.write("kept", b"kept")
    repo.write("lost", b"lost")
    with desk_of(repo) as desk:
        stage = Stage(desk, Footing(desk))
        first = found(desk, "lost")
        merge = desk.commits.tree_of("HEAD")
        desk.commits.commit(merge, (), author=WHO, committer=WHO, message=b"merge")
        desk.commits.release()
        repo.git("gc", "-q", "--prune=now")

        again = Staging([first, found(desk, "kept")])
        assert stage.commit(again) is Outcome.DONE
        assert again.outdated == [b"lost"]
        assert stage.commit(Staging([found(desk, "lost")])) is Outcome.DONE

    assert set(repo.tree()) == {b"kept", b"lost"}
    assert is_made_by_annexd(repo.git("cat-file", "commit", "HEAD"))
    repo.check()


def test_files_are_committed_though_git_has_lost_the_git_annex_branch(
    repo: Repo, caplog: pytest.LogCaptureFixture
) -> None:
    """After a power cut, say: git-annex syncs nothing.  Where the contents are is said later."""
    repo.write("file", b"content")
    tip = repo.annex_tip()
    kept = repo.path / ".git/lost"
    (repo.path / ".git/objects" / tip[:2] / tip[2:]).rename(kept)
    with desk_of(repo) as desk:
        stage = Stage(desk, Footing(desk))
        finding = found(desk, "file")._replace(key=some_key())
        assert stage.commit(Staging([finding])) is Outcome.DONE

    assert set(repo.tree()) == {b"file"}
    assert any("left unsaid" in record.getMessage() for record in caplog.records)
    assert not list((repo.path / ".git/annex/journal").glob("*"))
    kept.rename(repo.path / ".git/objects" / tip[:2] / tip[2:])


def test_what_a_gc_may_yet_take_is_not_committed_before_it_has_ended(repo: Repo) -> None:
    """A merge had published the file's blob, and nothing led to it when the gc looked."""
    repo.git("commit", "-q", "--allow-empty", "-m", "start")
    repo.write("file", b"content")
    with desk_of(repo) as desk:
        stage = Stage(desk, Footing(desk))
        file = found(desk, "file")
        assert file.staged is not None
        blob = file.staged.oid
        desk.commits.hold(ObjectId(repo.head()))
        with pruning(repo, "--prune=now"):
            assert stage.commit(Staging([file])) is Outcome.BUSY
            (repo.path / ".git/objects" / blob[:2] / blob[2:]).unlink()
        again = Staging([file])
        assert stage.commit(again) is Outcome.NOTHING
        assert again.outdated == [b"file"]

        assert stage.commit(staging(desk, "file")) is Outcome.DONE

    assert set(repo.tree()) == {b"file"}
    repo.check()


def test_a_pack_that_a_gc_has_taken_is_not_believed_to_be_there(repo: Repo) -> None:
    """What is written while a gc is at work goes into a pack, and git knows packs by heart."""
    repo.git("commit", "-q", "--allow-empty", "-m", "start")
    repo.write("file", b"content")
    with desk_of(repo) as desk:
        stage = Stage(desk, Footing(desk))
        file = found(desk, "file")
        assert file.staged is not None
        with pruning(repo, "--prune=now"):
            desk.commits.hold(ObjectId(repo.head()))
        assert desk.commits.find(file.staged.oid, 100) == b"content"
        repo.git("gc", "-q", "--prune=now")
        again = Staging([file])
        assert stage.commit(again) is Outcome.NOTHING
        assert again.outdated == [b"file"]


def head_message(repo: Repo) -> bytes:
    return repo.git("log", "-1", "--format=%B").strip()


def staging(desk: Desk, name: str) -> Staging:
    return Staging([found(desk, name)])


def test_on_a_detached_head_nothing_is_committed(repo: Repo) -> None:
    repo.git("commit", "-q", "--allow-empty", "-m", "start")
    repo.git("checkout", "-q", "--detach")
    head = repo.head()
    repo.write("file", b"content")
    with desk_of(repo) as desk:
        assert Stage(desk, Footing(desk)).commit(staging(desk, "file")) is Outcome.BUSY

    assert repo.head() == head
    assert repo.git("ls-files") == b""


@pytest.mark.parametrize("name", ["index.lock", "refs/heads/main.lock"])
def test_what_somebody_has_locked_is_left_to_him_for_a_while(repo: Repo, name: str) -> None:
    repo.git("commit", "-q", "--allow-empty", "-m", "start")
    head = repo.head()
    repo.write("file", b"content")
    lock = repo.write(f".git/{name}", b"")
    with desk_of(repo) as desk:
        stage = Stage(desk, Footing(desk))
        assert stage.commit(staging(desk, "file")) is Outcome.BUSY
        assert repo.head() == head

        lock.unlink()
        assert stage.commit(staging(desk, "file")) is Outcome.DONE

    assert set(repo.tree()) == {b"file"}
    assert not repo.status()
    repo.check()


def test_an_index_that_a_user_has_changed_meanwhile_is_not_replaced(repo: Repo) -> None:
    repo.git("commit", "-q", "--allow-empty", "-m", "start")
    repo.write("file", b"content")
    repo.write("users", b"of the user's")
    with desk_of(repo) as desk:
        stage = Stage(desk, Footing(desk))
        real = desk.others.let_head_move

        def user_is_faster() -> bool:
            repo.git("add", "users")
            return real()

        desk.others.let_head_move = user_is_faster  # type: ignore[method-assign]
        assert stage.commit(staging(desk, "file")) is Outcome.MOVED

    assert repo.git("ls-files") == b"users\n"


def hook(repo: Repo, name: str, script: str) -> None:
    path = repo.write(f".git/hooks/{name}", f"#!/bin/sh\n{script}\n".encode())
    path.chmod(0o755)


def test_a_hook_may_write_another_message(repo: Repo) -> None:
    hook(repo, "commit-msg", 'echo "as the hook wants it" >"$1"')
    repo.write("file", b"content")
    with desk_of(repo) as desk:
        assert Stage(desk, Footing(desk)).commit(staging(desk, "file")) is Outcome.DONE

    assert head_message(repo) == b"as the hook wants it"
    assert set(repo.tree()) == {b"file"}


def test_a_branch_that_a_hook_has_moved_is_not_set_back(repo: Repo) -> None:
    repo.git("commit", "-q", "--allow-empty", "-m", "start")
    move = 'git update-ref refs/heads/main "$(git commit-tree -p main -m faster main^{tree})"'
    hook(repo, "pre-commit", move)
    repo.write("file", b"content")
    with desk_of(repo) as desk:
        stage = Stage(desk, Footing(desk))
        assert stage.commit(staging(desk, "file")) is Outcome.MOVED

    assert head_message(repo) == b"faster"
    assert repo.tree() == {}


def sign(repo: Repo, tmp_path: Path) -> None:
    """Have git sign what is committed there."""
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"])
    (tmp_path / "signers").write_text("test@example.com " + (tmp_path / "key.pub").read_text())
    for name, value in (
        ("gpg.format", "ssh"),
        ("user.signingKey", str(tmp_path / "key")),
        ("gpg.ssh.allowedSignersFile", str(tmp_path / "signers")),
        ("commit.gpgSign", "true"),
    ):
        repo.config(name, value)


def test_a_commit_is_signed_where_the_user_wants_that(repo: Repo, tmp_path: Path) -> None:
    sign(repo, tmp_path)
    repo.write("file", b"content")
    with desk_of(repo) as desk:
        assert Stage(desk, Footing(desk)).commit(staging(desk, "file")) is Outcome.DONE
    assert b"gpgsig" not in repo.git("cat-file", "commit", "HEAD")  # it may ask for a passphrase

    repo.config("annex.allowsign", "true")
    repo.write("other", b"content")
    with desk_of(repo) as desk:
        assert Stage(desk, Footing(desk)).commit(staging(desk, "other")) is Outcome.DONE

    repo.git("verify-commit", "HEAD")
    assert set(repo.tree()) == {b"file", b"other"}
    assert len(repo.commits()) == 2
    repo.check()


def test_git_prune_takes_no_commit_that_git_has_signed(repo: Repo, tmp_path: Path) -> None:
    """It looked before the branch led there; the objects that git itself writes are single ones."""
    sign(repo, tmp_path)
    repo.config("annex.allowsign", "true")
    repo.git("commit", "-q", "--allow-empty", "-m", "start")
    repo.write("file", b"content")
    with desk_of(repo) as desk, half_pruned(repo):
        assert Stage(desk, Footing(desk)).commit(staging(desk, "file")) is Outcome.DONE

    repo.git("verify-commit", "HEAD")
    repo.check()


def test_what_cannot_be_seen_is_not_committed_as_deleted(repo: Repo) -> None:
    """Its directory has become a link to itself, say: nobody can tell what is behind that."""
    repo.write("d/file", b"content")
    repo.git("add", "d/file")
    repo.git("commit", "-q", "-m", "file")
    (repo.path / "d/file").rename(repo.path / "elsewhere")
    (repo.path / "d").rmdir()
    (repo.path / "d").symlink_to("d")
    with desk_of(repo) as desk:
        unseen = Staging([Finding(b"d/file", None, None)])
        assert Stage(desk, Footing(desk)).commit(unseen) is Outcome.NOTHING
        assert unseen.outdated == [b"d/file"]
        (repo.path / "d").unlink()
        assert Stage(desk, Footing(desk)).commit(Staging(unseen.findings)) is Outcome.DONE

    assert repo.tree() == {}


def test_what_is_in_the_index_and_in_head_already_makes_no_commit(repo: Repo) -> None:
    """Only its times are new: the index learns them."""
    repo.write("file", b"content")
    repo.git("add", "file")
    repo.git("commit", "-q", "-m", "file")
    repo.replace("file", b"content")
    with desk_of(repo) as desk:
        assert Stage(desk, Footing(desk)).commit(staging(desk, "file")) is Outcome.NOTHING

    assert len(repo.commits()) == 1
    assert repo.git("diff-files") == b""


@pytest.mark.parametrize("waiting", [False, True])
def test_what_was_only_there_for_a_moment_leaves_no_object(repo: Repo, *, waiting: bool) -> None:
    """As the journal of a database; but a content that another file has, too, is kept."""
    repo.write("journal", b"for a moment")
    repo.write("file", b"stays")
    repo.write("edited", b"before")
    keys = {name: some_key(number) for number, name in enumerate(("journal", "file", "edited"))}
    with desk_of(repo) as desk:
        stage = Stage(desk, Footing(desk))
        findings = []
        for name, key in keys.items():
            findings.append(found(desk, name)._replace(key=key))
            temporary = desk.temporary()
            Path(os.fsdecode(temporary)).write_bytes(repo.read(name))
            desk.nameless.add(key, temporary)
        repo.remove("journal")
        repo.replace("edited", b"after")
        later = frozenset((keys["journal"],)) if waiting else frozenset[Key]()

        assert stage.commit(Staging(findings, waiting=later)) is Outcome.DONE

        here = {name for name, key in keys.items() if desk.objects.locate(key) is not None}
        known = {name for name, key in keys.items() if logged(desk.branch, key)}
    assert here == {"file", "edited"} | ({"journal"} if waiting else set())
    assert known == here
