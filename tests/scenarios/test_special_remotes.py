"""Contents that go by way of special remotes, which git-annex serves."""

import os
import shutil
import urllib.parse
from pathlib import Path

import pytest

from tests.daemons import Annexd, Fleet
from tests.processes import attempt, run, wait_until
from tests.repo import Repo
from tests.scenarios.hands import Hands
from tests.synced import synced

EXTERNAL = """\
#!/bin/sh
# A special remote that keeps contents in a directory; spoken to by git-annex.
echo VERSION 1
while read -r verb first second third; do
    case "$verb" in
        EXTENSIONS) echo EXTENSIONS ;;
        INITREMOTE|PREPARE)
            echo GETCONFIG place
            read -r _ place
            mkdir -p "$place"
            echo "$verb-SUCCESS" ;;
        TRANSFER)
            if [ "$first" = STORE ]; then from=$third to=$place/$second
            else from=$place/$second to=$third; fi
            if cp "$from" "$to.new" && mv "$to.new" "$to"; then
                echo TRANSFER-SUCCESS "$first" "$second"
            else
                echo TRANSFER-FAILURE "$first" "$second" it is not there
            fi ;;
        CHECKPRESENT)
            if [ -e "$place/$first" ]; then echo CHECKPRESENT-SUCCESS "$first"
            else echo CHECKPRESENT-FAILURE "$first"; fi ;;
        REMOVE) rm -f "$place/$first"; echo REMOVE-SUCCESS "$first" ;;
        *) echo UNSUPPORTED-REQUEST ;;
    esac
done
"""
"""Source: git-annex's design/external_special_remote_protocol."""

