"""What has arrived is merged into the work tree, and nothing of a user's is touched."""

import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.desks import copy_pair, desk_of, make_pair, nothing, paths
from tests.processes import run_to_end, wait_until
from tests.repo import Repo
from workers.agenda import Agenda
from workers.apply import Dirty
from workers.committing import Committing
from workers.desk import Desk
from workers.doubts import LONGEST_S, SETTLE_S
from workers.finding import Finding
from workers.footing import Footing
from workers.git.commit import MADE_BY, Signature
from workers.git.index_entry import FILE
from workers.git.run import GitError
from workers.git.tree import Version
from workers.guard import Guard
from workers.joining import RETRY_S, STUCK_S, Joining
from workers.losses import answer_for
from workers.maker import ANNEXD
from workers.merging import Held, Merged, Merging, Quiet, Yielding
from workers.syncedbranch import Follower


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clones that know each other by relative paths, to be copied."""
    return make_pair(tmp_path_factory)


@pytest.fixture
def pair(template: Path, tmp_path: Path) -> tuple[Repo, Repo]:
    """As everywhere, but made once for all tests of this module."""
    return copy_pair(template, tmp_path)


@pytest.fixture
def desk(pair: tuple[Repo, Repo]) -> Iterator[Desk]:
    """The watcher's desk in ``b``."""
    with desk_of(pair[1]) as desk:
        yield desk


@pytest.fixture
def merging(desk: Desk) -> Merging:
    return Merging(desk, Footing(desk), nothing)


def push(a: Repo) -> None:
    a.git("push", "-q", "b", "main:synced/main", "+git-annex:synced/git-annex")


def save(repo: Repo, name: str, content: bytes) -> None:
    """Commit an unlocked annexed file."""
    repo.write(name, content)
    repo.annex("add", "-q", "-c", "annex.addunlocked=true", "--", name)
    repo.git("commit", "-q", "-m", f"save {name}")


def note(repo: Repo, name: str, content: bytes) -> None:
    """Commit a text."""
    repo.write(name, content)
    repo.git("-c", "annex.largefiles=nothing", "add", "--", name)
    repo.git("commit", "-q", "-m", f"note {name}")


def merged(merging: Merging) -> Merged:
    outcome = merging.merge()
    assert isinstance(outcome, Merged), outcome
    return outcome


def follows(a: Repo, b: Repo) -> None:
    """Both have the same tree; b's index, work tree and HEAD agree without git having to look."""
    assert b.tree() == a.tree()
    assert b.git("diff-files", "--name-only") == b""
    assert b.status() == b""


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


def test_where_no_file_has_arrived_the_git_annex_branch_is_left_to_the_pusher(
    pair: tuple[Repo, Repo], merging: Merging
) -> None:
    a, b = pair
    a.annex("group", "-q", "here", "client")
    tip = b.annex_tip()
    b.git("fetch", "-q", "a")  # a push would run git-annex's hook, which merges

    assert merging.merge() is Quiet.NOTHING
    assert b.annex_tip() == tip

    note(a, "text", b"words\n")
    b.git("fetch", "-q", "a")
    merged(merging)
    assert a.annex_tip() in b.commits("git-annex")


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
    key = a.key("f")
    a.annex("copy", "-q", "--to", "b", "f")
    push(a)

    outcome = merged(merging)

    assert outcome.keys == {key}
    assert b.read("f") == b"content"
    assert b.git("diff-files", "--name-only") == b""
    assert b.status() == b""


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


def test_what_an_assistant_deletes_and_adds_again_is_never_gone(
    pair: tuple[Repo, Repo], merging: Merging
) -> None:
    """It was written here a moment ago: the assistant takes git replacing it for a deletion."""
    a, b = pair
    for name in ("fresh", "moved", "old"):
        note(a, name, name.encode())
    push(a)
    merged(merging)
    before = (b.path / "fresh").stat()
    a.git("rm", "-q", "fresh")
    a.git("mv", "moved", "elsewhere")
    a.git("commit", "-qm", "git-annex in a")
    push(a)

    outcome = merging.merge()

    assert isinstance(outcome, Yielding)
    assert time.monotonic() < outcome.until < time.monotonic() + LONGEST_S
    note(a, "fresh", b"fresh")
    push(a)
    merged(merging)
    assert (b.path / "fresh").stat().st_ino == before.st_ino
    follows(a, b)


