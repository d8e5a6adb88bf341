"""The pusher alone: refs reach every remote, and what remotes have reaches us.

Nobody merges trees in these tests but the tests themselves.
"""

import errno
import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from spool.key import Key, parse
from spool.queue import Queue
from spool.state import YIELDS, Activity, State, write_state
from spool.transfer import Direction, Lane
from tests.annex.logs import some_keys
from tests.processes import alive, attempt, descendants, run, stays, wait_until
from tests.pushing import Pushed, has, place, pushing, tip
from tests.repo import Repo
from tests.system.drives import may_mount, mounted_read_only
from workers.annex.objects import Objects
from workers.annex.repository import find
from workers.annex.verification import unverified
from workers.pusher import contention
from workers.pusher import errand as pushers_errand
from workers.pusher.sending import MANY
from workers.pusher.undone import FIRST_S, FREE


def commit(repo: Repo, name: str = "file", content: bytes = b"x") -> str:
    """Commit a file, without the help of git-annex; the commit."""
    repo.write(name, content)
    repo.git("add", "--", name)
    repo.git("commit", "-q", "-m", name)
    return repo.head()


def note(pusher: Pushed, name: str) -> str | None:
    """What it says of itself under that name."""
    state = pusher.state()
    return state.note(name) if state else None


def bare(path: Path) -> Repo:
    """A bare repository that git-annex has not seen."""
    path.mkdir()
    repo = Repo(path)
    repo.git("init", "-q", "--bare")
    return repo


def test_a_commit_reaches_a_repository_with_a_work_tree_beside_its_branch(
    pair: tuple[Repo, Repo],
) -> None:
    a, b = pair
    before = b.head()
    with pushing(a) as pusher:
        new = commit(a)

        wait_until(has(b, "heads/synced/main", new))
        pusher.settled()
    assert b.head() == before
    assert b.status() == b""


def test_a_branch_of_any_name_is_pushed(pair: tuple[Repo, Repo]) -> None:
    a, b = pair
    with pushing(a):
        a.git("checkout", "-q", "-b", "deep/er/näme")
        new = commit(a)

        wait_until(has(b, "heads/synced/deep/er/näme", new))


def test_an_adjusted_branch_stays_here_and_its_original_is_pushed(pair: tuple[Repo, Repo]) -> None:
    a, b = pair
    a.annex("adjust", "-q", "--unlock")
    with pushing(a) as pusher:
        new = a.git("commit-tree", "main^{tree}", "-p", "main", "-m", "new").decode().strip()
        a.git("update-ref", "refs/heads/main", new)

        wait_until(has(b, "heads/synced/main", new))
        pusher.settled()
    assert b"adjusted" not in b.git("for-each-ref")


def test_a_bare_repository_gets_the_branch_itself_and_becomes_an_annex(
    repo: Repo, tmp_path: Path
) -> None:
    first = commit(repo)
    hub = bare(tmp_path / "hub")
    repo.git("remote", "add", "hub", "../hub")
    with pushing(repo) as pusher:
        wait_until(has(hub, "heads/main", first))
        wait_until(lambda: b"remote.hub.annex-uuid" in repo.git("config", "-l"))
        pusher.settled()
        new = commit(repo, "more")
        wait_until(has(hub, "heads/main", new))
        wait_until(has(hub, "heads/synced/main", new))
    assert repo.git("config", "remote.hub.annex-uuid").decode().strip() == hub.uuid()
    assert repo.uuid().encode() in hub.git("show", "git-annex:uuid.log")


def test_learning_its_uuid_does_not_end_the_initialising_of_a_remote(
    repo: Repo, tmp_path: Path
) -> None:
    """The sentry sees ``annex.uuid`` there before git-annex has described the repository."""
    commit(repo)
    hub = bare(tmp_path / "hub")
    with pushing(repo) as pusher:
        repo.git("remote", "add", "hub", hub.path)
        wait_until(lambda: b"annex.uuid" in hub.git("config", "-l"), 20)
        repo.config("remote.hub.annex-uuid", hub.uuid())

        wait_until(lambda: hub.uuid().encode() in hub.git("show", "git-annex:uuid.log"), 20)
        pusher.settled()
        assert hub.uuid().encode() in repo.git("show", "git-annex:uuid.log")


