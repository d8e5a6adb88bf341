"""Merging where branches move: pushes, rewritten histories, adjusted branches, who goes first."""

import os
import stat
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.desks import desk_of, nothing, paths
from tests.merging.steps import follows, merged, note, push, save
from tests.processes import pause, wait_until
from tests.repo import Repo
from workers.git.commit import Signature
from workers.git.index_entry import FILE
from workers.git.tree import Version
from workers.watcher.apply import Dirty
from workers.watcher.desk import Desk
from workers.watcher.footing import Footing
from workers.watcher.joining import RETRY_S, STUCK_S, Joining
from workers.watcher.merging import Merging
from workers.watcher.nofiles import FifoError
from workers.watcher.outcome import Merged, Quiet, Yielding
from workers.watcher.rewritten import reflog, replaced
from workers.watcher.syncedbranch import Follower


def gathered(merging: Merging) -> None:
    """Merge on an adjusted branch, where more is waited for (``workers.watcher.gathering``)."""
    while isinstance(outcome := merging.merge(), Yielding):
        pause(max(0.0, outcome.until - time.monotonic()))
    assert isinstance(outcome, Merged), outcome


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


def test_a_branch_without_commits_takes_over_what_arrives(
    pair: tuple[Repo, Repo], tmp_path: Path
) -> None:
    a, _ = pair
    c = Repo.create(tmp_path / "c")
    note(a, "f", b"f")
    a.git("push", "-q", c.path, "main:synced/main")

    with desk_of(c) as desk:
        gathered(Merging(desk, Footing(desk), nothing))

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


def test_git_is_asked_what_was_replaced_where_its_refs_are_a_reftable(repo: Repo) -> None:
    note(repo, "text", b"wrong\n")
    for number in range(2):
        note(repo, "text", b"%d\n" % number)
        repo.git("commit", "-q", "--amend", "-m", f"a\ttab, {number}")
    with desk_of(repo) as desk:
        told = list(replaced(reflog(desk)))
        (repo.path / ".git/reftable").mkdir()  # this git may have none; then it asks the files

        assert list(replaced(reflog(desk))) == told
    assert [new for _old, new in told][-1] == repo.head()


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


@pytest.mark.parametrize("how", [("-r",), ("--rebase",), ("-c", "pull.rebase=true")])
def test_what_a_user_has_pulled_by_rebase_does_not_come_back(
    pair: tuple[Repo, Repo], merging: Merging, how: Sequence[str]
) -> None:
    """The reflog says no more than "pull (finish)", mostly."""
    a, b = pair
    note(b, "text", b"first\n")
    a.git("pull", "-q", "--ff-only", "b", "main")
    push(a)
    a.git("switch", "-q", "-c", "other", "HEAD~1")
    note(a, "others", b"x\n")
    before, after = (how, ()) if how[0] == "-c" else ((), how)
    b.git(*before, "pull", "-q", *after, "a", "other:refs/heads/others")
    note(b, "text", b"rebased, and gone on\n")

    merged(merging)

    assert b.read("text") == b"rebased, and gone on\n"
    assert paths(b) == {"others", "text"}


def test_what_a_user_has_reset_comes_back(pair: tuple[Repo, Repo], merging: Merging) -> None:
    a, b = pair
    note(b, "text", b"x\n")
    a.git("pull", "-q", "--ff-only", "b", "main")
    push(a)
    b.git("reset", "-q", "--hard", "HEAD~1")

    merged(merging)

    assert paths(b) == {"text"}


@pytest.mark.parametrize("commits", [1, 2])
def test_what_a_user_has_squashed_by_a_soft_reset_does_not_come_back(
    pair: tuple[Repo, Repo], merging: Merging, commits: int
) -> None:
    """Edited meanwhile; two versions of one file were there before."""
    a, b = pair
    note(b, "text", b"first\n")
    for number in range(2):
        note(b, "text", b"%d\n" % number)
        note(b, f"new {number}", b"x\n")
    a.git("pull", "-q", "--ff-only", "b", "main")
    push(a)
    b.git("reset", "-q", "--soft", "HEAD~2")
    b.git("reset", "-q", "--soft", "HEAD~2")
    if commits > 1:
        b.git("commit", "-q", "-m", "all of it")
    note(b, "text", b"squashed, and gone on\n")

    merged(merging)

    assert b.read("text") == b"squashed, and gone on\n"
    assert paths(b) == {"text", "new 0", "new 1"}
    a.git("pull", "-q", "--ff-only", "b", "main")
    assert merging.merge() is Quiet.NOTHING