def test_nor_is_it_while_its_user_saves_it_again(pair: tuple[Repo, Repo], merging: Merging) -> None:
    """Merged at once, the deletion would have the assistant find our file when it adds its own."""
    a, b = pair
    save(a, "fresh", b"fresh")
    push(a)
    merged(merging)
    save(b, "fresh", b"saved again")
    a.git("rm", "-q", "fresh")
    a.git("commit", "-qm", "git-annex in a")
    push(a)
    outcome = merging.merge()
    assert isinstance(outcome, Yielding)
    assert outcome.until > time.monotonic() + SETTLE_S
    save(a, "fresh", b"fresh")
    push(a)
    wait_until(lambda: isinstance(merging.merge(), Merged), SETTLE_S)

    assert b.read("fresh") == b"saved again"
    assert paths(b) == {"fresh"}
    b.git("push", "-q", a.path, "main:synced/main")
    a.git("merge", "-q", "--ff-only", "synced/main")  # nothing is left to be merged there


@pytest.mark.parametrize("put", [save, note])
def test_what_an_assistant_puts_back_and_takes_back_is_never_seen(
    pair: tuple[Repo, Repo], merging: Merging, put: Callable[[Repo, str, bytes], None]
) -> None:
    """It was adding the file when that was replaced: it commits the old content, then the new."""
    a, b = pair
    put(a, "fresh", b"before")
    push(a)
    merged(merging)
    put(b, "fresh", b"after")
    a.git("pull", "-q", b.path, "main")
    before = (b.path / "fresh").stat()
    put(a, "fresh", b"before")
    a.git("commit", "-q", "--amend", "-m", "git-annex in a")
    push(a)

    assert isinstance(merging.merge(), Yielding)
    put(a, "fresh", b"after")
    push(a)
    merged(merging)

    assert (b.path / "fresh").stat().st_ino == before.st_ino
    follows(a, b)


@pytest.mark.parametrize("message", ["I mean it", "git-annex in a\n\nAnnexd-restores: 1\n"])
def test_a_step_back_that_somebody_answers_for_is_believed_at_once(
    pair: tuple[Repo, Repo], merging: Merging, message: str
) -> None:
    a, b = pair
    for content in (b"before", b"after", b"before"):
        note(a, "fresh", content)
        a.git("commit", "-q", "--amend", "-m", message)
        push(a)
        merged(merging)

    assert b.read("fresh") == b"before"


def test_a_step_back_that_stands_is_believed_in_the_end(
    pair: tuple[Repo, Repo], merging: Merging
) -> None:
    """A person's, where the assistant commits it."""
    a, b = pair
    for content in (b"before", b"after"):
        note(a, "fresh", content)
        push(a)
        merged(merging)
    note(a, "fresh", b"before")
    a.git("commit", "-q", "--amend", "-m", "git-annex in a")
    push(a)
    assert isinstance(merging.merge(), Yielding)

    wait_until(lambda: isinstance(merging.merge(), Merged), SETTLE_S + 5)

    assert b.read("fresh") == b"before"


@pytest.mark.parametrize("message", ["I mean it", "git-annex in a\n\nAnnexd-deletes: 1\n"])
def test_a_deletion_that_somebody_answers_for_is_believed_at_once(
    pair: tuple[Repo, Repo], merging: Merging, message: str
) -> None:
    a, b = pair
    note(a, "fresh", b"fresh")
    push(a)
    merged(merging)
    a.git("rm", "-q", "fresh")
    a.git("commit", "-qm", message)
    push(a)

    merged(merging)

    assert not b.exists("fresh")


