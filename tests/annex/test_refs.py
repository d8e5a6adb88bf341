"""Refs, read natively and moved through git, with git as the judge."""

import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.processes import run
from tests.repo import Repo
from workers.git.ancestry import is_ancestor, merge_bases
from workers.git.refname import RefName, branch_ref, parse_ref_name
from workers.git.refs import HEAD, BrokenRefError, Head, Refs
from workers.git.run import Git, GitError
from workers.git.stream import ObjectId
from workers.git.update_refs import Expected, Move, UpdateRefs

MAIN = parse_ref_name(b"refs/heads/main")
FORK = multiprocessing.get_context("fork")


@pytest.fixture(params=["sha1", "sha256"])
def plain(request: pytest.FixtureRequest, tmp_path: Path) -> Repo:
    return Repo.plain(tmp_path / "repo", request.param)


def commit(repo: Repo, message: str = "next") -> ObjectId:
    repo.git("commit", "-q", "--allow-empty", "-m", message)
    return ObjectId(repo.head())


def test_refs_are_read_loose_packed_and_both(plain: Repo) -> None:
    refs = Refs(plain.plumbing)
    assert refs.head() == Head(MAIN, None)
    first = commit(plain)
    plain.git("branch", "feature/one")
    plain.git("tag", "-a", "-m", "annotated", "v1")
    assert refs.get(branch_ref(b"feature/one")) == first
    plain.git("pack-refs", "--all", "--prune")
    assert refs.get(branch_ref(b"feature/one")) == first
    assert refs.head() == Head(MAIN, first)
    second = commit(plain)

    assert refs.head() == Head(MAIN, second)
    assert refs.get(branch_ref(b"feature/one")) == first
    assert refs.get(branch_ref(b"one")) is None
    assert refs.get(branch_ref(b"feature")) is None
    assert refs.get(branch_ref(b"main/below")) is None
    tag = refs.get(parse_ref_name(b"refs/tags/v1"))
    assert tag == plain.git("rev-parse", "v1").decode().strip()
    plain.git("checkout", "-q", "--detach")
    assert refs.head() == Head(None, second)


def test_listing_follows_symbolic_refs(plain: Repo) -> None:
    oid = commit(plain)
    plain.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/heads/main")
    plain.git("update-ref", b"refs/heads/\xff\xfe", oid)

    found = {ref.name: ref for ref in Refs(plain.plumbing).list(b"refs/")}

    assert set(found) == {MAIN, b"refs/remotes/origin/HEAD", b"refs/heads/\xff\xfe"}
    assert {ref.oid for ref in found.values()} == {oid}
    assert found[RefName(b"refs/remotes/origin/HEAD")].target == MAIN
    assert Refs(plain.plumbing).list(b"refs/tags/") == ()


def test_what_is_listed_natively_is_what_git_lists(plain: Repo) -> None:
    first = commit(plain)
    for name in (b"refs/synced/u1/main", b"refs/synced/u2/a/b", b"refs/remotes/x/main"):
        plain.git("update-ref", name, first)
    plain.git("pack-refs", "--all", "--prune")
    second = commit(plain)
    plain.git("update-ref", "refs/synced/u1/main", second)
    plain.git("update-ref", "refs/synced/u3/main", second)
    plain.git("tag", "-a", "-m", "annotated", "v1")
    (plain.path / ".git/refs/synced/u4").mkdir()
    (plain.path / ".git/refs/synced/u4/main.lock").write_bytes(b"")
    (plain.path / ".git/refs/synced/u4/torn").write_bytes(b"0123")

    for prefix in (b"refs/synced/", b"refs/", b"refs/heads/", b"refs/none/"):
        asked = plain.git("for-each-ref", "--format=%(refname) %(objectname)", prefix)
        found = [b"%b %b" % (r.name, r.oid.encode()) for r in Refs(plain.plumbing).list(prefix)]
        assert found == asked.splitlines()
    assert Refs(plain.plumbing).list() == Refs(plain.plumbing).list(b"refs/")


