"""Between two paths objects are carried and refs moved; what is out of the ordinary is git's."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from spool.place import Place
from tests.processes import Process, start, wait_until
from tests.repo import Repo
from workers.annex import remotes
from workers.annex.repository import find
from workers.foreign import Others
from workers.git.exchange import Update
from workers.git.refname import RefName
from workers.git.refs import Refs
from workers.git.stream import ObjectId
from workers.pusher.direct import Direct
from workers.pusher.introduction import introduce_path
from workers.pusher.peer import look
from workers.pusher.values import Theirs, own, synced, tracking

Pair = tuple[Repo, Repo]
MAIN, SYNCED = own(b"main"), synced(b"main")


def all_known(_commit: ObjectId) -> bool:
    return True


def between(pair: Pair, known: Callable[[ObjectId], bool] = all_known) -> Direct | None:
    a, b = pair
    here = find(a.path)
    others = Others(Place(a.path, a.path / ".git", a.path / ".git"))
    return Direct.between(here, look(b.path, here.common), "b", known, others)


def direct(pair: Pair) -> Direct:
    found = between(pair)
    assert found is not None
    return found


def get(repo: Repo, name: RefName) -> ObjectId | None:
    return Refs(find(repo.path).git).get(name)


def save(repo: Repo, name: str) -> ObjectId:
    repo.write(name, name.encode())
    repo.git("-c", "annex.largefiles=nothing", "add", "--", name)
    repo.git("commit", "-q", "-m", name)
    found = get(repo, MAIN)
    assert found is not None
    return found


def has(repo: Repo) -> Theirs:
    found = {name: get(repo, name) for name in (MAIN, SYNCED)}
    return {name: oid for name, oid in found.items() if oid}


def test_a_push_moves_a_ref_and_carries_what_it_leads_to(pair: Pair) -> None:
    a, b = pair
    new = save(a, "f")

    said = direct(pair).push([Update(new, SYNCED)], has(b))

    assert said is not None
    assert [answer.accepted for answer in said] == [True]
    assert get(b, SYNCED) == new
    assert get(a, tracking("b", SYNCED)) == new
    assert b.git("show", f"{new}:f") == b"f"


def test_a_ref_is_deleted(pair: Pair) -> None:
    a, b = pair
    new = save(a, "f")
    direct(pair).push([Update(new, SYNCED)], has(b))

    assert direct(pair).push([Update(None, SYNCED)], has(b))

    assert get(b, SYNCED) is None
    assert get(a, tracking("b", SYNCED)) is None


def test_whoever_was_faster_is_not_overwritten(pair: Pair) -> None:
    a, b = pair
    believed, theirs = has(b), save(b, "theirs")
    b.git("update-ref", SYNCED, theirs)

    said = direct(pair).push([Update(save(a, "ours"), SYNCED)], believed)

    assert said is not None
    assert all(answer.moved for answer in said)
    assert get(b, SYNCED) == theirs


class Push:
    """A user's push from a to b, which takes half a second."""

    def __init__(self, pair: Pair, tmp_path: Path) -> None:
        a, _b = pair
        theirs, hooks = save(a, "theirs"), tmp_path / "hooks"
        self.said, self.begun = tmp_path / "said", tmp_path / "begun"
        hooks.mkdir()
        (hooks / "pre-receive").write_text(f"#!/bin/sh\ntouch '{self.begun}'\nexec sleep 0.5\n")
        (hooks / "pre-receive").chmod(0o755)
        receive = f"git -c core.hooksPath={hooks} receive-pack"
        argv = ["git", "push", f"--receive-pack={receive}", "b", f"{theirs}:{SYNCED.decode()}"]
        self.begin = partial(start, argv, self.said, cwd=a.path)

    def under_way(self) -> Process:
        process = self.begin()
        wait_until(self.begun.exists)
        return process


def test_a_users_push_that_is_under_way_does_not_fail(pair: Pair, tmp_path: Path) -> None:
    """Git moves the ref from what it was when it began (requirements.md, P02 to P08)."""
    a, b = pair
    believed = has(b)
    push = Push(pair, tmp_path)
    pushing = push.under_way()

    direct(pair).push([Update(save(a, "ours"), SYNCED)], believed)

    assert pushing.wait() == 0, push.said.read_text()