def test_what_an_assistant_deletes_that_came_from_there_is_gone_at_once(
    pair: tuple[Repo, Repo], merging: Merging
) -> None:
    """No merge had replaced it there, so a person has deleted it."""
    a, b = pair
    for content in (b"first", b"second"):
        note(a, "fresh", content)
        a.git("commit", "-q", "--amend", "-m", "git-annex in a")
        push(a)
        merged(merging)
    a.git("rm", "-q", "fresh")
    a.git("commit", "-qm", "git-annex in a")
    push(a)

    merged(merging)

    assert not b.exists("fresh")


def test_what_an_assistant_had_only_added_again_is_not(
    pair: tuple[Repo, Repo], merging: Merging
) -> None:
    a, b = pair
    note(a, "fresh", b"fresh")
    push(a)
    merged(merging)
    for _twice in range(2):
        a.git("rm", "-q", "fresh")
        a.git("commit", "-qm", "git-annex in a")
        push(a)
        assert isinstance(merging.merge(), Yielding)
        note(a, "fresh", b"fresh")
        a.git("commit", "-q", "--amend", "-m", "git-annex in a")
    push(a)
    merged(merging)
    assert b.exists("fresh")


@pytest.mark.parametrize("put", [save, note])
def test_conflict_markers_that_an_assistant_has_committed_are_replaced(
    pair: tuple[Repo, Repo], merging: Merging, put: Callable[[Repo, str, bytes], None]
) -> None:
    """It has put a file back to what it was, and merges our edit by plain git."""
    a, b = pair
    for content in (b"first", b"second"):
        put(a, "file.x", content)
        push(a)
        merged(merging)
    put(a, "file.x", b"first")
    put(b, "file.x", b"third")
    merge_like_an_assistant(a, b)
    assert a.marked()
    push(a)

    merged(merging)

    assert b.read("file.x") == b"third"
    assert paths(b) == {"file.x"}
    assert b.git("log", "-1", "--format=%s") == b"conflict markers replaced by annexd\n"
    assert b.git("rev-parse", "HEAD^").decode().strip() == a.head()


@pytest.mark.parametrize("put", [save, note])
def test_both_versions_come_out_of_conflict_markers(
    pair: tuple[Repo, Repo], merging: Merging, put: Callable[[Repo, str, bytes], None]
) -> None:
    a, b = pair
    put(a, "file.x", b"first")
    push(a)
    merged(merging)
    put(a, "file.x", b"theirs")
    put(b, "file.x", b"ours")
    merge_like_an_assistant(a, b)
    note(a, "later", b"later")
    push(a)

    merged(merging)

    assert b"ours" in {b.read(name) for name in paths(b)}
    assert "later" in paths(b)
    assert len(paths(b)) == 3
    assert not any(b.read(name).startswith(b"<<<") for name in paths(b))


@pytest.mark.parametrize("put", [save, note])
def test_a_conflict_waits_for_the_merge_that_an_assistant_is_making(
    pair: tuple[Repo, Repo], merging: Merging, put: Callable[[Repo, str, bytes], None]
) -> None:
    """It would be stuck in ours, if that was there first; what we put right of its own it has."""
    a, b = pair
    put(a, "file.x", b"first")
    push(a)
    merged(merging)
    put(a, "file.x", b"theirs")
    a.git("commit", "-q", "--amend", "-m", "git-annex in a")
    put(b, "file.x", b"ours")
    push(a)
    assert isinstance(merging.merge(), Yielding)
    merge_like_an_assistant(a, b)
    push(a)

    merged(merging)

    assert b.git("rev-parse", "HEAD^").decode().strip() == a.head()
    assert len(paths(b)) == 2


def test_a_conflict_with_what_another_annexd_has_committed_does_not_wait(
    pair: tuple[Repo, Repo], merging: Merging
) -> None:
    """It resolves it as we do, and says whose its commit is where nobody but we look."""
    a, b = pair
    save(a, "file.x", b"theirs")
    a.git("commit", "-q", "--amend", "-m", "git-annex in a")
    head, _empty, message = a.git("cat-file", "commit", "HEAD").partition(b"\n\n")
    told = head + b"\n" + MADE_BY + ANNEXD + b"\n\n" + message
    a.git(
        "reset", "-q", a.git("hash-object", "-wt", "commit", "--stdin", stdin=told).decode().strip()
    )
    save(b, "file.x", b"ours")
    push(a)

    merged(merging)

    assert len(paths(b)) == 2
    assert b.git("fsck", "--strict") == b""


