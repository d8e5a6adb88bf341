"""Special remotes in trouble: what hangs, dies, wants credentials, or is not mounted."""

import os
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import objectstore
from tests.daemons import Annexd, Fleet
from tests.processes import alive, run, running, wait_until
from tests.repo import Repo
from tests.system.drives import drive, may_mount, plugged, unplug

MOODY = """\
#!/bin/sh
# A special remote that keeps contents in a directory, in the mood that the file "mood" there says.
echo VERSION 1
while read -r verb first second third; do
    case "$verb" in
        EXTENSIONS) echo EXTENSIONS ;;
        INITREMOTE|PREPARE)
            echo GETCONFIG place
            read -r _ place
            mkdir -p "$place"
            if [ "$verb" = INITREMOTE ]; then
                [ ! -e "$place/asks" ] || echo SETCREDS login user secret
            elif [ -e "$place/asks" ]; then
                echo GETCREDS login
                read -r _ user secret
                if [ -z "$secret" ]; then echo PREPARE-FAILURE no login is known; continue; fi
            fi
            echo "$verb-SUCCESS" ;;
        TRANSFER)
            case "$(cat "$place/mood" 2>/dev/null)" in
                hangs) echo $$ >"$place/pid"; exec sleep 1000 ;;
                dies) exit 3 ;;
            esac
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
        EXPORTSUPPORTED) echo EXPORTSUPPORTED-SUCCESS ;;
        EXPORT) name=${first}${second:+ $second}${third:+ $third} ;;
        TRANSFEREXPORT)
            case "$(cat "$place/mood" 2>/dev/null)" in
                hangs) echo $$ >"$place/pid"; exec sleep 1000 ;;
                dies) exit 3 ;;
            esac
            if [ "$first" = STORE ]; then from=$third to=$place/tree-$name
            else from=$place/tree-$name to=$third; fi
            if cp "$from" "$to"; then echo TRANSFER-SUCCESS "$first" "$second"
            else echo TRANSFER-FAILURE "$first" "$second" it is not there; fi ;;
        CHECKPRESENTEXPORT)
            if [ -e "$place/tree-$name" ]; then echo CHECKPRESENT-SUCCESS "$first"
            else echo CHECKPRESENT-FAILURE "$first"; fi ;;
        REMOVEEXPORT) rm -f "$place/tree-$name"; echo REMOVE-SUCCESS "$first" ;;
        *) echo UNSUPPORTED-REQUEST ;;
    esac
done
"""
"""Source: git-annex's design/external_special_remote_protocol."""