def test_what_a_user_has_reset_and_not_done_anew_comes_back(
    pair: tuple[Repo, Repo], merging: Merging
) -> None:
    """Of two files one is as it was: that may be no more than what the reset has made of it."""
    a, b = pair
    note(b, "text", b"first\n")
    note(b, "text", b"second\n")
    note(b, "other", b"x\n")
    a.git("pull", "-q", "--ff-only", "b", "main")
    push(a)
    b.git("reset", "-q", "--hard", "HEAD~2")
    note(b, "text", b"third\n")

    merged(merging)

    assert "other" in paths(b)
    assert {b"second\n", b"third\n"} == {b.read(name) for name in paths(b) - {"other"}}


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

    gathered(merging)

    assert b.git("symbolic-ref", "HEAD").strip() == b"refs/heads/adjusted/main(unlocked)"
    assert paths(b) == {"locked", "of a", "of b"}
    tree = b.git("ls-tree", "-r", "main")
    assert {line.split(b"\t")[1] for line in tree.splitlines()} == {b"locked", b"of a", b"of b"}
    assert b"120000" in tree
    assert merging.merge() is Quiet.NOTHING


@pytest.mark.parametrize("strange", [False, True])
def test_a_file_takes_a_directorys_place_on_an_adjusted_branch(
    pair: tuple[Repo, Repo], merging: Merging, *, strange: bool
) -> None:
    """The directory was in the way for good; it is only where something else is in it."""
    a, b = pair
    save(a, "name/below", b"below")
    push(a)
    merged(merging)
    b.annex("adjust", "-q", "--unlock")
    a.git("rm", "-q", "name/below")
    save(a, "name", b"file")
    push(a)
    if strange:
        b.write("name/strange", b"nobody's")

    outcome = merging.merge()

    assert isinstance(outcome, Merged) != strange
    assert b.exists("name/strange") == strange
    if not strange:
        assert paths(b) == {"name"}
        assert b.status() == b""


def test_what_two_others_have_is_merged_at_once_on_an_adjusted_branch(
    pair: tuple[Repo, Repo], merging: Merging
) -> None:
    """It takes git-annex a second or more; whoever merged them apart made others merge that."""
    a, b = pair
    b.annex("adjust", "-q", "--fix")
    note(b, "of b", b"b")
    note(a, "of a", b"a")
    push(a)
    assert isinstance(merging.merge(), Yielding)
    note(a, "of a, too", b"a")
    push(a)

    gathered(merging)

    assert paths(b) == {"of a", "of a, too", "of b"}
    assert b.git("rev-list", "--merges", "--count", "main").strip() == b"1"


@pytest.mark.parametrize("adjustment", ["--unlock", "--hide-missing", "--fix"])
@pytest.mark.parametrize("left", [1, 2])
def test_an_edit_is_carried_over_though_git_annex_was_killed_when_it_had_moved_one_branch(
    pair: tuple[Repo, Repo], merging: Merging, adjustment: str, left: int
) -> None:
    """To the tree of the original branch, which did not have the file, it brought nothing."""
    a, b = pair
    before = b.git("rev-parse", "main").decode().strip()
    b.annex("adjust", "-q", adjustment)
    basis = b.git("for-each-ref", "--format=%(refname)", "refs/basis").decode().strip()
    note(a, "file", b"first\n")
    push(a)
    gathered(merging)
    for ref in (basis, "refs/heads/main")[:left]:
        b.git("update-ref", ref, before)
    note(b, "file", b"edited\n")

    gathered(merging)

    assert b.git("rev-parse", basis) == b.git("rev-parse", "main")
    assert b.git("cat-file", "-p", "main").count(b"parent ") == 1
    assert b.read("file") == b"edited\n"
    assert b.git("show", "main:file") == b"edited\n"


def test_what_is_no_file_makes_room_on_an_adjusted_branch(
    pair: tuple[Repo, Repo], merging: Merging
) -> None:
    """Nobody commits it, so it was in the way of everything for good."""
    a, b = pair
    b.annex("adjust", "-q", "--unlock")
    os.mkfifo(b.path / "file")
    note(a, "file", b"one\n")
    push(a)

    merged(merging)

    assert b.read("file") == b"one\n"
    assert [stat.S_ISFIFO(os.lstat(b.path / name).st_mode) for name in paths(b) - {"file"}] == [
        True
    ]


