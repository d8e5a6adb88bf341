"""What has arrived is merged into the work tree, and nothing of a user's is touched."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.desks import paths
from tests.merging.steps import follows, merged, note, push, save
from tests.processes import pause, run_to_end
from tests.repo import Repo
from workers.git.run import GitError
from workers.inplace import Done, move, put, replace
from workers.watcher.apply import Dirty
from workers.watcher.desk import Desk
from workers.watcher.merging import Merging
from workers.watcher.outcome import Held, Quiet


def test_files_of_all_kinds_arrive(pair: tuple[Repo, Repo], merging: Merging) -> None:
    a, b = pair
    save(a, "deep/er/annexed", b"content")
    a.add("locked", b"locked content")
    note(a, "text", b"words\n")
    note(a, "tool", b"#!/bin/sh\n")
    a.git("update-index", "--chmod=+x", "tool")
    (a.path / "link").symlink_to("/etc/passwd")
    a.git("add", "link")
    a.git("commit", "-qm", "more")
    push(a)

    merged(merging)

    follows(a, b)
    assert paths(b) == {"deep/er/annexed", "locked", "text", "tool", "link"}
    assert b.read("text") == b"words\n"
    assert b.read("deep/er/annexed").startswith(b"/annex/objects/")
    assert os.access(b.path / "tool", os.X_OK)
    assert (b.path / "link").readlink() == Path("/etc/passwd")
    assert merging.merge() is Quiet.NOTHING


@pytest.mark.parametrize("deed", ["edited", "deleted"])
def test_an_empty_annexed_file_is_no_obstacle(
    pair: tuple[Repo, Repo], merging: Merging, deed: str
) -> None:
    """Its recorded size of 0 says nothing, and it is no pointer: merges waited for it for ever."""
    a, b = pair
    save(b, "empty", b"")
    a.git("pull", "-q", b.path, "main")
    if deed == "edited":
        save(a, "empty", b"no more")
    else:
        a.git("rm", "-q", "empty")
        a.git("commit", "-qm", "deleted")
    push(a)

    merged(merging)

    follows(a, b)


def test_an_annexed_file_that_a_user_has_just_emptied_is_his_edit(
    pair: tuple[Repo, Repo], merging: Merging
) -> None:
    a, b = pair
    save(b, "full", b"content")
    a.git("pull", "-q", b.path, "main")
    save(a, "full", b"other content")
    push(a)
    b.write("full", b"")

    assert merging.merge() == Dirty((b"full",))


def test_edits_renames_and_deletions_follow(pair: tuple[Repo, Repo], merging: Merging) -> None:
    a, b = pair
    for name in ("edited", "renamed", "d/gone", "d/e/gone too", "stays"):
        note(a, name, b"first " + name.encode())
    push(a)
    merged(merging)
    note(a, "edited", b"second")
    a.git("mv", "renamed", "new name")
    a.git("rm", "-q", "d/gone", "d/e/gone too")
    (a.path / "stays").chmod(0o755)
    a.git("commit", "-qam", "changes")
    push(a)

    merged(merging)

    follows(a, b)
    assert paths(b) == {"edited", "new name", "stays"}
    assert not b.exists("d")
    assert b.read("edited") == b"second"
    assert (b.path / "stays").stat().st_mode & stat.S_IXUSR


def test_a_file_becomes_a_directory_and_back(pair: tuple[Repo, Repo], merging: Merging) -> None:
    a, b = pair
    note(a, "thing", b"a file")
    push(a)
    merged(merging)
    a.git("rm", "-q", "thing")
    note(a, "thing/inside", b"in a directory")
    push(a)
    merged(merging)
    follows(a, b)
    a.git("rm", "-rq", "thing")
    note(a, "thing", b"a file again")
    push(a)

    merged(merging)

    follows(a, b)


def test_a_file_that_has_become_a_directory_before_the_branch_could_be_moved_is_done(
    pair: tuple[Repo, Repo], merging: Merging
) -> None:
    """Else the merge waits for ever for somebody to commit that it has gone."""
    a, b = pair
    note(a, "splits", b"a file")
    push(a)
    merged(merging)
    a.remove("splits")
    note(a, "splits/inside", b"in a directory")
    a.git("commit", "-q", "-a", "--amend", "-m", "split")
    push(a)
    lock = b.path / ".git/refs/heads/main.lock"
    lock.touch()
    with pytest.raises(GitError):
        merging.merge()
    lock.unlink()

    merged(merging)

    follows(a, b)


def test_content_that_is_here_is_filled_in_at_once(
    pair: tuple[Repo, Repo], merging: Merging
) -> None:
    a, b = pair
    save(a, "f", b"content")
    a.annex("copy", "-q", "--to", "b", "f")
    push(a)

    merged(merging)

    assert b.read("f") == b"content"
    assert b.git("diff-files", "--name-only") == b""
    assert b.status() == b""


@pytest.mark.parametrize("deed", ["comes", "changes", "moves"])
def test_an_edit_in_the_moment_after_is_not_taken_for_what_was_merged(
    pair: tuple[Repo, Repo], merging: Merging, monkeypatch: pytest.MonkeyPatch, deed: str
) -> None:
    """git-annex dropped the edit, and git saw none."""
    a, b = pair
    b.annex("find", "-q")  # so that it has its database
    if deed != "comes":
        save(a, "old" if deed == "moves" else "f", b"content" if deed == "moves" else b"first")
        a.annex("copy", "-q", "--to", "b", ".")
        push(a)
        merged(merging)
    if deed == "moves":
        a.git("mv", "old", "f")
        a.git("commit", "-qm", "moved")
    else:
        save(a, "f", b"content")
        a.annex("copy", "-q", "--to", "b", "f")
    push(a)

    def then_edited(change: Callable[..., Done]) -> Callable[..., Done]:
        def changed(*args: object) -> Done:
            done = change(*args)
            b.write("f", b"edited")
            pause(0.05)  # the machine has other things to do
            return done

        return changed

    for name, change in (("put", put), ("replace", replace), ("move", move)):
        monkeypatch.setattr(f"workers.watcher.names.{name}", then_edited(change))
    merged(merging)
    b.annex("drop", "-q", "f")

    assert b.read("f") == b"edited"
    assert b.git("diff-files", "--name-only") == b"f\n"


def test_both_sides_have_gone_on(pair: tuple[Repo, Repo], merging: Merging) -> None:
    a, b = pair
    note(a, "of a", b"a")
    note(b, "of b", b"b")
    push(a)

    merged(merging)

    assert paths(b) == {"of a", "of b"}
    assert b.status() == b""
    assert len(b.git("rev-list", "--parents", "-1", "HEAD").split()) == 3


def test_a_conflict_keeps_both_contents(pair: tuple[Repo, Repo], merging: Merging) -> None:
    a, b = pair
    save(a, "f.txt", b"of a")
    save(b, "f.txt", b"of b, longer")
    push(a)

    merged(merging)

    assert len(paths(b)) == 2
    assert all(".variant-" in name for name in paths(b))
    assert b.status() == b""
    contents = {b.read(name) for name in paths(b)}
    assert b"of b, longer" in contents


def test_with_resolvemerge_off_a_conflict_is_held(
    pair: tuple[Repo, Repo], merging: Merging, desk: Desk
) -> None:
    a, b = pair
    b.config("annex.resolvemerge", "false")
    desk.reload()
    save(a, "f.txt", b"of a")
    save(b, "f.txt", b"of b, longer")
    push(a)
    before = b.head()

    assert isinstance(merging.merge(), Held)

    assert b.head() == before
    assert b.read("f.txt") == b"of b, longer"


@pytest.mark.parametrize("content", [b"an edit", b"edited"], ids=["longer", "of the same size"])
def test_an_edit_that_is_not_committed_is_dirty(
    pair: tuple[Repo, Repo], merging: Merging, content: bytes
) -> None:
    a, b = pair
    note(a, "f", b"before")
    push(a)
    merged(merging)
    note(a, "f", b"after!")
    push(a)
    b.write("f", content)

    assert merging.merge() == Dirty((b"f",))

    assert b.read("f") == content


def test_an_untracked_file_in_the_way_is_dirty(pair: tuple[Repo, Repo], merging: Merging) -> None:
    a, b = pair
    note(a, "d/f", b"theirs")
    push(a)
    b.write("d/f", b"ours")

    assert merging.merge() == Dirty((b"d/f",))
    (b.path / "d/f").unlink()
    (b.path / "d").rmdir()
    b.write("d", b"a file where a directory is to be")
    assert merging.merge() == Dirty((b"d",))

    assert b.read("d") == b"a file where a directory is to be"


def test_an_untracked_file_in_a_directory_that_becomes_a_file_is_dirty(
    pair: tuple[Repo, Repo], merging: Merging
) -> None:
    a, b = pair
    note(a, "d/f", b"f")
    push(a)
    merged(merging)
    a.git("rm", "-rq", "d")
    note(a, "d", b"a file")
    push(a)
    b.write("d/mine/too", b"mine")

    assert merging.merge() == Dirty((b"d/mine/too",))


def test_what_is_ignored_and_in_the_way_is_moved_aside(
    pair: tuple[Repo, Repo], merging: Merging
) -> None:
    a, b = pair
    (b.path / ".git/info/exclude").write_text("*.o\n")
    note(a, "f.o", b"theirs")
    note(a, "d", b"a file")
    push(a)
    b.write("f.o", b"mine")
    b.write("d/g.o", b"mine too")

    merged(merging)

    follows(a, b)
    assert b.read("f.o") == b"theirs"
    assert b.read("d") == b"a file"
    kept = {b.read(name) for name in paths(b) - {"f.o", "d"}}
    assert kept == {b"mine", b"mine too"}


def test_a_file_that_an_editor_has_open_waits(pair: tuple[Repo, Repo], merging: Merging) -> None:
    a, b = pair
    note(a, "f", b"before")
    push(a)
    merged(merging)
    note(a, "f", b"after")
    push(a)

    with (b.path / "f").open("ab") as editor:
        outcome = merging.merge()
        assert isinstance(outcome, Dirty)
        assert outcome.writers == (b"f",)
        assert b.read("f") == b"before"
        editor.flush()
    merged(merging)

    follows(a, b)


def test_a_merge_waits_while_the_index_is_locked(pair: tuple[Repo, Repo], merging: Merging) -> None:
    a, b = pair
    note(a, "f", b"f")
    push(a)
    lock = b.path / ".git/index.lock"
    lock.touch()

    assert merging.merge() is Quiet.BUSY
    assert not b.exists("f")
    lock.unlink()
    merged(merging)

    follows(a, b)


def test_attributes_hold_for_the_files_that_come_with_them(
    pair: tuple[Repo, Repo], merging: Merging
) -> None:
    a, b = pair
    for where in ("", "d/"):
        a.write(where + ".gitattributes", b"*.txt eol=crlf\n")
        a.write(where + "A.txt", b"a\r\nb\r\n")
    a.git("-c", "annex.largefiles=nothing", "add", ".")
    a.git("commit", "-qm", "texts")
    push(a)

    merged(merging)

    follows(a, b)
    assert a.git("show", "main:A.txt") == b"a\nb\n"
    assert b.read("A.txt") == b.read("d/A.txt") == b"a\r\nb\r\n"


def test_a_sparse_checkout_stays_sparse(pair: tuple[Repo, Repo], merging: Merging) -> None:
    a, b = pair
    for name in ("in/file", "out/file", "out/.gitattributes", "out/goes"):
        note(a, name, b"# one\n")
    push(a)
    merged(merging)
    b.git("sparse-checkout", "set", "--cone", "in")
    for name in ("in/file", "out/file", "out/.gitattributes"):
        note(a, name, b"# two\n")
    a.git("rm", "-q", "out/goes")
    a.git("commit", "-q", "-m", "one goes")
    push(a)

    merged(merging)

    follows(a, b)
    assert paths(b) == {"in/file"}
    assert b.read("in/file") == b"# two\n"


@pytest.mark.parametrize("flag", ["--skip-worktree", "--assume-unchanged"])
def test_an_edit_that_git_is_not_to_look_at_is_kept_and_told(
    pair: tuple[Repo, Repo], merging: Merging, flag: str
) -> None:
    a, b = pair
    note(a, "settings", b"shared\n")
    push(a)
    merged(merging)
    b.git("update-index", flag, "settings")
    b.write("settings", b"mine\n")
    note(a, "settings", b"shared by now\n")
    push(a)

    outcome = merging.merge()

    assert isinstance(outcome, Held)
    assert "git was told not to look at it" in outcome.reasons[0]
    assert b.read("settings") == b"mine\n"


@pytest.mark.parametrize("kind", ["split", "sparse"])
def test_an_index_that_only_git_reads_is_no_hindrance(
    pair: tuple[Repo, Repo], merging: Merging, kind: str
) -> None:
    a, b = pair
    for name in ("in/file", "out/file"):
        note(a, name, b"one\n")
    push(a)
    merged(merging)
    if kind == "split":
        b.git("update-index", "--split-index")
    else:
        b.git("sparse-checkout", "set", "--cone", "--sparse-index", "in")
    note(a, "out/file", b"two\n")
    push(a)

    merged(merging)

    follows(a, b)


def test_what_is_no_file_makes_room(pair: tuple[Repo, Repo], merging: Merging) -> None:
    a, b = pair
    note(a, "file", b"one\n")
    push(a)
    merged(merging)
    os.unlink(b.path / "file")
    os.mkfifo(b.path / "file")
    note(a, "file", b"two\n")
    push(a)

    merged(merging)

    assert b.read("file") == b"two\n"
    assert sum(stat.S_ISFIFO(os.lstat(b.path / name).st_mode) for name in os.listdir(b.path)) == 1


def test_a_users_own_conflict_is_told_and_left(pair: tuple[Repo, Repo], merging: Merging) -> None:
    a, b = pair
    note(a, "file", b"one\n")
    push(a)
    merged(merging)
    b.write("file", b"stashed\n")
    b.git("stash", "-q")
    note(a, "file", b"two\n")
    push(a)
    merged(merging)
    run_to_end(["git", "stash", "pop"], b.path)
    marked = b.read("file")
    note(a, "file", b"three\n")
    push(a)

    outcome = merging.merge()

    assert isinstance(outcome, Held)
    assert outcome.reasons[0].startswith("file: it is in conflict here")
    assert b.read("file") == marked