@pytest.mark.parametrize("put", [save, note])
def test_markers_about_markers_are_replaced(
    pair: tuple[Repo, Repo], merging: Merging, put: Callable[[Repo, str, bytes], None]
) -> None:
    """We merge the same two that the assistant is merging; then it finds that, and merges again."""
    a, b = pair
    put(a, "file.x", b"first")
    push(a)
    merged(merging)
    put(a, "file.x", b"theirs")
    put(b, "file.x", b"ours")
    push(a)
    merge_like_an_assistant(a, b, "refs/remotes/whoever/main")
    merged(merging)
    ours = {name: b.read(name) for name in paths(b)}
    merge_like_an_assistant(a, b)
    push(a)

    merged(merging)

    assert {name: b.read(name) for name in paths(b)} == ours
    assert len(ours) == 2
    assert not any(content.startswith(b"<<<") for content in ours.values())


@pytest.mark.parametrize("put", [save, note])
def test_markers_that_come_a_commit_later_are_replaced(
    pair: tuple[Repo, Repo], merging: Merging, put: Callable[[Repo, str, bytes], None]
) -> None:
    """It had not seen the file yet when it committed its merge; meanwhile we have merged that."""
    a, b = pair
    put(a, "file.x", b"first")
    push(a)
    merged(merging)
    put(a, "file.x", b"theirs")
    put(b, "file.x", b"ours")
    merge_like_an_assistant(a, b)
    marked = a.git("rev-parse", "HEAD:file.x").decode().strip()
    a.git("rm", "-q", "--cached", "file.x")
    a.git("commit", "-q", "--amend", "-m", "git-annex in a")
    push(a)
    merged(merging)
    found = {name: b.read(name) for name in paths(b)}
    assert len(found) == 2
    a.git("merge", "-q", "-s", "ours", "-m", "in between", "HEAD")
    a.git("update-index", "--add", "--cacheinfo", f"100644,{marked},file.x")
    a.git("commit", "-q", "-m", "git-annex in a")
    push(a)

    merged(merging)

    assert {name: b.read(name) for name in paths(b)} == found
    assert not any(content.startswith(b"<<<") for content in found.values())
    b.git("rm", "-q", min(found))
    b.git("commit", "-qm", "only one of them is wanted")
    note(a, "later", b"later")
    push(a)
    merged(merging)
    assert paths(b) == {max(found), "later"}


def test_markers_that_somebody_has_put_aside_as_a_version_are_removed(
    pair: tuple[Repo, Repo], merging: Merging
) -> None:
    """A third repository, where ``git annex sync`` found the assistant's merge in its way."""
    a, b = pair
    save(a, "file.x", b"first")
    push(a)
    merged(merging)
    a.git("switch", "-q", "-c", "third")
    save(a, "file.x", b"a third one's")
    a.git("switch", "-q", "main")
    save(a, "file.x", b"theirs")
    save(b, "file.x", b"ours")
    merge_like_an_assistant(a, b)
    push(a)
    merged(merging)
    found = {*paths(b)}
    a.git("switch", "-q", "third")
    run_to_end(["git", "merge", "-q", "--no-edit", "main"], a.path)
    a.annex("resolvemerge", "-q")
    a.git("switch", "-q", "-C", "main")
    push(a)

    merged(merging)

    assert found < paths(b)
    assert len(paths(b)) == 3
    assert not any(b.read(name).startswith(b"<<<") for name in paths(b))


def merge_like_an_assistant(a: Repo, b: Repo, ref: str = "refs/heads/synced/main") -> None:
    """Merge what b has in a, and commit whatever git leaves in the work tree."""
    b.git("push", "-q", a.path, f"+main:{ref}")
    merge = ("git", "merge", "-q", "--no-edit", ref)
    assert run_to_end(merge, a.path).status == 1
    kind = "anything" if b"/annex/" in a.git("show", "HEAD:file.x") else "nothing"
    options = ("-c", "annex.addunlocked=true", "-c", f"annex.largefiles={kind}")
    a.annex("add", "-q", *options, "file.x")
    a.git("commit", "-q", "-m", "git-annex in a")
    assert len(a.git("rev-parse", "HEAD^@").split()) == 2


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


