"""What an assistant commits is merged when it says what its user did."""

import time
from collections.abc import Callable

import pytest

from tests.desks import paths
from tests.merging.steps import follows, merged, note, push, save
from tests.processes import run_to_end, wait_until
from tests.repo import Repo
from workers.git.commit import MADE_BY
from workers.watcher.doubts import LONGEST_S, SETTLE_S
from workers.watcher.maker import ANNEXD
from workers.watcher.merging import Merging
from workers.watcher.outcome import Merged, Yielding

LOOK_MAX_S = 30.0


def claim(repo: Repo) -> None:
    """Have annexd have made the last commit."""
    head, _empty, message = repo.git("cat-file", "commit", "HEAD").partition(b"\n\n")
    told = head + b"\n" + MADE_BY + ANNEXD + b"\n\n" + message
    made = repo.git("hash-object", "-wt", "commit", "--stdin", stdin=told)
    repo.git("reset", "-q", made.decode().strip())


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


@pytest.mark.parametrize("twice", [False, True])
def test_what_assistants_delete_twice_is_kept(
    pair: tuple[Repo, Repo], merging: Merging, *, twice: bool
) -> None:
    """One passes on to the other what it has deleted in haste; that one does not add it again."""
    a, b = pair
    save(a, "other", b"other")
    push(a)
    merged(merging)
    save(b, "fresh", b"fresh")
    a.git("pull", "-q", b.path, "main")
    for name in ("c", "d") if twice else ("c",):
        a.git("rm", "-q", "fresh")
        a.git("commit", "-qm", f"git-annex in {name}")
        if twice and name == "c":
            a.git("checkout", "-q", "HEAD^", "fresh")
            a.git("commit", "-qm", "git-annex in d")
    push(a)
    before = (b.path / "fresh").stat()
    assert isinstance(merging.merge(), Yielding)

    wait_until(lambda: isinstance(merging.merge(), Merged), SETTLE_S + 5)

    assert b.exists("fresh") == twice
    if twice:
        assert (b.path / "fresh").stat().st_ino == before.st_ino
        assert b.status() == b""
        a.git("pull", "-q", b.path, "main")
        follows(a, b)


def test_what_is_deleted_under_an_annexd_is_not_kept_as_an_assistant_finds_out(
    pair: tuple[Repo, Repo], merging: Merging
) -> None:
    """An assistant adds a file again that was moved away elsewhere, and sees that it is gone."""
    a, b = pair
    save(a, "fresh", b"fresh")
    push(a)
    merged(merging)
    a.git("mv", "fresh", "elsewhere")
    a.git("commit", "-qm", "git-annex in b")
    claim(a)
    save(a, "fresh", b"fresh")
    a.git("commit", "-q", "--amend", "-m", "git-annex in a")
    push(a)
    merged(merging)
    assert paths(b) == {"fresh", "elsewhere"}
    a.git("rm", "-q", "fresh")
    a.git("commit", "-qm", "git-annex in a")
    push(a)

    wait_until(lambda: isinstance(merging.merge(), Merged), LONGEST_S + 5)

    assert paths(b) == {"elsewhere"}
    follows(a, b)


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


def test_a_text_of_markers_that_never_end_holds_nothing_up(
    pair: tuple[Repo, Repo], merging: Merging
) -> None:
    """A peer has made it to be looked at for ever: as one expression it took minutes."""
    a, b = pair
    note(a, "file.x", b"first")
    push(a)
    merged(merging)
    note(a, "file.x", b"theirs")
    note(b, "file.x", b"ours")
    merge_like_an_assistant(a, b)
    text = b"<<<<<<< HEAD\n=======\n" * 3000
    a.write("file.x", text)
    a.git("commit", "-q", "--amend", "-a", "-m", a.git("log", "-1", "--format=%B").decode())
    push(a)

    began = time.monotonic()
    merged(merging)

    assert time.monotonic() - began < LOOK_MAX_S
    assert b.read("file.x") == text


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
    claim(a)
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