KINDS = {
    "directory": ("type=directory", "directory={store}", "encryption=none"),
    "encrypted": ("type=directory", "directory={store}", "encryption=shared"),
    "chunked": ("type=directory", "directory={store}", "encryption=none", "chunk=100KiB"),
    "secret": ("type=rsync", "rsyncurl={store}", "encryption=shared"),
    "rsync": ("type=rsync", "rsyncurl={store}", "encryption=none"),
    "external": ("type=external", "externaltype=tiny", "place={store}", "encryption=none"),
}


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where contents are kept; and the program that may keep them."""
    programs = tmp_path / "programs"
    programs.mkdir()
    external = programs / "git-annex-remote-tiny"
    external.write_text(EXTERNAL)
    external.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    store = tmp_path / "store"
    store.mkdir()
    return store


def with_store(tmp_path: Path, parameters: tuple[str, ...], store: Path) -> tuple[Repo, Repo]:
    """Two that have git in common by a plain repository, and contents by a special remote."""
    hub = tmp_path / "hub"
    run(["git", "init", "-q", "--bare", hub])
    a = Repo.create(tmp_path / "a")
    a.git("commit", "-q", "--allow-empty", "-m", "start")
    a.git("remote", "add", "hub", hub)
    a.config("remote.hub.annex-ignore", "true")
    a.annex("initremote", "-q", "store", *(each.format(store=store) for each in parameters))
    a.git("push", "-q", "hub", "main", "git-annex")
    b = Repo(tmp_path / "b")
    run(["git", "clone", "-q", "-o", "hub", hub, b.path])
    b.config("remote.hub.annex-ignore", "true")
    b.annex("init", "-q", "b")
    enable(b, store)
    return a, b


def enable(repo: Repo, store: Path) -> None:
    """Have a repository use the store that another one has made."""
    kind = repo.annex("merge", "-q") + repo.git("show", "git-annex:remote.log")
    place = [f"directory={store}"] if b" type=directory" in kind else []
    repo.annex("enableremote", "-q", "store", *place)
    # Since 2026 a person has to agree to what another repository has described (verifyremote).
    repo.config("remote.store.annex-verified", "verified")


def url_of(repo: Repo, store: Path) -> str:
    """By which git can clone what is in the store: all that git-annex knows of it."""
    said = repo.git("show", "git-annex:remote.log").decode().split()
    uuid, *fields = said[: said.index(next(word for word in said if word.startswith("timestamp=")))]
    known = dict(field.split("=", 1) for field in fields)
    del known["name"]
    known.setdefault("rsyncurl" if known["type"] == "rsync" else "directory", str(store))
    return f"annex::{uuid}?{urllib.parse.urlencode(known)}"


@pytest.mark.parametrize("kind", KINDS)
def test_contents_go_both_ways_by_a_special_remote(
    kind: str, tmp_path: Path, store: Path, fleet: Fleet
) -> None:
    if kind in {"encrypted", "secret"} and shutil.which("gpg") is None:
        pytest.skip("no gpg")
    if kind in {"rsync", "secret"} and shutil.which("rsync") is None:
        pytest.skip("no rsync")
    a, b = with_store(tmp_path, KINDS[kind], store)
    fleet.serve(a, b)

    a.write("from a", os.urandom(500_000))
    for number in range(10):
        a.write(f"small/{number}", b"%d" % number * 100)
    synced(a, b, within_s=90)
    b.write("from b", os.urandom(500_000))
    b.remove("small/3")
    synced(a, b, within_s=90)

    fleet.settle()
    fleet.stop()
    a.check()
    b.check()
    a.annex("fsck", "-q", "--fast", "--from", "store")


def test_a_store_that_a_person_must_agree_to_is_used_as_soon_as_they_have(
    tmp_path: Path, store: Path, fleet: Fleet
) -> None:
    a, b = with_store(tmp_path, KINDS["directory"], store)
    b.git("config", "--unset", "remote.store.annex-verified")
    a.write("file", b"content")
    daemon = fleet.annexd(a)
    daemon.wait()
    other = fleet.annexd(b)
    for _ in range(3):  # until nobody tries it any more
        other.ask("wait", "--timeout", "2")
    if b.holds("file", b"content"):
        pytest.skip("git-annex is too old to ask")
    wait_until(
        lambda: b"verifyremote" in other.ask("status").stdout,
        20,
        lambda: other.ask("status").stdout,
    )

    b.config("remote.store.annex-verified", "verified")

    wait_until(lambda: b.holds("file", b"content"), 15, lambda: other.ask("status").stdout)


def with_store_alone(kind: str, tmp_path: Path, store: Path, fleet: Fleet) -> tuple[Repo, Repo]:
    """Two that have nothing in common but a special remote, and "first"; no daemon runs."""
    a = Repo.create(tmp_path / "a")
    a.add("first", b"first")
    parameters = [each.format(store=store) for each in KINDS[kind]]
    if attempt(["git-annex", "initremote", "-q", "--with-url", "store", *parameters], a.path)[0]:
        pytest.skip("git-annex is too old for git-remote-annex")
    # Since 2026 git-annex asks a person whether they will never need to clone what is encrypted.
    agreed = "remote.store.annex-allow-encrypted-gitrepo"
    a.config(agreed, "true")
    daemon = fleet.serve(a)[0]
    asked = ["git", "ls-remote", "store", "refs/heads/synced/main"]
    wait_until(lambda: attempt(asked, a.path)[1], 60)
    daemon.wait()
    daemon.stop()
    b = Repo(tmp_path / "b")
    clone = ["git", "clone", "-q", "-o", "store", "-c", f"{agreed}=true"]
    run([*clone, url_of(a, store), b.path])
    b.annex("init", "-q", "b")
    enable(b, store)
    return a, b


@pytest.mark.parametrize("kind", ["directory", "secret"])
def test_two_that_take_turns_online_end_up_equal_by_a_special_remote_alone(
    kind: str, tmp_path: Path, store: Path, fleet: Fleet
) -> None:
    """L7: contents and git data (git-remote-annex) in one place, and nobody else."""
    a, b = with_store_alone(kind, tmp_path, store, fleet)

    for turn, (one, other) in enumerate(((b, a), (a, b), (b, a))):
        one.write(f"turn {turn}", b"%d" % turn * 1000)
        for repo in (one, other):
            daemon = fleet.serve(repo)[0]
            daemon.wait(90)
            daemon.stop()
    daemon = fleet.serve(b)[0]
    daemon.wait(90)
    daemon.stop()

    synced(a, b, within_s=5)
    a.check()
    b.check()


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("kind", "seed"), [("directory", 1), ("secret", 2)])
def test_what_two_have_changed_apart_is_united_when_they_take_turns_online(
    kind: str, seed: int, tmp_path: Path, store: Path, fleet: Fleet
) -> None:
    """L7: edits, conflicts, renames, deletions and drops; nobody ever sees the other live."""
    a, b = with_store_alone(kind, tmp_path, store, fleet)
    busy = [Hands(a, seed), Hands(b, seed + 100)]
    for turn in range(3):
        for hands in busy:
            a_or_b = hands.repo
            for number in range(6):
                hands.act(100 * turn + number)
            a_or_b.replace("both", f"{a_or_b.path.name} {turn}".encode() * 1000)
            if turn % 2:
                a_or_b.annex("drop", "-q", "--force", "first")
        for hands in busy if turn % 2 else reversed(busy):
            take_turn(fleet, hands.repo)
        for hands in busy:
            take_turn(fleet, hands.repo)
            hands.left = {name: at for name, at in hands.left.items() if hands.repo.exists(name)}
    for repo in (a, b, a, b):
        take_turn(fleet, repo)

    synced(a, b, within_s=5)
    wanted = {f"{name} {turn}".encode() for name in "ab" for turn in range(3)}
    seen = {path.read_bytes()[:3] for path in a.path.glob("both*")}
    assert {b"a 2", b"b 2"} <= seen <= wanted
    a.check()
    b.check()


def take_turn(fleet: Fleet, repo: Repo) -> None:
    """Be online for as long as there is something to do."""
    daemon = fleet.serve(repo)[0]
    daemon.wait(90)
    daemon.stop()


def test_two_that_share_a_bare_repository_by_turns_end_up_equal(
    tmp_path: Path, store: Path, fleet: Fleet
) -> None:
    """L7: the drive that is carried from one to the other has git data; the store has contents."""
    a, b = with_store(tmp_path, KINDS["directory"], store)
    hub, hidden = tmp_path / "hub", tmp_path / "hub away"
    for turn, (one, other) in enumerate(((a, b), (b, a), (a, b))):
        one.write(f"turn {turn}", b"%d" % turn * 1000)
        for repo in (one, other):
            hub.rename(hidden)
            daemon = fleet.serve(repo)[0]
            hidden.rename(hub)
            daemon.wait(60)
            daemon.stop()

    synced(a, b, within_s=5)


def test_who_is_cut_off_from_git_is_told(tmp_path: Path, store: Path, fleet: Fleet) -> None:
    a, b = with_store(tmp_path, KINDS["directory"], store)
    fleet.serve(a, b)
    a.write("file", b"content")
    synced(a, b, within_s=60)
    one, other = fleet.daemons
    assert isinstance(one, Annexd)
    assert isinstance(other, Annexd)
    assert b"no git path" not in one.ask("status").stdout

    for repo in (a, b):
        repo.git("remote", "remove", "hub")

    wait_until(lambda: b"no git path to b" in one.ask("status").stdout, 20, one.log)
    wait_until(lambda: b"no git path to " in other.ask("status").stdout, 20, other.log)
    assert b"no git path to store" not in one.ask("status").stdout
    a.git("remote", "add", "hub", tmp_path / "hub")
    wait_until(lambda: b"no git path" not in one.ask("status").stdout, 20, one.log)