@pytest.fixture
def moody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the moody program keeps contents."""
    programs = tmp_path / "programs"
    programs.mkdir()
    external = programs / "git-annex-remote-moody"
    external.write_text(MOODY)
    external.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    place = tmp_path / "moody"
    place.mkdir()
    return place


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    """A repository with a commit."""
    repo = Repo.create(tmp_path / "a")
    repo.git("commit", "-q", "--allow-empty", "-m", "start")
    return repo


def use(repo: Repo, name: str, *parameters: str) -> None:
    repo.annex("initremote", "-q", name, "encryption=none", *parameters)


def use_moody(repo: Repo, place: Path) -> None:
    use(repo, "moody", "type=external", "externaltype=moody", f"place={place}")


def use_directory(repo: Repo, name: str, path: Path) -> None:
    path.mkdir(exist_ok=True)
    use(repo, name, "type=directory", f"directory={path}")


def count(place: Path) -> int:
    """How many contents are there."""
    names = (path.name for path in place.rglob("*") if path.is_file())
    return sum(name.startswith("SHA256E-") and not name.endswith(".new") for name in names)


def told(daemon: Annexd) -> bytes:
    return daemon.ask("status").stdout + daemon.log().encode()[-3000:]


@pytest.mark.parametrize("mood", ["hangs", "dies"])
def test_a_program_that_hangs_or_dies_holds_nobody_up_and_is_tried_again(
    mood: str, repo: Repo, moody: Path, tmp_path: Path, fleet: Fleet
) -> None:
    use_moody(repo, moody)
    repo.config("remote.moody.annex-stalldetection", "1KB/2s")
    use_directory(repo, "calm", tmp_path / "calm")
    (moody / "mood").write_text(mood)
    daemon = fleet.annexd(repo)

    for number in range(3):
        repo.write(f"file {number}", os.urandom(5000))

    wait_until(lambda: count(tmp_path / "calm") == 3, 20, lambda: told(daemon))
    wait_until(lambda: b"transfers fail" in told(daemon), 40, lambda: told(daemon))
    if mood == "hangs":
        pid = int((moody / "pid").read_text())
        wait_until(lambda: not alive(pid), 20)
    (moody / "mood").unlink()
    daemon.tell("retry")
    wait_until(lambda: count(moody) == 3, 40, lambda: told(daemon))
    wait_until(lambda: b"transfers fail" not in daemon.ask("status").stdout, 10)


@pytest.mark.parametrize("mood", ["hangs", "dies"])
def test_a_program_that_keeps_a_tree_and_hangs_or_dies_is_told_and_tried_again(
    mood: str, repo: Repo, moody: Path, tmp_path: Path, fleet: Fleet
) -> None:
    kind = ("type=external", "externaltype=moody", f"place={moody}", "exporttree=yes")
    use(repo, "moody", *kind)
    repo.config("remote.moody.annex-tracking-branch", "main")
    repo.config("remote.moody.annex-stalldetection", "1KB/2s")
    use_directory(repo, "calm", tmp_path / "calm")
    (moody / "mood").write_text(mood)
    daemon = fleet.annexd(repo)

    repo.write("a file", b"content")

    wait_until(lambda: count(tmp_path / "calm") == 1, 20, lambda: told(daemon))
    wait_until(lambda: b"cannot export" in told(daemon), 40, lambda: told(daemon))
    done = daemon.ask("wait")
    assert done.status == 1, done
    assert b"not in sync: moody: " in done.stderr, done
    assert b"more to do" not in done.stderr, done
    if mood == "hangs":
        pid = int((moody / "pid").read_text())
        wait_until(lambda: not alive(pid), 20)
    (moody / "mood").unlink()
    daemon.tell("poke")
    exported = moody / "tree-a file"
    wait_until(exported.exists, 40, lambda: told(daemon))
    wait_until(lambda: b"cannot export" not in daemon.ask("status").stdout, 20)
    repo.rename("a file", "another")
    wait_until((moody / "tree-another").exists, 20, lambda: told(daemon))
    wait_until(lambda: not exported.exists(), 20, lambda: told(daemon))


def test_a_program_that_wants_a_login_is_told_and_tried_when_there_is_one(
    repo: Repo, moody: Path, tmp_path: Path, fleet: Fleet
) -> None:
    (moody / "asks").touch()
    use_moody(repo, moody)
    creds, hidden = repo.path / ".git/annex/creds", tmp_path / "creds"
    assert list(creds.iterdir()), "git-annex has kept the login"
    shutil.copytree(creds, hidden)
    for each in creds.iterdir():
        each.unlink()
    daemon = fleet.annexd(repo)

    repo.write("file", b"content")
    wait_until(lambda: b"needs credentials" in told(daemon), 30, lambda: told(daemon))
    for each in hidden.iterdir():
        shutil.copy(each, creds)

    wait_until(lambda: count(moody) == 1, 20, lambda: told(daemon))
    wait_until(lambda: b"credentials" not in daemon.ask("status").stdout, 10)


@pytest.fixture
def gnupg(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Gpg's directory, with a key of ``annexd@example.com``; its agent ends with the test."""
    home = tmp_path_factory.mktemp("gpg")  # short: the agent has a socket in it
    home.chmod(0o700)
    monkeypatch.setenv("GNUPGHOME", str(home))
    gpg = ("gpg", "--batch", "--quiet", "--passphrase", "")
    run([*gpg, "--quick-gen-key", "annexd@example.com", "default", "default", "never"])
    return home


def test_what_is_encrypted_with_a_gpg_key_goes_there_and_comes_back(
    repo: Repo, gnupg: Path, tmp_path: Path, fleet: Fleet
) -> None:
    store = tmp_path / "store"
    store.mkdir()
    kind = ("type=directory", f"directory={store}", "encryption=hybrid")
    repo.annex("initremote", "-q", "store", *kind, "keyid=annexd@example.com", "chunk=100KiB")
    daemon = fleet.annexd(repo)
    for number in range(3):
        repo.write(f"file {number}", os.urandom(150_000))
    daemon.wait(90)
    content = repo.read("file 1")
    key = repo.key("file 1")
    assert len(repo.whereis(key)) == 2, told(daemon)
    daemon.stop()
    repo.annex("drop", "-q", "--force", "file 1")

    daemon = fleet.annexd(repo)

    wait_until(lambda: repo.holds("file 1", content), 30, lambda: told(daemon))
    daemon.stop()
    run(["gpgconf", "--kill", "all"])
    assert gnupg.exists()