def test_a_branch_without_commits_takes_over_what_arrives(
    pair: tuple[Repo, Repo], tmp_path: Path
) -> None:
    a, _ = pair
    c = Repo.create(tmp_path / "c")
    note(a, "f", b"f")
    a.git("push", "-q", c.path, "main:synced/main")

    with desk_of(c) as desk:
        merged(Merging(desk, Footing(desk), nothing))

    follows(a, c)


@pytest.mark.parametrize("how", ["push", "update-ref"])
def test_a_push_into_the_checked_out_branch_is_merged(
    pair: tuple[Repo, Repo], merging: Merging, how: str
) -> None:
    """P11."""
    a, b = pair
    note(a, "f", b"before")
    push(a)
    merged(merging)
    note(a, "f", b"after")
    if how == "push":
        b.config("receive.denyCurrentBranch", "ignore")
        a.git("push", "-q", "b", "main:main")
    else:
        push(a)
        b.git("update-ref", "refs/heads/main", "synced/main")

    merged(merging)

    follows(a, b)
    assert b.read("f") == b"after"
    assert not b.git("for-each-ref", "refs/annexd/pushed/")


def test_what_was_pushed_under_an_edit_is_not_reverted(
    pair: tuple[Repo, Repo], merging: Merging
) -> None:
    """P11, with a dirty work tree, and after a restart that knows nothing."""
    a, b = pair
    note(a, "f", b"before")
    note(a, "g", b"before")
    push(a)
    merged(merging)
    before = b.head()
    note(a, "f", b"after")
    b.config("receive.denyCurrentBranch", "ignore")
    a.git("push", "-q", "b", "main:main")
    b.write("f", b"an edit")

    assert merging.merge() == Dirty((b"f",))

    assert b.head() == before
    assert b.status() == b" M f\n"


@pytest.mark.parametrize("more", ["", "of a"])
def test_what_a_user_has_amended_does_not_come_back(
    pair: tuple[Repo, Repo], merging: Merging, more: str
) -> None:
    """Not even with what somebody has committed on top of it."""
    a, b = pair
    note(b, "text", b"wrong\n")
    note(b, "superfluous", b"x\n")
    a.git("pull", "-q", "--ff-only", "b", "main")
    if more:
        note(a, more, b"on top\n")
    b.write("text", b"right\n")
    b.git("rm", "-q", "superfluous")
    b.git("commit", "-q", "-a", "--amend", "-m", "amended")
    push(a)

    merged(merging)

    assert paths(b) == {"text", more} - {""}
    assert b.read("text") == b"right\n"
    assert b.status() == b""
    a.git("pull", "-q", "--ff-only", "b", "main")
    assert merging.merge() is Quiet.NOTHING


def test_what_a_user_has_rebased_does_not_come_back(
    pair: tuple[Repo, Repo], merging: Merging
) -> None:
    a, b = pair
    note(b, "first", b"first\n")
    for number in range(2):
        note(b, "text", b"%d\n" % number)
    a.git("pull", "-q", "--ff-only", "b", "main")
    push(a)
    squash = "sed -i 2s/pick/fixup/"
    b.git(
        "-c", f"sequence.editor={squash}", "-c", "core.editor=true", "rebase", "-q", "-i", "HEAD~2"
    )
    note(b, "text", b"rebased, and gone on\n")

    merged(merging)

    assert b.read("text") == b"rebased, and gone on\n"
    assert paths(b) == {"first", "text"}


def test_what_a_user_has_reset_comes_back(pair: tuple[Repo, Repo], merging: Merging) -> None:
    a, b = pair
    note(b, "text", b"x\n")
    a.git("pull", "-q", "--ff-only", "b", "main")
    push(a)
    b.git("reset", "-q", "--hard", "HEAD~1")

    merged(merging)

    assert paths(b) == {"text"}