def test_markers_that_git_has_brought_into_a_variant_are_replaced(
    pair: tuple[Repo, Repo], merging: Merging
) -> None:
    """A second assistant puts a marked file back for a moment: git takes our variant for it."""
    a, b = pair
    save(a, "file.x", b"first")
    push(a)
    merged(merging)
    save(a, "file.x", b"theirs")
    save(b, "file.x", b"ours")
    merge_like_an_assistant(a, b)
    push(a)
    merged(merging)
    save(a, "file.x", b"theirs")
    push(a)
    merged(merging)
    found = {name: b.read(name) for name in paths(b)}
    a.git("checkout", "-q", "HEAD^", "file.x")
    a.git("commit", "-q", "-m", "git-annex in a")
    b.git("push", "-q", a.path, "main:refs/remotes/b/main")
    a.git("merge", "-q", "--no-edit", "refs/remotes/b/main")
    push(a)

    merged(merging)

    assert {name: b.read(name) for name in paths(b)} == found
    assert len(found) == 2
    assert not any(content.startswith(b"<<<") for content in found.values())


@pytest.mark.parametrize("known", [False, True])
def test_markers_that_an_assistant_takes_back_for_a_moment_are_waited_for(
    pair: tuple[Repo, Repo], merging: Merging, *, known: bool
) -> None:
    """It gets them from another assistant; what we make of the half, it merges by plain git."""
    a, b = pair
    save(a, "file.x", b"first")
    push(a)
    merged(merging)
    save(a, "file.x", b"theirs")
    save(b, "file.x", b"ours")
    merge_like_an_assistant(a, b)
    if known:
        push(a)
        merged(merging)
    marked = a.head()
    save(a, "file.x", b"theirs")
    a.git("commit", "-q", "--amend", "-m", "git-annex in d")
    push(a)

    assert isinstance(merging.merge(), Yielding)

    a.git("checkout", "-q", marked, "file.x")
    a.git("commit", "-q", "-m", "git-annex in d")
    push(a)
    merged(merging)
    assert len(paths(b)) == 2
    assert not any(b.read(name).startswith(b"<<<") for name in paths(b))


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


@pytest.mark.parametrize("put", [save, note])
@pytest.mark.parametrize("ref", ["refs/heads/synced/main", "refs/remotes/b/synced/main"])
def test_markers_that_an_assistant_has_committed_as_an_edit_are_no_version(
    pair: tuple[Repo, Repo],
    merging: Merging,
    put: Callable[[Repo, str, bytes], None],
    ref: str,
) -> None:
    """On top of its own version only, as if there was no merge; we have gone on since."""
    a, b = pair
    put(a, "file.x", b"first")
    push(a)
    merged(merging)
    put(a, "file.x", b"theirs")
    theirs = a.head()
    put(b, "file.x", b"ours")
    both = {one.git("rev-parse", "HEAD:file.x") for one in pair}
    merge_like_an_assistant(a, b, ref)
    markers = a.git("rev-parse", "HEAD^{tree}").decode().strip()
    a.git("reset", "-q", "--soft", theirs)
    a.git("commit", "-q", "-m", "git-annex in a")
    assert a.git("rev-parse", "HEAD^{tree}").decode().strip() == markers
    assert a.marked()
    put(b, "elsewhere", b"x")
    push(a)

    wait_until(lambda: isinstance(merging.merge(), Merged), LONGEST_S + 5)

    kept = paths(b) - {"elsewhere"}
    assert {b.git("rev-parse", f"HEAD:{name}") for name in kept} == both


@pytest.mark.parametrize("put", [save, note])
@pytest.mark.parametrize(
    "said", [b"first\n=======\nsecond\n", b"=======\n", b"first\n=======\nours\n"]
)
def test_what_somebody_writes_about_markers_is_a_version(
    pair: tuple[Repo, Repo],
    merging: Merging,
    put: Callable[[Repo, str, bytes], None],
    said: bytes,
) -> None:
    """What git would not write about these versions; or not only that."""
    a, b = pair
    put(a, "file.x", b"first")
    push(a)
    merged(merging)
    put(b, "file.x", b"ours")
    text = b"<<<<<<< HEAD\n" + said + b">>>>>>> refs/heads/synced/main\n"
    put(a, "file.x", text if b"ours" not in said else b"As git says:\n" + text)
    a.git("commit", "-q", "--amend", "-m", "git-annex in a")
    both = {one.git("rev-parse", "HEAD:file.x") for one in pair}
    push(a)

    wait_until(lambda: isinstance(merging.merge(), Merged), LONGEST_S + 5)

    assert {b.git("rev-parse", f"HEAD:{name}") for name in paths(b)} == both


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