def test_a_missing_gpg_key_is_told_and_the_store_is_used_when_it_is_there(
    repo: Repo, gnupg: Path, tmp_path: Path, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "store"
    store.mkdir()
    kind = ("type=directory", f"directory={store}", "encryption=hybrid")
    repo.annex("initremote", "-q", "store", *kind, "keyid=annexd@example.com")
    export = ("gpg", "--batch", "--quiet", "--passphrase", "", "--pinentry-mode", "loopback")
    secret = run([*export, "--export-secret-keys", "annexd@example.com"])
    run(["gpgconf", "--kill", "all"])
    empty = gnupg.with_name("gpg-empty")
    empty.mkdir(mode=0o700)
    monkeypatch.setenv("GNUPGHOME", str(empty))
    daemon = fleet.annexd(repo)

    repo.write("file", b"content")
    wait_until(lambda: b"needs credentials" in told(daemon), 30, lambda: told(daemon))
    assert b"No secret key" in told(daemon)
    run(["gpg", "--batch", "--quiet", "--import"], stdin=secret)

    key = repo.key("file")
    wait_until(lambda: len(repo.whereis(key)) == 2, 30, lambda: told(daemon))
    daemon.stop()
    run(["gpgconf", "--kill", "all"])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def object_store(tmp_path: Path) -> Iterator[tuple[int, Path, Path]]:
    """A server as S3: its port, where it keeps objects, and the file of access keys."""
    port, objects, keys = free_port(), tmp_path / "objects", tmp_path / "keys"
    objects.mkdir()
    keys.write_text("insider")
    with running([sys.executable, objectstore.__file__, str(port), objects, keys]):
        wait_until(lambda: answers(port))
        yield port, objects, keys


def test_objects_in_the_cloud_and_a_key_that_is_not_taken_any_more(
    repo: Repo,
    fleet: Fleet,
    object_store: tuple[int, Path, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port, objects, keys = object_store
    repo.config("annex.security.allowed-ip-addresses", "all")
    with monkeypatch.context() as patched:
        patched.setenv("AWS_ACCESS_KEY_ID", "insider")
        patched.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        server = ("type=S3", "host=127.0.0.1", f"port={port}", "protocol=http")
        use(repo, "cloud", *server, "requeststyle=path", "bucket=bucket", "chunk=100KiB")
    keys.write_text("another")
    daemon = fleet.annexd(repo)
    repo.write("big", os.urandom(250_000))
    wait_until(lambda: b"needs credentials" in told(daemon), 40, lambda: told(daemon))

    creds = next((repo.path / ".git/annex/creds").iterdir())
    creds.write_text(creds.read_text().replace("insider", "another"))

    wait_until(lambda: count(objects) == 3, 30, lambda: told(daemon))
    daemon.wait(60)
    content = repo.read("big")
    daemon.stop()
    repo.annex("drop", "-q", "--force", "big")
    daemon = fleet.annexd(repo)
    wait_until(lambda: repo.holds("big", content), 30, lambda: told(daemon))


def test_what_is_on_the_web_is_fetched_and_nothing_is_sent_there(
    repo: Repo, tmp_path: Path, fleet: Fleet
) -> None:
    port, site = free_port(), tmp_path / "site"
    site.mkdir()
    (site / "page").write_bytes(b"page")
    repo.config("annex.security.allowed-ip-addresses", "all")
    server = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    with running([*server, "--directory", site]):
        wait_until(lambda: answers(port))
        repo.annex("addurl", "-q", "--fast", "--file", "page", f"http://127.0.0.1:{port}/page")
        repo.git("commit", "-q", "-m", "page")
        daemon = fleet.annexd(repo)
        repo.write("file", b"content")

        wait_until(lambda: repo.holds("page", b"page"), 30, lambda: told(daemon))
        daemon.wait(30)
    assert not list((repo.path / ".git/annex/transfer/queue/to").glob("*/*"))
    assert b"fail" not in told(daemon)


@may_mount
def test_an_empty_mount_point_is_no_store_and_a_drive_that_is_back_is_used_at_once(
    repo: Repo, tmp_path: Path, fleet: Fleet
) -> None:
    place = tmp_path / "drive"
    place.mkdir()
    with drive(tmp_path, "store") as stick:
        stick.plug(place)
        use_directory(repo, "store", place)
        daemon = fleet.annexd(repo)
        repo.write("first", b"first")
        daemon.wait(60)
        assert count(place) == 1

        unplug(place)
        wait_until(lambda: b"away" in daemon.ask("status").stdout, 20, lambda: told(daemon))
        repo.write("second", b"second")
        wait_until(lambda: b"1 to send" in daemon.ask("status").stdout, 20, lambda: told(daemon))
        assert not plugged(place)
        assert not list(place.iterdir())
        stick.plug(place)

        wait_until(lambda: count(place) == 2, 20, lambda: told(daemon))
        daemon.stop()


@may_mount
def test_a_shelf_that_is_not_mounted_is_not_taken_for_one_that_was_emptied(
    repo: Repo, tmp_path: Path, fleet: Fleet
) -> None:
    place = tmp_path / "drive"
    place.mkdir()
    with drive(tmp_path, "shelf") as stick:
        stick.plug(place)
        use(
            *(repo, "shelf", "type=directory", f"directory={place}"),
            *("exporttree=yes", "importtree=yes"),
        )
        repo.config("remote.shelf.annex-tracking-branch", "main")
        daemon = fleet.annexd(repo)
        repo.write("file", b"content")
        daemon.wait(60)
        assert (place / "file").read_bytes() == b"content"

        unplug(place)
        daemon.tell("poke")
        wait_until(lambda: b"away" in daemon.ask("status").stdout, 20, lambda: told(daemon))
        repo.write("other", b"other")
        daemon.wait(60)
        assert repo.holds("file", b"content")
        assert not list(place.iterdir())
        stick.plug(place)

        wait_until((place / "other").exists, 20, lambda: told(daemon))
        assert (place / "file").read_bytes() == b"content"
        assert not repo.deletions()
        daemon.stop()