def test_a_users_push_that_begins_at_the_last_moment_does_not_fail(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look for pushes and the move: ``git annex sync`` failed now and then."""
    a, b = pair
    believed = has(b)
    push, look_out = Push(pair, tmp_path), Others.let_refs_move
    pushing: list[Process] = []

    def and_then_he_begins(others: Others, *there: Path) -> None:
        look_out(others, *there)
        if not pushing:
            pushing.append(push.under_way())

    monkeypatch.setattr(Others, "let_refs_move", and_then_he_begins)

    direct(pair).push([Update(save(a, "ours"), SYNCED)], believed)

    assert [process.wait() for process in pushing] == [0], push.said.read_text()


def test_what_is_there_already_is_accepted(pair: Pair) -> None:
    a, b = pair
    new = save(a, "f")
    believed = has(b)
    direct(pair).push([Update(new, SYNCED)], believed)

    said = direct(pair).push([Update(new, SYNCED)], believed)

    assert said is not None
    assert said[0].accepted


def test_a_fetch_keeps_what_it_brings_where_git_does(pair: Pair) -> None:
    a, b = pair
    new, kept = save(b, "f"), tracking("b", MAIN)
    found = between(pair, lambda _commit: False)

    assert found is not None
    assert found.fetch([(MAIN, kept)], has(b))

    assert get(a, kept) == new
    assert a.git("show", f"{new}:f") == b"f"


def test_a_first_fetch_is_gits(pair: Pair) -> None:
    a, b = pair
    a.git("update-ref", "-d", tracking("b", MAIN))
    save(b, "f")
    found = between(pair, lambda _commit: False)

    assert found is not None
    assert not found.fetch([(MAIN, tracking("b", MAIN))], has(b))


def test_where_git_would_bring_tags_it_does_it(pair: Pair) -> None:
    _, b = pair
    save(b, "f")
    b.git("tag", "v1")

    assert not direct(pair).fetch([(MAIN, tracking("b", MAIN))], has(b))


def test_a_branch_that_is_checked_out_is_gits_to_refuse(pair: Pair, tmp_path: Path) -> None:
    a, b = pair
    new = save(a, "f")

    assert direct(pair).push([Update(new, MAIN)], has(b)) is None
    b.git("worktree", "add", "-q", "-b", "synced/main", tmp_path / "linked")
    assert direct(pair).push([Update(new, SYNCED)], has(b)) is None


@pytest.mark.parametrize(
    ("side", "setting", "value"),
    [
        (1, "receive.fsckObjects", "true"),
        (1, "transfer.hideRefs", "refs/heads/synced"),
        (1, "uploadpack.packObjectsHook", "hook"),
        (0, "fetch.fsckObjects", "true"),
        (0, "push.gpgSign", "true"),
        (0, "protocol.file.allow", "never"),
        (0, "remote.b.pushurl", "elsewhere"),
        (0, "remote.b.tagOpt", "--tags"),
        (0, "remote.b.fetch", "+refs/heads/main:refs/heads/other"),
    ],
)
def test_whoever_has_told_git_more_gets_git(
    pair: Pair, side: int, setting: str, value: str
) -> None:
    assert between(pair) is not None

    pair[side].git("config", "--add", setting, value)

    assert between(pair) is None


def test_hooks_over_there_are_asked(pair: Pair) -> None:
    a, b = pair
    hook = b.path / ".git/hooks/update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)

    assert direct(pair).push([Update(save(a, "f"), SYNCED)], has(b)) is None


def test_a_lock_in_the_way_is_gits_to_tell(pair: Pair) -> None:
    a, b = pair
    lock = b.path / ".git/refs/heads/synced/main.lock"
    lock.parent.mkdir(exist_ok=True)
    lock.touch()

    assert direct(pair).push([Update(save(a, "f"), SYNCED)], has(b)) is None


@pytest.mark.parametrize("in_the_way", [False, True])
def test_a_repository_without_a_commit_gets_its_first_one(
    tmp_path: Path,
    in_the_way: bool,  # noqa: FBT001 -- a parameter of the test
) -> None:
    """P41: ``git init`` over there is all that a person does."""
    a, b = Repo.create(tmp_path / "a"), Repo.plain(tmp_path / "b")
    a.git("remote", "add", "b", b.path)
    save(a, "f")
    a.git("push", "-q", "b", "main:synced/main", "git-annex:synced/git-annex")
    if in_the_way:
        b.write("f", b"mine")
    here = find(a.path)
    remote = remotes.parse(here.settings, {}, top=here.top, home=tmp_path)[0]
    peer = look(b.path, here.common)
    assert peer is not None

    introduce_path(here, remote, peer, brought_logs=True, branch=b"main")

    assert b.read("f") == (b"mine" if in_the_way else b"f")
    assert get(b, MAIN) == (None if in_the_way else get(a, MAIN))