def test_our_own_commit_is_no_push_though_we_were_killed_after_it(
    pair: tuple[Repo, Repo], desk: Desk
) -> None:
    """And what it was about has been staged again."""
    b = pair[1]
    footing = Footing(desk)
    branch = footing.settle().branch
    assert branch is not None
    footing.settle()
    note(b, "text", b"committed\n")
    committed = desk.head()
    assert committed.oid is not None
    footing.stand_on(branch, committed.oid)
    b.write("text", b"staged\n")
    b.git("-c", "annex.largefiles=nothing", "add", "text")

    assert Footing(desk).settle() == committed


def test_a_users_own_commit_is_no_push(pair: tuple[Repo, Repo], merging: Merging) -> None:
    _, b = pair
    assert merging.merge() is Quiet.NOTHING
    note(b, "f", b"mine")
    head = b.head()

    assert merging.merge() is Quiet.NOTHING

    assert b.head() == head
    assert b.status() == b""


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


@pytest.mark.parametrize("how", ["synced", "pushed"])
def test_an_adjusted_branch_gives_and_gets(
    pair: tuple[Repo, Repo], merging: Merging, how: str
) -> None:
    a, b = pair
    a.add("locked", b"locked")
    push(a)
    merged(merging)
    b.annex("adjust", "-q", "--unlock")
    note(b, "of b", b"b")
    note(a, "of a", b"a")
    a.git("push", "-q", "b", "main:main" if how == "pushed" else "main:synced/main")

    merged(merging)

    assert b.git("symbolic-ref", "HEAD").strip() == b"refs/heads/adjusted/main(unlocked)"
    assert paths(b) == {"locked", "of a", "of b"}
    tree = b.git("ls-tree", "-r", "main")
    assert {line.split(b"\t")[1] for line in tree.splitlines()} == {b"locked", b"of a", b"of b"}
    assert b"120000" in tree
    assert merging.merge() is Quiet.NOTHING