def test_a_remote_that_was_half_initialised_is_initialised(repo: Repo, tmp_path: Path) -> None:
    uuid = "00000000-1111-4000-8000-000000000001"
    hub = bare(tmp_path / "hub")
    hub.config("annex.uuid", uuid)
    hub.config("annex.version", "10")
    repo.git("remote", "add", "hub", hub.path)
    repo.config("remote.hub.annex-uuid", uuid)
    with pushing(repo):
        commit(repo)

        wait_until(lambda: tip(hub, "heads/git-annex"))
        log = ("log", "-p", "git-annex", "--", "uuid.log")  # its first commit is an empty one
        wait_until(lambda: uuid.encode() in hub.git(*log), 20)
    assert hub.uuid() == uuid


def test_a_git_repository_that_shall_not_be_an_annex_is_none(repo: Repo, tmp_path: Path) -> None:
    first = commit(repo)
    hub = bare(tmp_path / "hub")
    hub.config("annex.autoinit", "false")
    repo.git("remote", "add", "hub", "../hub")
    with pushing(repo) as pusher:
        wait_until(has(hub, "heads/main", first))
        pusher.settled()

    assert tip(hub, "heads/git-annex") == repo.annex_tip()
    assert b"annex.uuid" not in hub.git("config", "-l")


def test_the_journal_is_committed_and_pushed(pair: tuple[Repo, Repo]) -> None:
    a, b = pair
    with pushing(a) as pusher:
        a.config("annex.alwayscommit", "false")
        a.annex("setpresentkey", "SHA256E-s3--x", a.uuid(), "1")
        assert list((a.path / ".git/annex/journal").iterdir())
        a.config("annex.alwayscommit", "true")

        wait_until(lambda: not list((a.path / ".git/annex/journal").iterdir()))
        wait_until(lambda: tip(b, "heads/synced/git-annex") == a.annex_tip())
        pusher.settled()
    assert b.whereis(b"SHA256E-s3--x") == {a.uuid().encode()}


def test_what_a_remote_without_a_daemon_has_is_fetched_and_merged(pair: tuple[Repo, Repo]) -> None:
    a, b = pair
    with pushing(a) as pusher:
        pusher.settled()
        key = b.add("from b", b"content")

        wait_until(has(a, "remotes/b/main", b.head()))
        wait_until(lambda: b.uuid().encode() in a.whereis(key))


def test_what_is_pushed_into_us_is_merged_into_the_git_annex_branch(
    pair: tuple[Repo, Repo],
) -> None:
    a, b = pair
    a.git("remote", "remove", "b")
    with pushing(a) as pusher:
        pusher.settled()
        b.annex("setpresentkey", "SHA256E-s3--x", b.uuid(), "1")
        b.annex("merge", "-q")
        b.git("push", "-q", "a", "+git-annex:synced/git-annex")

        wait_until(lambda: b.git("merge-base", "--is-ancestor", "git-annex", a.annex_tip()) == b"")


def test_what_others_have_is_merged_before_what_we_have_is_pushed(pair: tuple[Repo, Repo]) -> None:
    a, b = pair
    theirs = commit(b, "theirs")
    b.git("branch", "-f", "synced/main")
    with pushing(a) as pusher:
        ours = commit(a, "ours")
        wait_until(has(a, "remotes/b/synced/main", theirs))
        assert tip(b, "heads/synced/main") == theirs

        a.git("merge", "-q", "--no-edit", "b/main")

        wait_until(has(b, "heads/synced/main", a.head()))
        pusher.settled()
    b.git("merge-base", "--is-ancestor", ours, "synced/main")


def test_what_somebody_has_left_there_is_not_overwritten(pair: tuple[Repo, Repo]) -> None:
    """In the ref that all push to, and in no branch."""
    a, b = pair
    theirs = commit(b, "theirs")
    b.git("branch", "-f", "synced/main")
    b.git("reset", "-q", "--hard", "HEAD~")
    with pushing(a) as pusher:
        commit(a, "ours")
        wait_until(has(a, "remotes/b/synced/main", theirs))
        stays(has(b, "heads/synced/main", theirs), 2)

        a.git("merge", "-q", "--no-edit", "b/synced/main")

        wait_until(has(b, "heads/synced/main", a.head()))
        pusher.settled()