@pytest.mark.timeout(100)
def test_git_annex_is_not_left_waiting_for_a_fifo(
    pair: tuple[Repo, Repo], merging: Merging
) -> None:
    """It opens what it takes for a pointer file, to fill it."""
    a, b = pair
    save(a, "file", b"content")
    push(a)
    merged(merging)
    b.annex("get", "-q", "file")
    b.annex("adjust", "-q", "--fix")
    b.remove("file")
    os.mkfifo(b.path / "file")
    # What git's filter leaves there of each file that git makes.
    (b.path / ".git/annex/smudge.log").write_bytes(a.key("file") + b" file\n")
    note(a, "other", b"one\n")
    push(a)

    with pytest.raises(FifoError, match="file is a FIFO"):
        gathered(merging)

    (b.path / "file").unlink()
    b.git("commit", "-qam", "deleted")
    gathered(merging)
    assert b.read("other") == b"one\n"


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
    gathered(merging)
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
    gathered(merging)

    assert len(paths(b)) == 2
    assert all(".variant-" in name for name in paths(b))


def run_anyhow(repo: Repo, *args: str) -> None:
    """A git-annex command that fails."""
    with pytest.raises(AssertionError):
        repo.annex(*args)


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


@pytest.mark.parametrize("adjustment", ["--unlock", "--hide-missing", "--fix"])
def test_on_an_adjusted_branch_others_may_go_first_too(
    pair: tuple[Repo, Repo], merging: Merging, adjustment: str
) -> None:
    """Each merge costs two runs of git-annex there, and all merged each other's for ten seconds."""
    a, b = pair
    both_have_merged(a, b)
    b.annex("adjust", "-q", adjustment)

    assert isinstance(merging.merge(), Yielding)
    wait_until(lambda: isinstance(merging.merge(), Merged))

    b.git("merge-base", "--is-ancestor", a.head(), "main")
    assert b.status() == b""


def test_a_ref_that_cannot_follow_holds_up_no_merge(pair: tuple[Repo, Repo], desk: Desk) -> None:
    """A branch is called ``synced``: nothing was merged, and nothing filled, for ever."""
    a, b = pair
    note(a, "file", b"news")
    for ref in b.git("for-each-ref", "--format=%(refname)", "refs/heads/synced").decode().split():
        b.git("update-ref", "-d", ref)
    b.git("branch", "synced")
    b.git("fetch", "-q", "a")
    joining = Joining(desk, Footing(desk), nothing)

    assert joining.merge(time.monotonic()) is None

    assert b.read("file") == b"news"


def test_if_nobody_goes_first_it_is_our_turn(pair: tuple[Repo, Repo], merging: Merging) -> None:
    a, b = pair
    both_have_merged(a, b)
    assert isinstance(merging.merge(), Yielding)

    wait_until(lambda: isinstance(merging.merge(), Merged))

    b.git("merge-base", "--is-ancestor", a.head(), "main")
    follows(a, b)


def amended(a: Repo, b: Repo, merging: Merging) -> None:
    """``b`` has merged what ``a`` amends then, and finds the new commit in its place."""
    note(a, "f", b"first\n")
    b.git("fetch", "-q", "a")
    merged(merging)
    a.git("fetch", "-q", "b")
    a.write("f", b"second\n")
    a.git("-c", "annex.largefiles=nothing", "commit", "-q", "-a", "--amend", "-m", "amended")
    b.git("fetch", "-q", "a")


def test_what_was_amended_is_followed_once_annexd_over_there_has_merged_it(
    pair: tuple[Repo, Repo], merging: Merging
) -> None:
    a, b = pair
    amended(a, b, merging)

    assert isinstance(merging.merge(), Yielding)

    with desk_of(a) as desk:
        merged(Merging(desk, Footing(desk), nothing))
    b.git("fetch", "-q", "a")
    merged(merging)
    assert b.files() == a.files()
    assert b.read("f") == b"second\n"
    assert b.head() == a.head()


def test_where_nobody_merges_what_was_amended_it_is_merged_here_after_a_while(
    pair: tuple[Repo, Repo], merging: Merging
) -> None:
    a, b = pair
    amended(a, b, merging)

    gathered(merging)

    contents = {path.read_bytes() for path in b.path.glob("f*")}
    assert contents == {b"first\n", b"second\n"}


def test_what_was_amended_is_waited_for_also_if_the_old_commit_was_pushed_here(
    pair: tuple[Repo, Repo], merging: Merging
) -> None:
    a, b = pair
    b.git("fetch", "-q", "a")
    note(a, "f", b"first\n")
    push(a)
    merged(merging)
    a.write("f", b"second\n")
    a.git("-c", "annex.largefiles=nothing", "commit", "-q", "-a", "--amend", "-m", "amended")
    b.git("fetch", "-q", "a")

    assert isinstance(merging.merge(), Yielding)