def test_what_git_annex_cannot_propagate_is_held_and_said_once(
    pair: tuple[Repo, Repo], desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    """A merge of a user's on an adjusted branch: there is no way to do that to the original."""
    b = pair[1]
    note(b, "text", b"x\n")
    b.annex("adjust", "-q", "--unlock")
    b.git("checkout", "-q", "-b", "side")
    note(b, "of side", b"x\n")
    b.git("checkout", "-q", "adjusted/main(unlocked)")
    note(b, "of main", b"x\n")
    b.git("merge", "-q", "--no-ff", "-m", "merged", "side")
    joining = Joining(desk, Footing(desk), nothing)

    now = time.monotonic()
    for _ in range(len(RETRY_S) + 2):
        joining.merge(now)
        now += STUCK_S

    (reason,) = joining.held
    assert "Unable to propagate merge commit" in reason
    assert caplog.text.count("tempfail to merge") == 1

    b.git("reset", "-q", "--hard", "HEAD~1")
    joining.merge(now)
    assert joining.held == ()


def test_a_conflict_on_an_adjusted_branch_is_resolved_as_on_any_other(
    pair: tuple[Repo, Repo], merging: Merging
) -> None:
    a, b = pair
    b.annex("adjust", "-q", "--unlock")
    save(a, "f.txt", b"of a")
    save(b, "f.txt", b"of b, longer")
    push(a)
    merged(merging)
    b.git("push", "-q", a.path, "main:synced/main")

    with desk_of(a) as desk:
        merged(Merging(desk, Footing(desk), nothing))

    assert a.git("rev-parse", "main") == b.git("rev-parse", "main")
    assert paths(a) == paths(b)
    assert all(".variant-" in name for name in paths(a))


def test_a_reload_loses_no_blob_that_waits_for_its_commit(desk: Desk) -> None:
    blob = desk.commits.blob(b"found before the reload\n")
    tree = desk.commits.tree(None, {b"f": Version(FILE, blob)})

    desk.reload()
    who = Signature(b"t", b"t@example.com", 1_700_000_000)
    desk.commits.commit(tree, (), author=who, committer=who, message=b"m\n")

    assert desk.git.run("cat-file", "blob", blob) == b"found before the reload\n"


def test_an_edit_on_an_adjusted_branch_does_not_revert_what_arrives(
    pair: tuple[Repo, Repo], merging: Merging
) -> None:
    a, b = pair
    a.add("f.txt", b"before")
    push(a)
    merged(merging)
    b.annex("adjust", "-q", "--unlock")
    (a.path / "f.txt").unlink()
    a.add("f.txt", b"of a")
    push(a)
    (b.path / "f.txt").unlink()
    b.write("f.txt", b"of b, longer")

    assert merging.merge() == Dirty((b"f.txt",))
    run_anyhow(b, "merge", "-q", "synced/main")  # a user's: it stops half-way
    b.annex("add", "-q", "f.txt")
    b.git("commit", "-q", "-m", "of b")
    merged(merging)

    assert len(paths(b)) == 2
    assert all(".variant-" in name for name in paths(b))


def run_anyhow(repo: Repo, *args: str) -> None:
    """A git-annex command that fails."""
    with pytest.raises(AssertionError):
        repo.annex(*args)


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


def test_synced_follows_a_merge_when_whoever_pushed_has_ended(
    pair: tuple[Repo, Repo], merging: Merging, desk: Desk
) -> None:
    """A ref that is moved under a push makes it fail: what we have may be on its way there."""
    a, b = pair
    note(a, "theirs", b"theirs")
    b.git("update-ref", "-d", "refs/heads/synced/main")
    a.git("push", "-q", "b", "main:refs/synced/a/main")
    follower = Follower(desk)
    follower.turn(0)
    before = b.git("rev-parse", "synced/main")

    merged(merging)
    follower.moved(100.0)
    follower.turn(100.0)
    assert b.git("rev-parse", "synced/main") == before
    follower.turn(follower.due)

    assert b.git("rev-parse", "synced/main") == b.git("rev-parse", "main") != before


def test_what_others_push_to_synced_stays_until_it_is_merged(
    pair: tuple[Repo, Repo], merging: Merging, desk: Desk
) -> None:
    a, b = pair
    stranger = b.git("commit-tree", "-m", "other", "main^{tree}").decode().strip()
    b.git("update-ref", "refs/heads/synced/main", stranger)
    note(a, "more", b"more")
    a.git("push", "-qf", "b", "main:refs/synced/a/main")

    merged(merging)
    Follower(desk).turn(0)

    assert b.git("rev-parse", "synced/main").decode().strip() == stranger


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


def both_have_merged(a: Repo, b: Repo) -> None:
    """Two commits with the same tree, as annexd makes them."""
    for repo in (a, b):
        note(repo, "same", b"same")
        annexd = ("-c", "user.name=annexd", "-c", "user.email=annexd@localhost")
        author = f"--author={repo.path.name} <x@localhost>"
        repo.git(*annexd, "commit", "-q", "--amend", "--no-edit", author)
    push(a)


def test_a_merge_that_changes_no_file_lets_others_go_first(
    pair: tuple[Repo, Repo], merging: Merging
) -> None:
    a = pair[0]
    both_have_merged(*pair)

    outcome = merging.merge()
    assert isinstance(outcome, Yielding)

    # Somebody else has merged both meanwhile: it is followed at once.
    a.git("pull", "-q", "--no-rebase", "--no-edit", "b", "main")
    push(a)
    assert merged(merging).commit == a.head()


def test_if_nobody_goes_first_it_is_our_turn(pair: tuple[Repo, Repo], merging: Merging) -> None:
    a, b = pair
    both_have_merged(a, b)
    assert isinstance(merging.merge(), Yielding)

    wait_until(lambda: isinstance(merging.merge(), Merged))

    b.git("merge-base", "--is-ancestor", a.head(), "main")
    follows(a, b)


def test_nobody_waits_for_those_who_cannot_resolve_conflicts(
    pair: tuple[Repo, Repo], merging: Merging
) -> None:
    a, b = pair
    for repo in pair:
        note(repo, "same", b"same")
        repo.git("commit", "-q", "--amend", "-m", f"git-annex in {repo.path.name}")
    push(a)

    merged(merging)

    follows(a, b)


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