def test_nobody_gets_what_he_would_have_to_merge(pair: tuple[Repo, Repo]) -> None:
    """Where an assistant works, that may end in conflict markers."""
    a, b = pair
    theirs = commit(b, "theirs")
    with pushing(a):
        ours = commit(a, "ours")
        wait_until(has(a, "remotes/b/main", theirs))
        stays(lambda: tip(b, "heads/synced/main") != ours, 2)

        a.git("merge", "-q", "--no-edit", "b/main")

        wait_until(has(b, "heads/synced/main", a.head()))


def test_nothing_waits_any_more_when_others_have_merged_it(pair: tuple[Repo, Repo]) -> None:
    a, b = pair
    commit(b, "theirs")
    with pushing(a) as pusher:
        commit(a, "ours")
        pusher.looked()
        b.git("pull", "-q", "--no-rebase", "--no-edit", a.path, "main")
        a.git("pull", "-q", "--ff-only", b.path, "main")

        pusher.settled()


def test_what_an_assistant_takes_back_again_and_again_is_not_pushed_again_at_once(
    pair: tuple[Repo, Repo],
) -> None:
    """One that is stuck in a merge sets the ref back at each sync, for as long as it runs."""
    a, b = pair
    with pushing(a) as pusher:
        ours = commit(a, "ours")
        for _ in range(FREE + 1):
            wait_until(has(b, "heads/synced/main", ours))
            pusher.looked()
            b.git("branch", "-q", "-f", "synced/main", "main")
        stays(lambda: tip(b, "heads/synced/main") != ours, FIRST_S / 2)

        wait_until(has(b, "heads/synced/main", ours), 3 * FIRST_S)

        b.git("branch", "-q", "-f", "synced/main", "main")
        stays(lambda: tip(b, "heads/synced/main") != ours, FIRST_S / 2)
        newer = commit(a, "newer")
        wait_until(has(b, "heads/synced/main", newer), FIRST_S)


def test_where_annexd_has_merged_everything_goes_at_once(pair: tuple[Repo, Repo]) -> None:
    a, b = pair
    b.git("config", "user.name", "annexd")
    b.git("config", "user.email", "annexd@localhost")
    theirs = commit(b, "theirs")
    with pushing(a):
        ours = commit(a, "ours")
        wait_until(has(a, "remotes/b/main", theirs))
        wait_until(has(b, "heads/synced/main", ours), 5)


def test_what_is_never_merged_here_does_not_keep_ours_from_the_remote(
    pair: tuple[Repo, Repo],
) -> None:
    a, b = pair
    commit(b, "theirs")
    b.git("branch", "-f", "synced/main")
    with pushing(a) as pusher:
        ours = commit(a, "ours")
        mine = f"synced/{a.uuid()}/main"
        wait_until(has(b, mine, ours), 45)
        pusher.settled()
        assert tip(b, mine) == ours

        a.git("merge", "-q", "--no-edit", "b/main")

        wait_until(has(b, "heads/synced/main", a.head()))
        wait_until(has(b, mine, ""))
        pusher.settled()