def test_a_linked_work_tree_has_its_own_head_and_the_common_refs(
    plain: Repo, tmp_path: Path
) -> None:
    oid = commit(plain)
    plain.git("worktree", "add", "-q", "-b", "other", tmp_path / "linked")
    linked = Repo(tmp_path / "linked")
    gitdir = Path(linked.git("rev-parse", "--absolute-git-dir").decode().strip())
    refs = Refs(Git(gitdir, linked.path))

    assert refs.head() == Head(branch_ref(b"other"), oid)
    assert refs.get(MAIN) == oid
    linked.git("bisect", "start")
    linked.git("bisect", "bad")
    assert refs.get(parse_ref_name(b"refs/bisect/bad")) == oid
    assert Refs(plain.plumbing).get(parse_ref_name(b"refs/bisect/bad")) is None


def test_a_repository_with_reftables_is_asked_through_git(plain: Repo) -> None:
    """Git 2.39 cannot make one; what it looks like from outside is the directory."""
    oid = commit(plain)
    (plain.path / ".git/reftable").mkdir()
    refs = Refs(plain.plumbing)

    assert refs.head() == Head(MAIN, oid)
    assert refs.get(MAIN) == oid
    assert refs.get(branch_ref(b"absent")) is None


@pytest.mark.parametrize("text", [b"", b"garbage\n", b"0123456789\n", b"\0" * 41])
def test_a_torn_ref_is_an_error_and_not_absent(plain: Repo, text: bytes) -> None:
    commit(plain)
    (plain.path / ".git/refs/heads/main").write_bytes(text)
    with pytest.raises(BrokenRefError):
        Refs(plain.plumbing).get(MAIN)


def test_a_head_that_leads_to_no_name_is_a_torn_ref(plain: Repo) -> None:
    """It was another ValueError, which nobody expects who waits until a torn ref is mended."""
    commit(plain)
    (plain.path / ".git/HEAD").write_bytes(b"ref: \n")

    with pytest.raises(BrokenRefError):
        Refs(plain.plumbing).head()


def test_symbolic_refs_in_a_circle_are_an_error(plain: Repo) -> None:
    (plain.path / ".git/refs/heads/a").write_bytes(b"ref: refs/heads/b\n")
    (plain.path / ".git/refs/heads/b").write_bytes(b"ref: refs/heads/a\n")
    with pytest.raises(BrokenRefError):
        Refs(plain.plumbing).get(branch_ref(b"a"))


def test_ancestors_and_bases(plain: Repo) -> None:
    git, root = plain.plumbing, commit(plain, "root")
    one = commit(plain, "one")
    plain.git("checkout", "-q", "-b", "side", root)
    two = commit(plain, "two")
    plain.git("checkout", "-q", "--orphan", "alone")
    alone = commit(plain, "alone")

    assert is_ancestor(git, root, one)
    assert is_ancestor(git, one, one)
    assert not is_ancestor(git, one, two)
    assert merge_bases(git, one, two) == (root,)
    assert merge_bases(git, one, alone) == ()
    with pytest.raises(GitError):
        is_ancestor(git, ObjectId("1" * len(root)), root)


NAMES = st.lists(
    st.sampled_from([*"ab-./~^:?*[\\ @{\x7f\n\té", "..", ".lock", "HEAD", "x" * 250]),
    max_size=5,
).map("".join)


@given(NAMES)
def test_we_accept_no_name_that_git_refuses(name: str) -> None:
    full = b"refs/heads/" + name.encode()
    try:
        run(["git", "check-ref-format", full])
        git_accepts = True
    except AssertionError:
        git_accepts = False
    try:
        parse_ref_name(full)
        we_accept = True
    except ValueError:
        we_accept = False
    assert we_accept == (git_accepts and len(full) <= 1024)


@pytest.mark.parametrize(
    "name", [b"", b"main", b"head", b"refs", b"../x", b"/refs/heads/a", b"-d", b"refs/../HEAD"]
)
def test_a_name_that_is_not_full_is_refused(name: bytes) -> None:
    with pytest.raises(ValueError, match="name"):
        parse_ref_name(name)
    assert parse_ref_name(b"FETCH_HEAD") == b"FETCH_HEAD"


