"""Contents that go by way of special remotes, which git-annex serves."""

import os
import shutil
import urllib.parse
from pathlib import Path

import pytest

from tests.daemons import Annexd, Fleet
from tests.processes import attempt, run, wait_until
from tests.repo import Repo
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


@pytest.mark.parametrize("kind", ["directory", "secret"])
def test_two_that_take_turns_online_end_up_equal_by_a_special_remote_alone(
    kind: str, tmp_path: Path, store: Path, fleet: Fleet
) -> None:
    """L7: contents and git data (git-remote-annex) in one place, and nobody else."""
    a = Repo.create(tmp_path / "a")
    a.add("first", b"first")
    parameters = [each.format(store=store) for each in KINDS[kind]]
    if attempt(["git-annex", "initremote", "-q", "--with-url", "store", *parameters], a.path)[0]:
        pytest.skip("git-annex is too old for git-remote-annex")
    daemon = fleet.serve(a)[0]
    asked = ["git", "ls-remote", "store", "refs/heads/synced/main"]
    wait_until(lambda: attempt(asked, a.path)[1], 60)
    daemon.wait()
    daemon.stop()
    b = Repo(tmp_path / "b")
    run(["git", "clone", "-q", "-o", "store", url_of(a, store), b.path])
    b.annex("init", "-q", "b")
    enable(b, store)

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