def test_while_the_watcher_leaves_a_merge_to_an_assistant_it_gets_nothing_to_merge(
    pair: tuple[Repo, Repo], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be stuck in the conflict that is to be resolved here."""
    a, b = pair
    monkeypatch.setattr(contention, "MERGE_S", 0.5)
    commit(b, "theirs")
    b.git("branch", "-f", "synced/main")
    states = place(a).state
    write_state(states, "watcher", State(Activity.IDLE, 0, ((YIELDS, "a merge"),)))
    with pushing(a) as pusher:
        ours = commit(a, "ours")
        mine = f"synced/{a.uuid()}/main"
        wait_until(lambda: note(pusher, "pending"))
        stays(has(b, mine, ""), 3)

        write_state(states, "watcher", State(Activity.IDLE, 0))

        wait_until(has(b, mine, ours))


def test_tagged_refs_that_others_left_here_are_removed_when_they_are_merged(
    pair: tuple[Repo, Repo],
) -> None:
    a, b = pair
    a.git("remote", "remove", "b")
    with pushing(a):
        commit(b, "theirs")
        left = f"refs/synced/{b.uuid()}"
        b.git("push", "-q", "a", f"main:{left}/main", f"git-annex:{left}/git-annex")
        wait_until(has(a, f"synced/{b.uuid()}/git-annex", ""))
        assert a.git("for-each-ref", left)

        a.git("merge", "-q", f"{left}/main")

        wait_until(lambda: not a.git("for-each-ref", left))


@pytest.mark.parametrize(
    "ref",
    ["remotes/b/main", "remotes/b/git-annex", "remotes/b/synced/main", "heads/synced/main"],
)
def test_a_ref_that_a_power_cut_has_emptied_does_not_end_the_pusher(
    pair: tuple[Repo, Repo], ref: str
) -> None:
    """Git makes refs without syncing them; then no remote got anything any more."""
    a, b = pair
    with pushing(a) as pusher:
        pusher.settled()
        torn = a.path / ".git/refs" / ref
        torn.parent.mkdir(exist_ok=True)
        torn.write_bytes(b"")

        new = commit(a)

        wait_until(has(b, "heads/synced/main", new))
        pusher.settled()


def test_what_was_fetched_and_lost_in_a_power_cut_is_fetched_again(
    pair: tuple[Repo, Repo],
) -> None:
    a, b = pair
    torn = a.path / ".git/refs/remotes/b/main"
    torn.write_bytes(b"")
    new = commit(b)

    with pushing(a):
        wait_until(has(a, "remotes/b/main", new))


def test_a_ref_of_ours_where_tags_would_be_does_not_end_the_pusher(
    pair: tuple[Repo, Repo],
) -> None:
    a, b = pair
    a.git("update-ref", "refs/synced", "HEAD")
    with pushing(a) as pusher:
        new = commit(a)

        wait_until(has(b, "heads/synced/main", new))
        pusher.settled()


def test_of_a_burst_only_what_has_been_sent_is_told(pair: tuple[Repo, Repo]) -> None:
    """Else the other one makes thousands of files twice: without their contents, and with them."""
    a, b = pair
    start = a.head()
    key, first = annexed(a, "first")
    _key, second = annexed(a, "second")
    a.git("repack", "-adq")  # as commits of many files are written
    a.git("update-ref", "refs/heads/main", start)
    there = find(b.path)
    lane = Lane(Direction.UPLOAD, there.uuid)
    jobs = ((each, None) for each in some_keys(MANY))
    Queue(find(a.path).layout).add_many(lane, jobs, time.time())
    with pushing(a) as pusher:
        pusher.settled()
        a.git("update-ref", "refs/heads/main", first)
        pusher.looked()
        a.git("update-ref", "refs/heads/main", second)
        pusher.looked()
        before = tip(b, "heads/synced/main")

        (b.path / "sent").write_bytes(b"first")
        Objects(there).store(key, os.fsencode(b.path / "sent"))

        wait_until(lambda: tip(b, "heads/synced/main") != before)
        assert tip(b, "heads/synced/main") == first
        wait_until(has(b, "heads/synced/main", second))


def annexed(repo: Repo, name: str) -> tuple[Key, str]:
    """A file with a content of its own, committed: its key, and the commit."""
    repo.write(name, name.encode())
    repo.annex("add", "--quiet", name)
    repo.git("commit", "-q", "-m", name)
    return parse(repo.annex("lookupkey", name).strip()), repo.head()


def test_unrelated_files_are_neither_pushed_nor_fetched(repo: Repo, tmp_path: Path) -> None:
    commit(repo, "ours")
    stranger = Repo.create(tmp_path / "stranger")
    commit(stranger, "theirs")
    before = stranger.git("for-each-ref")
    ours = repo.annex_tip()
    repo.git("remote", "add", "stranger", stranger.path)
    with pushing(repo) as pusher:
        wait_until(lambda: (at := pusher.settled().state()) and at.note("unrelated") == "stranger")
        assert stranger.git("for-each-ref") == before

        commit(repo, "ours again")  # now their files are here, and there is nothing to fetch
        pusher.settled()

        assert stranger.git("for-each-ref") == before
        assert repo.annex_tip() == ours
        assert not tip(repo, "remotes/stranger/git-annex")

        repo.config("annexd.allow-unrelated", "true")

        wait_until(lambda: tip(repo, "remotes/stranger/git-annex"))


@pytest.mark.parametrize(
    ("setting", "value"),
    [("annex-sync", "false"), ("annex-push", "false"), ("annex-readonly", "true")],
)
def test_a_remote_that_is_not_to_be_pushed_to_is_left_alone_until_it_is(
    pair: tuple[Repo, Repo], setting: str, value: str
) -> None:
    a, b = pair
    a.config(f"remote.b.{setting}", value)
    before = b.git("for-each-ref")
    with pushing(a) as pusher:
        new = commit(a)
        pusher.settled()
        assert b.git("for-each-ref") == before

        a.git("config", "--unset", f"remote.b.{setting}")

        wait_until(has(b, "heads/synced/main", new))


def test_a_dead_repository_is_left_alone_until_it_lives_again(
    pair: tuple[Repo, Repo], tmp_path: Path
) -> None:
    a, b = pair
    alive = a.clone(tmp_path / "alive")
    a.git("remote", "add", "alive", alive.path)
    a.annex("dead", "-q", "b")
    before = b.git("for-each-ref")
    with pushing(a) as pusher:
        new = commit(a)
        wait_until(has(alive, "heads/synced/main", new))
        pusher.settled()
        assert b.git("for-each-ref") == before

        a.annex("semitrust", "-q", "b")

        wait_until(has(b, "heads/synced/main", new), 20)


def test_nothing_is_fetched_from_a_remote_that_is_not_to_be_pulled_from(
    pair: tuple[Repo, Repo],
) -> None:
    a, b = pair
    a.config("remote.b.annex-pull", "false")
    before = tip(a, "remotes/b/main")
    with pushing(a) as pusher:
        commit(b, "theirs")
        pusher.settled()
        assert tip(a, "remotes/b/main") == before


def test_commits_that_a_remote_cannot_take_as_its_own_may_not_be_pulled_are_held(
    pair: tuple[Repo, Repo], tmp_path: Path
) -> None:
    a, b = pair
    hub = Repo.bare(tmp_path / "hub")
    for repo in pair:
        repo.remote(hub)
    a.git("push", "-q", "hub", "main")
    b.git("push", "-q", "hub", f"{commit(b, 'theirs')}:refs/heads/main")
    a.config("remote.hub.annex-pull", "false")
    with pushing(a) as pusher:
        ours = commit(a, "ours")
        wait_until(has(hub, f"synced/{a.uuid()}/main", ours))
        wait_until(lambda: note(pusher, "held") is not None, 10)
        assert "annex-pull" in str(note(pusher, "held"))

        a.git("pull", "-q", "--no-rebase", "--no-edit", "hub", "main")

        wait_until(has(hub, "heads/main", a.head()), 10)
        wait_until(lambda: note(pusher, "held") is None, 10)


def test_a_remote_added_while_it_runs_is_pushed_to_and_one_removed_is_not(
    pair: tuple[Repo, Repo], tmp_path: Path
) -> None:
    a, b = pair
    with pushing(a) as pusher:
        pusher.settled()
        c = bare(tmp_path / "c")
        a.git("remote", "add", "c", c.path)
        wait_until(has(c, "heads/main", a.head()))
        a.git("remote", "remove", "b")
        before = tip(b, "heads/synced/main")

        new = commit(a)

        wait_until(has(c, "heads/main", new))
        pusher.settled()
        assert tip(b, "heads/synced/main") == before


def test_a_broken_configuration_changes_nothing_until_it_is_mended(pair: tuple[Repo, Repo]) -> None:
    a, b = pair
    with pushing(a) as pusher:
        wait_until(has(b, "heads/synced/main", commit(a)))
        config = a.path / ".git/config"
        whole = config.read_bytes()
        new = commit(a, "other")
        config.write_bytes(whole + b"[broken\n")
        pusher.looked()

        config.write_bytes(whole)
        newer = commit(a, "third")

        wait_until(has(b, "heads/synced/main", newer))
        assert a.git("merge-base", "--is-ancestor", new, newer) == b""
        pusher.settled()


def test_a_remote_that_was_away_is_pushed_to_when_it_returns(
    pair: tuple[Repo, Repo], tmp_path: Path
) -> None:
    a, b = pair
    (tmp_path / "b").rename(tmp_path / "away")
    with pushing(a) as pusher:
        new = commit(a)
        pusher.settled()
        assert not (tmp_path / "b").exists()

        (tmp_path / "away").rename(tmp_path / "b")

        wait_until(has(b, "heads/synced/main", new))


def test_another_repository_at_the_path_gets_nothing(
    pair: tuple[Repo, Repo], tmp_path: Path
) -> None:
    a, b = pair
    with pushing(a) as pusher:
        pusher.settled()
        (tmp_path / "b").rename(tmp_path / "away")
        other = Repo.create(tmp_path / "other")
        before = other.git("for-each-ref")
        other.path.rename(b.path)

        commit(a)
        pusher.settled()

        assert b.git("for-each-ref") == before


def test_a_remote_that_hangs_delays_no_other_and_ends_with_the_pusher(
    pair: tuple[Repo, Repo], tmp_path: Path
) -> None:
    a, b = pair
    hung = bare(tmp_path / "hung")
    script = tmp_path / "receive-pack"
    script.write_text("#!/bin/sh\nexec sleep 1000\n")
    script.chmod(0o755)
    a.git("remote", "add", "hung", hung.path)
    a.config("remote.hung.receivepack", str(script))
    with pushing(a) as pusher:
        for number in range(3):
            new = commit(a, f"{number}")
            wait_until(has(b, "heads/synced/main", new), 5)
        wait_until(lambda: "sleep" in descendants(pusher.pid).values())
        left = set(descendants(pusher.pid))

        os.kill(pusher.pid, signal.SIGKILL)

        wait_until(lambda: not any(alive(pid) for pid in left), 5)


def test_a_failure_is_over_when_the_other_side_has_seen_to_everything(
    pair: tuple[Repo, Repo],
) -> None:
    a, b = pair
    with pushing(a) as pusher:
        pusher.settled()
        lock = a.path / ".git/refs/remotes/b/main.lock"
        lock.parent.mkdir(parents=True, exist_ok=True)
        lock.touch()
        new = commit(b)
        wait_until(lambda: pusher.record("b").failing_since is not None)

        b.git("push", "-q", "a", "main:synced/main", "git-annex:synced/git-annex")
        a.git("merge", "-q", "--ff-only", "synced/main")
        b.git("fetch", "-q", a.path, "+git-annex:git-annex", "main:synced/main")
        assert a.head() == new
        pusher.settled()

    assert pusher.record("b").failing_since is None


@may_mount
def test_a_drive_that_is_read_only_is_called_so(pair: tuple[Repo, Repo]) -> None:
    a, b = pair
    with mounted_read_only(b.path), pushing(a) as pusher:
        commit(a)
        wait_until(lambda: pusher.record("b").failures >= 1)
        assert pusher.record("b").last_error == f"{b.path}/.git is mounted read-only"


def test_a_failure_is_remembered_and_tried_again_when_asked(
    pair: tuple[Repo, Repo], tmp_path: Path
) -> None:
    a, b = pair
    script = tmp_path / "receive-pack"
    script.write_text("#!/bin/sh\necho no way >&2; exit 1\n")
    script.chmod(0o755)
    a.config("remote.b.receivepack", str(script))
    with pushing(a) as pusher:
        new = commit(a)
        wait_until(lambda: pusher.record("b").failures >= 1)
        record = pusher.record("b")
        assert "no way" in record.last_error
        assert record.not_before is not None
    with pushing(a) as pusher:
        assert pusher.record("b").last_error == record.last_error  # it may have tried again

        script.write_text('#!/bin/sh\nexec git receive-pack "$@"\n')
        with pytest.raises(AssertionError):
            pusher.settled(0.0)

        wait_until(has(b, "heads/synced/main", new))
        pusher.settled()
        assert pusher.record("b").failures == 0


def test_what_a_hook_over_there_refuses_is_a_failure_with_its_words(
    pair: tuple[Repo, Repo],
) -> None:
    a, b = pair
    hook = b.path / ".git/hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho not today >&2; exit 1\n")
    hook.chmod(0o755)

    with pushing(a) as pusher:
        new = commit(a)
        wait_until(lambda: pusher.record("b").failures >= 1, why=lambda: pusher.record("b"))
        assert "hook declined" in pusher.record("b").last_error

        hook.unlink()
        wait_until(has(b, "heads/synced/main", new), 60)


def test_a_pusher_with_nothing_to_do_starts_no_process_and_moves_no_ref(
    pair: tuple[Repo, Repo],
) -> None:
    a, b = pair
    with pushing(a) as one, pushing(b) as other:
        commit(a)
        one.settled()
        a.git("branch", "-q", "other")  # something that concerns nobody
        other.settled()
        refs = [a.git("for-each-ref"), b.git("for-each-ref")]
        records = [one.record("b"), other.record("a")]

        one.settled()
        other.settled()

        wait_until(lambda: descendants(one.pid) == {} == descendants(other.pid))
        assert [a.git("for-each-ref"), b.git("for-each-ref")] == refs
        assert [one.record("b"), other.record("a")] == records


def test_a_hundred_contents_logged_in_a_row_are_a_few_commits(pair: tuple[Repo, Repo]) -> None:
    a, _b = pair
    before = int(a.git("rev-list", "--count", "git-annex"))
    a.config("annex.alwayscommit", "false")
    with pushing(a):
        a.config("annex.alwayscommit", "true")
        line = f"1795000000.5s 1 {a.uuid()}\n"
        journal = a.path / ".git/annex/journal"
        journal.mkdir(exist_ok=True)
        for number in range(100):
            temporary = place(a).annex / f"new{number}"
            temporary.write_text(line)
            temporary.rename(journal / f"{number:03x}_000_SHA256E-s1--{number}.log")
            a.git("--version")  # as long as a small transfer
        wait_until(lambda: not list(journal.iterdir()))
    assert int(a.git("rev-list", "--count", "git-annex")) - before <= 3


def test_a_full_disk_stops_git_writes_and_they_resume_by_themselves(
    pair: tuple[Repo, Repo],
) -> None:
    a, b = pair
    a.config("annex.diskreserve", "1000tb")
    before = b.git("for-each-ref")
    with pushing(a) as pusher:
        new = commit(a)
        wait_until(lambda: "full" in pusher.record("b").last_error)
        assert b.git("for-each-ref") == before

        a.config("annex.diskreserve", "1kb")

        wait_until(has(b, "heads/synced/main", new))
        pusher.settled()
        assert pusher.record("b").last_error == ""


def test_git_data_goes_to_a_special_remote_that_has_none_yet(repo: Repo, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    repo.git("commit", "-q", "--allow-empty", "-m", "start")
    parameters = ["type=directory", f"directory={tmp_path}/store", "encryption=none"]
    made = ["git-annex", "initremote", "-q", "--with-url", "store", *parameters]
    if attempt(made, repo.path)[0]:
        pytest.skip("git-annex is too old for git-remote-annex")
    with pushing(repo) as pusher:
        pusher.settled(60)
        listed = repo.git("ls-remote", "store").decode().split()

        assert listed[listed.index("refs/heads/main") - 1] == repo.head()
        assert "refs/heads/synced/git-annex" in listed


def test_what_no_process_can_be_made_for_is_done_later(
    pair: tuple[Repo, Repo], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pusher ended, and so did all other exchanges."""
    monkeypatch.setattr(pushers_errand, "AGAIN_S", 1.0, raising=False)
    a, b = pair
    real, test, failed = os.fork, os.getpid(), iter(range(2))

    def fork() -> int:
        if os.getpid() != test and next(failed, None) is not None:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return real()

    monkeypatch.setattr(os, "fork", fork)
    with pushing(a) as pusher:
        new = commit(a, "new")
        wait_until(lambda: tip(b, "heads/synced/main") == new, 20, pusher.state)
        assert pusher.settled().pid


@pytest.mark.parametrize("hook", ["stock", "own"])
def test_a_remote_helper_that_pushes_from_within_hears_nothing_of_git_annex_s_hooks(
    hook: str, repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Git-remote-gcrypt does: what the hook said on stdout was no answer that git knew."""
    programs, inner = tmp_path / "programs", tmp_path / "inner"
    programs.mkdir()
    run(["git", "init", "-q", "--bare", inner])
    (programs / "git-remote-within").write_text(WITHIN.format(inner=inner))
    (programs / "git-annex").write_text(TALKATIVE.format(real=shutil.which("git-annex")))
    for program in programs.iterdir():
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    repo.git("commit", "-q", "--allow-empty", "-m", "start")
    repo.git("remote", "add", "far", "within::somewhere")
    ran = tmp_path / "ran"
    if hook == "own":
        file = repo.path / ".git/hooks/pre-push"
        file.write_text(f"#!/bin/sh\ntouch {ran}\n")
    with pushing(repo) as pusher:
        wait_until(has(Repo(inner), "heads/synced/main", repo.head()), 20, pusher.state)
        pusher.settled()
        assert not pusher.record("far").last_error
    assert ran.exists() == (hook == "own")


@pytest.mark.parametrize("kind", ["bare", "clone"])
def test_nothing_is_pushed_while_a_special_remote_waits_for_a_person_to_agree_to_it(
    kind: str, pair: tuple[Repo, Repo], tmp_path: Path
) -> None:
    """Who has sent us there may be an attacker; git-annex's pre-push hook was not run."""
    a, b = pair
    store = tmp_path / "store"
    store.mkdir()
    set_up = ("type=directory", f"directory={store}", "encryption=none")
    b.annex("initremote", "-q", "store", *set_up)
    a.annex("sync", "-q", "--no-content")
    a.annex("enableremote", "-q", "store", f"directory={store}")
    if "annex-verified=manual" not in a.git("config", "--list").decode():
        pytest.skip("git-annex is too old to ask")
    there = b
    if kind == "bare":
        there = bare(tmp_path / "hub.git")
        a.git("remote", "add", "hub", str(there.path))
        a.git("remote", "remove", "b")
    name = "hub" if kind == "bare" else "b"
    before = tip(there, "heads/synced/main")
    with pushing(a) as pusher:
        new = commit(a, "new")
        wait_until(lambda: "verifyremote store" in (pusher.record(name).last_error or ""), 20)
        assert tip(there, "heads/synced/main") == before

        a.config("remote.store.annex-verified", "verified")

        wait_until(has(there, "heads/synced/main", new), 20, pusher.state)


def test_what_was_agreed_to_is_known_by_the_log_too(repo: Repo, tmp_path: Path) -> None:
    """A remote of before 2026 has no setting that says so."""
    repo.annex("initremote", "-q", "store", "type=directory", f"directory={tmp_path}", NO_GPG)
    if not (repo.path / ".git/annex/verified-remote.log").exists():
        pytest.skip("git-annex is too old to ask")
    repo.git("config", "--unset", "remote.store.annex-verified")
    found = find(repo.path)
    assert unverified(found.settings, found.layout.annex) == []

    (repo.path / ".git/annex/verified-remote.log").write_bytes(b"")

    assert unverified(found.settings, found.layout.annex) == ["store"]
    refused, _ = attempt(["git-annex", "pre-push", "origin", "url"], repo.path)
    assert refused


NO_GPG = "encryption=none"
WITHIN = """\
#!/bin/sh
while read -r line; do
    case $line in
        capabilities) printf 'push\\n\\n';;
        list*) git ls-remote --refs {inner} | tr '\\t' ' '; echo;;
        push*)
            refs=
            while test -n "$line"; do
                refs="$refs ${{line#push }}"
                read -r line || break
            done
            git push -q {inner} $refs
            for ref in $refs; do echo "ok ${{ref#*:}}"; done
            echo;;
        '') exit;;
    esac
done
"""
"""Source: gitremote-helpers(7)."""

TALKATIVE = """\
#!/bin/sh
case $1 in pre-push) echo "(recording state in git...)";; esac
exec {real} "$@"
"""
"""As git-annex is when there is something in the journal."""