def test_a_move_happens_only_from_the_expected_value(plain: Repo) -> None:
    first = commit(plain)
    second = commit(plain)
    new = branch_ref(b"new")
    refs = Refs(plain.plumbing)
    with UpdateRefs(plain.plumbing, "annexd: test") as writer:
        assert writer.move(Move(new, first, None))
        assert not writer.move(Move(new, second, None))  # exists
        assert not writer.move(Move(new, second, second))  # elsewhere
        assert refs.get(new) == first
        assert writer.move(Move(new, second, first), Move(MAIN, second, second))
        # All or nothing.
        assert not writer.move(Move(new, first, second), Move(MAIN, first, first))
        assert refs.get(new) == second
        assert writer.move(Move(new, first, Expected.ANYTHING))
        assert not writer.move(Move(new, None, second))
        assert writer.move(Move(new, None, first))
        assert writer.move(Move(branch_ref(b"packed"), first, None))
        plain.git("pack-refs", "--all", "--prune")
        assert writer.move(Move(branch_ref(b"packed"), second, first))
        assert not writer.move(Move(branch_ref(b"never"), second, first))
    assert refs.get(new) is None
    assert b"annexd: test" in plain.git("reflog", "-1", "refs/heads/packed")


def test_what_git_cannot_do_is_an_error_and_moves_nothing(plain: Repo) -> None:
    first = commit(plain)
    missing = ObjectId("1" * len(first))
    with UpdateRefs(plain.plumbing, "test") as writer:
        with pytest.raises(GitError, match="1111"):
            writer.move(Move(branch_ref(b"new"), first, None), Move(MAIN, missing, first))
        assert Refs(plain.plumbing).get(branch_ref(b"new")) is None
        (plain.path / ".git/refs/heads/main.lock").touch()
        with pytest.raises(GitError, match="lock"):
            writer.move(Move(MAIN, first, first))
        (plain.path / ".git/refs/heads/main.lock").unlink()
        hook = plain.path / ".git/hooks/reference-transaction"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text("#!/bin/sh\n[ $1 != prepared ]\n")
        hook.chmod(0o755)
        with pytest.raises(GitError, match="hook"):
            writer.move(Move(branch_ref(b"new"), first, None))
        hook.unlink()
        assert writer.move(Move(branch_ref(b"new"), first, None))


def test_a_killed_git_is_started_again(plain: Repo) -> None:
    first = commit(plain)
    with UpdateRefs(plain.plumbing, "test") as writer:
        assert writer.move(Move(branch_ref(b"a"), first, None))
        assert writer._stream is not None
        os.kill(writer._stream._process.pid, signal.SIGKILL)
        assert writer.move(Move(branch_ref(b"b"), first, None))
    assert Refs(plain.plumbing).get(branch_ref(b"b")) == first


def advance(repo: Repo, oids: list[ObjectId], wins: Path) -> None:
    refs, won = Refs(repo.plumbing), 0
    with UpdateRefs(repo.plumbing, "race") as writer:
        while (now := refs.get(MAIN)) != oids[-1]:
            assert now is not None
            won += writer.move(Move(MAIN, oids[oids.index(now) + 1], now))
    wins.write_text(str(won))


def test_of_two_who_move_a_ref_one_wins(tmp_path: Path) -> None:
    repo = Repo.plain(tmp_path / "repo")
    oids = [commit(repo, str(number)) for number in range(40)]
    repo.git("update-ref", MAIN, oids[0])
    wins = [tmp_path / name for name in ("one", "two")]
    workers = [FORK.Process(target=advance, args=(repo, oids, name)) for name in wins]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)

    assert sum(int(name.read_text()) for name in wins) == len(oids) - 1
    assert len(repo.git("reflog", "refs/heads/main").splitlines()) >= len(oids) - 1


def test_one_look_at_a_ref_costs_little(plain: Repo) -> None:
    commit(plain)
    for number in range(50):
        plain.git("branch", f"b{number}")
    plain.git("pack-refs", "--all")
    refs = Refs(plain.plumbing)
    start = time.perf_counter()
    for _ in range(200):
        assert refs.follow(HEAD)[1] is not None
    assert time.perf_counter() - start < 1.0
