"""Contents that go by way of special remotes, which git-annex serves."""

import os
import shutil
from pathlib import Path

import pytest

from tests.daemons import Fleet
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


@pytest.mark.parametrize("kind", KINDS)
def test_contents_go_both_ways_by_a_special_remote(
    kind: str, tmp_path: Path, store: Path, fleet: Fleet
) -> None:
    if kind == "encrypted" and shutil.which("gpg") is None:
        pytest.skip("no gpg")
    if kind == "rsync" and shutil.which("rsync") is None:
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


def test_two_that_take_turns_online_end_up_equal_by_a_special_remote_alone(
    tmp_path: Path, store: Path, fleet: Fleet
) -> None:
    """L7: contents and git data (git-remote-annex) in one place, and nobody else."""
    a = Repo.create(tmp_path / "a")
    a.add("first", b"first")
    parameters = [each.format(store=store) for each in KINDS["directory"]]
    if attempt(["git-annex", "initremote", "-q", "--with-url", "store", *parameters], a.path)[0]:
        pytest.skip("git-annex is too old for git-remote-annex")
    daemon = fleet.serve(a)[0]
    asked = ["git", "ls-remote", "store", "refs/heads/synced/main"]
    wait_until(lambda: attempt(asked, a.path)[1], 60)
    daemon.wait()
    daemon.stop()
    b = Repo(tmp_path / "b")
    uuid = a.git("config", "remote.store.annex-uuid").decode().strip()
    url = f"annex::{uuid}?encryption=none&type=directory&directory={store}"
    run(["git", "clone", "-q", "-o", "store", url, b.path])
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
