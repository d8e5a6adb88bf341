"""What was found is committed, although users and peers come in between."""

import os
import time

import pytest

from tests.desks import desk_of
from tests.repo import Repo
from tests.spool import some_key
from workers.desk import Desk
from workers.finding import Finding
from workers.footing import Footing
from workers.git.commit import Signature
from workers.git.index_entry import FILE, StatData
from workers.git.index_racy import Staged
from workers.maker import is_made_by_annexd
from workers.stage import Outcome, Stage, Staging

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
