"""The sentry: which remotes can be reached, and when that changed."""

import ctypes
import functools
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from annexd.repository import find_place
from spool import hold, poke
from spool.place import Place
from spool.record import make_directory
from spool.remotes import Exchange, Reach, directory_name, read_reach, write_push
from spool.state import State, read_state
from tests.hanging import hanging, needs_fuse
from tests.processes import alive, attempt, descendants, forked, pause, reap, run, stays, wait_until
from tests.repo import Repo
from tests.scenarios.sshd import pretended_master
from tests.system.drives import Drive, drive, may_mount, unplug
from workers.annex import repository
from workers.process import Worker
from workers.sentry import role
from workers.sentry.suspension import Suspension
from workers.wakeup import Wakeup

MAY_CHANGE_NETWORK = attempt(["unshare", "--net", "ip", "link", "set", "lo", "up"])[0] == 0


@dataclass(frozen=True, slots=True)
class Post:
    """A sentry at its work."""

    repo: Repo
    place: Place
    pid: int

    def reach(self, remote: str) -> Reach | None:
        """What it says of a remote."""
        return read_reach(self.place.remotes, remote.encode())

    def is_here(self, remote: str) -> bool:
        """Whether it says that it is here."""
        reach = self.reach(remote)
        return reach is not None and reach.here

    def is_away(self, remote: str) -> bool:
        """Whether it says that it is not."""
        reach = self.reach(remote)
        return reach is not None and not reach.here

    def since(self, remote: str) -> float:
        """Since when it is as it is."""
        reach = self.reach(remote)
        return reach.since if reach is not None else 0.0

    def word(self) -> State | None:
        """What it says of itself."""
        return read_state(self.place.state, "sentry")

    def settle(self) -> "Post":
        """Have it look at everything, and wait until it has."""
        seq = poke.create(self.place.poke)
        wait_until(lambda: (word := self.word()) and word.settled(seq), why=self.word)
        return self

    def rests(self) -> bool:
        """Whether it has done what there was to do at its start, on a busy machine too."""
        before = self.switches()
        pause(0.5)
        return self.switches() == before and not descendants(self.pid)

    def switches(self) -> int:
        """How often it has been woken."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return sum(int(count) for count in re.findall(r"voluntary_ctxt_switches:\s*(\d+)", status))


@contextmanager
def sentry(repo: Repo, before: Callable[[], object] = lambda: None) -> Iterator[Post]:
    """Run a sentry in ``repo``, in a process that does ``before`` first."""
    place = find_place(repo.path)
    make_directory(place.annexd)

    def life() -> None:
        before()
        role.main(Worker("sentry", 1, place, Wakeup()))

    with forked(life) as pid:
        post = Post(repo, place, pid)
        yield post.settle()
        wait_until(lambda: not descendants(pid), 10, lambda: descendants(pid))
        os.kill(pid, signal.SIGTERM)
        assert reap(pid) == 0


def learnt(repo: Repo, remote: str) -> str:
    """The uuid that the configuration has for a remote; empty if it has none."""
    return repo.git("config", "--default=", f"remote.{remote}.annex-uuid").decode().strip()


@pytest.fixture
def away(tmp_path: Path) -> Path:
    """Where a remote is to be, and is not yet."""
    return tmp_path / "other" / "place" / "b"


@pytest.fixture
def other(tmp_path: Path) -> Repo:
    """Another repository."""
    return Repo.create(tmp_path / "b")


def test_remotes_by_path_are_here_or_away(repo: Repo, other: Repo, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    run(["git", "init", "-q", "--bare", tmp_path / "bare"])
    for name, url in {
        "there": other.path,
        "none": tmp_path / "none",
        "empty": tmp_path / "empty",
        "bare": tmp_path / "bare",
    }.items():
        repo.git("remote", "add", name, url)

    with sentry(repo) as post:
        there = post.reach("there")
        assert there is not None
        assert (there.here, there.uuid) == (True, other.uuid())
        assert post.is_away("none")
        assert post.is_away("empty")
        assert post.is_here("bare")
        assert not list((tmp_path / "empty").iterdir())
        assert not (tmp_path / "none").exists()


def test_the_uuid_of_a_remote_is_learnt_and_an_impostor_is_not_believed(
    repo: Repo, other: Repo, tmp_path: Path
) -> None:
    stranger = Repo.create(tmp_path / "stranger")
    repo.git("remote", "add", "new", other.path)
    repo.git("remote", "add", "taken", stranger.path)
    repo.config("remote.taken.annex-uuid", other.uuid())
    before = stranger.git("config", "--list")

    with sentry(repo) as post:
        assert learnt(repo, "new") == other.uuid()
        taken = post.reach("taken")
        assert taken is not None
        assert not taken.here
        assert taken.uuid == stranger.uuid()
        assert other.uuid() in taken.why

    assert learnt(repo, "taken") == other.uuid()
    assert stranger.git("config", "--list") == before


def test_what_is_in_the_way_of_a_record_of_a_remote_that_is_gone_stays(
    repo: Repo, other: Repo
) -> None:
    """The sentry ended, and ended again: it removes records with the remote."""
    repo.git("remote", "add", "b", other.path)
    odd = find_place(repo.path).remotes / "gone" / "push"
    odd.mkdir(parents=True)

    with sentry(repo) as post:
        assert post.is_here("b")

    assert odd.is_dir()


def test_where_our_own_configuration_cannot_be_used_a_stranger_is_one(
    repo: Repo, other: Repo, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Whoever looked ended with a traceback, each time."""
    repo.git("remote", "add", "b", other.path)
    repo.config("remote.b.annex-uuid", "00000000-0000-4000-8000-000000000001")

    def broken(_path: Path) -> None:
        raise repository.NotARepositoryError("broken")

    monkeypatch.setattr(repository, "find", broken)
    with sentry(repo) as post:
        assert post.is_away("b")
    assert "Traceback" not in capfd.readouterr().err


def test_two_repositories_of_the_annex_may_take_turns_at_one_place(
    pair: tuple[Repo, Repo], tmp_path: Path
) -> None:
    a, b = pair
    c = b.clone(tmp_path / "c")
    c.annex("sync", "-q", "--no-content")
    b.annex("sync", "-q", "--no-content")
    a.annex("sync", "-q", "--no-content")
    b_uuid = b.uuid()
    assert learnt(a, "b") == b_uuid

    with sentry(a) as post:
        b.path.rename(tmp_path / "away")
        wait_until(lambda: post.is_away("b"))
        c.path.rename(b.path)
        wait_until(lambda: post.is_here("b"), why=lambda: post.reach("b"))
        wait_until(lambda: learnt(a, "b") == Repo(b.path).uuid() != b_uuid, 5)


def test_a_path_that_comes_and_goes_is_noticed(repo: Repo, other: Repo, away: Path) -> None:
    repo.git("remote", "add", "b", away)

    with sentry(repo) as post:
        assert post.is_away("b")
        away.parent.mkdir(parents=True)
        other.path.rename(away)
        wait_until(lambda: post.is_here("b"), 5)

        away.parent.rename(away.parent.with_name("elsewhere"))
        wait_until(lambda: post.is_away("b"), 5)
        (away.parent.parent / "elsewhere").rename(away.parent)
        wait_until(lambda: post.is_here("b"), 5)

        run(["rm", "-rf", away])
        wait_until(lambda: post.is_away("b"), 5)
        Repo.create(away)
        wait_until(lambda: (reach := post.reach("b")) and reach.uuid == Repo(away).uuid(), 10)


def test_one_that_was_away_between_two_looks_is_here_anew(
    repo: Repo, other: Repo, tmp_path: Path
) -> None:
    """So that whoever failed in the meantime tries again at once."""
    repo.git("remote", "add", "b", other.path)
    with sentry(repo) as post:
        since = post.since("b")
        post.settle()
        assert post.since("b") == since

        os.kill(post.pid, signal.SIGSTOP)
        other.path.rename(tmp_path / "away")
        (tmp_path / "away").rename(other.path)
        os.kill(post.pid, signal.SIGCONT)

        wait_until(lambda: post.since("b") > since, 5)
        assert post.is_here("b")


def test_a_repository_that_is_initialised_later_is_learnt_then(repo: Repo, tmp_path: Path) -> None:
    repo.git("remote", "add", "b", tmp_path / "b")
    with sentry(repo) as post:
        plain = Repo.plain(tmp_path / "b")
        wait_until(lambda: post.is_here("b"), 5)
        plain.annex("init", "-q")
        wait_until(lambda: (reach := post.reach("b")) and reach.uuid == plain.uuid(), 5)


def test_remotes_are_added_changed_and_removed_live(repo: Repo, other: Repo) -> None:
    with sentry(repo) as post:
        repo.git("remote", "add", "late", other.path)
        wait_until(lambda: post.is_here("late"), 5)

        repo.git("remote", "set-url", "late", "/nowhere")
        wait_until(lambda: post.is_away("late"), 5)

        write_push(post.place.remotes, b"late", Exchange(failures=3, last_error="x"))
        repo.git("remote", "remove", "late")
        wait_until(lambda: not (post.place.remotes / directory_name(b"late")).exists(), 5)


def test_an_included_file_is_configuration_too(repo: Repo, other: Repo, tmp_path: Path) -> None:
    included = tmp_path / "included"
    included.write_text('[remote "late"]\n\turl = /nowhere\n')
    repo.config("include.path", str(included))
    with sentry(repo) as post:
        assert post.is_away("late")
        included.write_text(f'[remote "late"]\n\turl = {other.path}\n')
        wait_until(lambda: post.is_here("late"), 5)


def test_what_git_cannot_read_changes_nothing(repo: Repo, other: Repo) -> None:
    repo.git("remote", "add", "b", other.path)
    config = repo.path / ".git/config"
    good = config.read_bytes()
    with sentry(repo) as post:
        config.write_bytes(good + b"[broken\n")  # not in one step: it is empty in between
        post.settle()
        assert post.is_here("b")
        config.write_bytes(good + b'[remote "late"]\n\turl = /nowhere\n')
        wait_until(lambda: post.is_away("late"), 5)


def test_hostile_names_of_remotes_stay_in_their_directory(repo: Repo, other: Repo) -> None:
    for name in ("../../escape", "a/b", "\x1b[31m", "ü" * 200, ".hidden"):
        repo.git("config", f"remote.{name}.url", str(other.path))
    with sentry(repo) as post:
        made = {path.name for path in post.place.remotes.iterdir()}
        assert len(made) == 5
        assert not (post.place.annex / "escape").exists()


def test_a_store_in_a_directory_is_here_when_the_directory_is(repo: Repo, tmp_path: Path) -> None:
    store = tmp_path / "media" / "store"
    store.mkdir(parents=True)
    repo.annex("initremote", "-q", "d", "type=directory", f"directory={store}", "encryption=none")
    with sentry(repo) as post:
        assert post.is_here("d")
        store.rename(tmp_path / "store")
        wait_until(lambda: post.is_away("d"), 5)
        (tmp_path / "store").rename(store)
        wait_until(lambda: post.is_here("d"), 5)


@may_mount
def test_what_is_mounted_elsewhere_is_nothing_to_a_remote(
    repo: Repo, tmp_path: Path, stick: Drive
) -> None:
    """Else each container that starts has all of them looked at, and what failed tried again."""
    media, elsewhere = tmp_path / "media", tmp_path / "elsewhere"
    for directory in (media, elsewhere):
        directory.mkdir()
    stick.plug(media)
    Repo.create(media / "b")
    (tmp_path / "link").symlink_to("media/b")
    repo.git("remote", "add", "b", media / "b")
    repo.git("remote", "add", "linked", tmp_path / "link")
    try:
        with drive(tmp_path, "another") as another, sentry(repo) as post:
            assert post.is_here("b")
            assert post.is_here("linked")
            wait_until(post.rests)
            before, woken = (post.since("b"), post.since("linked")), post.switches()

            another.plug(elsewhere)
            wait_until(lambda: post.switches() > woken, 10)
            wait_until(post.rests)
            unplug(elsewhere)
            wait_until(post.rests)
            assert (post.since("b"), post.since("linked")) == before

            unplug(media)
            wait_until(lambda: post.is_away("b") and post.is_away("linked"), 10)
            stick.plug(media)
            wait_until(lambda: post.is_here("b") and post.is_here("linked"), 10)
    finally:
        unplug(media)


@may_mount
def test_a_drive_is_noticed_when_it_is_mounted_and_when_it_is_pulled(
    repo: Repo, tmp_path: Path, stick: Drive
) -> None:
    media = tmp_path / "media"
    media.mkdir()
    stick.plug(media)
    uuid = Repo.create(media / "b").uuid()
    unplug(media)
    repo.git("remote", "add", "b", media / "b")

    with sentry(repo) as post:
        assert post.is_away("b")
        stick.plug(media)
        wait_until(lambda: post.is_here("b"), 5)
        wait_until(lambda: learnt(repo, "b") == uuid, 5)
        unplug(media)
        wait_until(lambda: post.is_away("b"), 5)
        assert not list(media.iterdir())

        with drive(tmp_path, "borrowed") as borrowed:
            borrowed.plug(media)
            Repo.create(media / "b")
            wait_until(lambda: (reach := post.reach("b")) and reach.uuid not in {"", uuid}, 10)
            assert post.is_away("b")
            unplug(media)
        stick.plug(media)
        wait_until(lambda: post.is_here("b"), 5)
        since = post.since("b")

        # Away and back while nobody looks.
        os.kill(post.pid, signal.SIGSTOP)
        unplug(media)
        stick.plug(media)
        os.kill(post.pid, signal.SIGCONT)
        wait_until(lambda: post.since("b") > since, 5)
        unplug(media)


@pytest.fixture
def stick(tmp_path: Path) -> Iterator[Drive]:
    """A drive that is not plugged in."""
    with drive(tmp_path, "stick") as stick:
        yield stick


def test_a_file_system_that_hangs_holds_up_nothing_else(
    repo: Repo, other: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.sentry.visits.PATIENCE_S", 0.5)
    dead = Repo.plain(tmp_path / "dead")
    config = dead.path / ".git/config"
    config.unlink()
    os.mkfifo(config)  # git waits here until somebody writes
    repo.git("remote", "add", "b", other.path)
    repo.git("remote", "add", "dead", dead.path)

    with sentry(repo) as post:
        assert post.is_here("b")
        assert post.is_away("dead")
        other.path.rename(tmp_path / "gone")
        wait_until(lambda: post.is_away("b"), 5)

        # Whoever waits there now reads it; nobody may: opened like this, it makes us wait for none.
        fifo = os.open(config, os.O_RDWR | os.O_NONBLOCK)
        mended = tmp_path / "config"
        mended.write_bytes(b"[core]\n\trepositoryformatversion = 0\n")
        mended.rename(config)
        os.write(fifo, config.read_bytes())
        os.close(fifo)
        wait_until(lambda: post.is_here("dead"), 30, lambda: post.reach("dead"))


@needs_fuse
@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", ["fuse.sshfs", "fuse.unheard-of"])
def test_a_file_system_that_dies_later_holds_up_nothing_else(
    repo: Repo, other: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Observed: the sentry walked there by itself, unless the mount table said that it may hang."""
    monkeypatch.setattr("workers.sentry.visits.PATIENCE_S", 0.5)
    disk = tmp_path / "disk"
    third = Repo.create(tmp_path / "third")
    for name, path in {"b": other.path, "dead": disk / "repo", "linked": tmp_path / "link"}.items():
        repo.git("remote", "add", name, path)
    (tmp_path / "link").symlink_to(disk)

    with sentry(repo) as post:
        with hanging(disk, kind):
            wait_until(lambda: "answer" in (getattr(post.reach("dead"), "why", "")), 10)
            other.path.rename(tmp_path / "moved")
            wait_until(lambda: post.is_away("b"), 5)
            repo.git("remote", "add", "third", third.path)
            wait_until(lambda: post.is_here("third"), 5)
            post.settle()
            assert post.is_away("linked")
        # Whoever waited there has been told that it is gone.
        Repo.create(disk / "repo")
        wait_until(lambda: post.is_here("dead"), 10, lambda: post.reach("dead"))


@pytest.mark.skipif(not MAY_CHANGE_NETWORK, reason="network namespaces are not allowed here")
def test_a_new_route_makes_everybody_try_remotes_on_the_network_again(
    repo: Repo, other: Repo
) -> None:
    repo.git("remote", "add", "far", "ssh://host.invalid/srv/b")
    repo.git("remote", "add", "near", other.path)

    def own_network() -> None:
        assert ctypes.CDLL(None).unshare(0x40000000) == 0  # CLONE_NEWNET

    with sentry(repo, own_network) as post:
        assert post.is_here("far")
        far, near = post.since("far"), post.since("near")

        in_network(post.pid, "ip", "link", "add", "probe", "type", "veth")
        in_network(post.pid, "ip", "addr", "add", "192.0.2.1/24", "dev", "probe")
        in_network(post.pid, "ip", "link", "set", "veth0", "up")
        in_network(post.pid, "ip", "link", "set", "probe", "up")

        wait_until(lambda: post.since("far") > far, 5)
        assert post.since("near") == near


@pytest.mark.skipif(not MAY_CHANGE_NETWORK, reason="network namespaces are not allowed here")
def test_shared_connections_end_when_the_way_out_has_moved(repo: Repo, tmp_path: Path) -> None:
    """A new route alone ends none: others may be well."""

    def own_network() -> None:
        assert ctypes.CDLL(None).unshare(0x40000000) == 0  # CLONE_NEWNET

    with (
        sentry(repo, own_network) as post,
        pretended_master(repo.path, tmp_path) as master,
    ):
        ip = functools.partial(in_network, post.pid, "ip")
        ip("link", "add", "probe", "type", "veth")
        ip("link", "set", "veth0", "up")
        ip("link", "set", "probe", "up")
        for number, way in enumerate(("192.0.2", "198.51.100")):
            ip("addr", "add", f"{way}.1/24", "dev", "probe")
            ip("route", "replace", "default", "via", f"{way}.2")
            if not number:
                stays(lambda: alive(master), 2)
        wait_until(lambda: not alive(master), 5)
        assert not (repo.path / ".git/annex/annexd/ssh/abc").exists()


@pytest.mark.skipif(not MAY_CHANGE_NETWORK, reason="network namespaces are not allowed here")
@pytest.mark.parametrize("version", ["192.0.2.{}/24", "2001:db8::{}/64"])
def test_shared_connections_end_when_our_address_has_changed(
    version: str, repo: Repo, tmp_path: Path
) -> None:
    """Another lease, and the routes are the same.  One more, or a network less, ends none."""

    def own_network() -> None:
        assert ctypes.CDLL(None).unshare(0x40000000) == 0  # CLONE_NEWNET

    repo.git("remote", "add", "far", "ssh://host.invalid/srv/b")
    with (
        sentry(repo, own_network) as post,
        pretended_master(repo.path, tmp_path) as master,
    ):
        ip = functools.partial(in_network, post.pid, "ip")
        ip("link", "add", "probe", "type", "veth")
        ip("link", "add", "other", "type", "veth")
        for device in ("veth0", "veth1", "probe", "other"):
            ip("link", "set", device, "up")
        ip("addr", "add", version.format(1), "dev", "probe", "nodad")
        ip("addr", "add", "198.51.100.1/24", "dev", "other")
        before = post.since("far")
        ip("addr", "add", version.format(2), "dev", "probe", "nodad")
        wait_until(lambda: post.since("far") > before, 5)
        ip("link", "del", "other")
        stays(lambda: alive(master), 2)

        ip("addr", "flush", "dev", "probe", "scope", "global")
        ip("addr", "add", version.format(3), "dev", "probe", "nodad")

        wait_until(lambda: not alive(master), 5)


def test_after_a_sleep_connections_are_dropped_and_remotes_tried_again(
    repo: Repo, other: Repo, tmp_path: Path
) -> None:
    """No clock is set here, so it is a poke that wakes the sentry, and not the timer."""
    repo.git("remote", "add", "far", "ssh://host.invalid/srv/b")
    repo.git("remote", "add", "near", other.path)
    slept = tmp_path / "slept"
    slept.write_text("100")

    def own_clock() -> None:
        own = functools.partial(Suspension, slept=lambda: float(slept.read_text()))
        vars(role)["Suspension"] = own

    with sentry(repo, own_clock) as post, pretended_master(repo.path, tmp_path) as master:
        far, near = post.since("far"), post.since("near")
        slept.write_text("100.5")
        post.settle()
        assert alive(master)
        assert post.since("far") == far

        slept.write_text("3700.5")
        post.settle()

        wait_until(lambda: not alive(master), 5)
        wait_until(lambda: post.since("far") > far, 5)
        assert post.since("near") == near


def in_network(pid: int, *argv: str) -> None:
    """Run a program in the network namespace of a process."""
    run(["nsenter", "--net", f"--target={pid}", *argv])


def test_when_nothing_happens_nobody_wakes(repo: Repo, other: Repo) -> None:
    repo.git("remote", "add", "b", other.path)
    repo.git("remote", "add", "none", "/nowhere/b")
    with sentry(repo) as post:
        # What its neighbours do all day is no news to it.
        other.write("file", b"x")
        other.git("status")
        repo.write("file", b"x")
        repo.git("add", "file")
        repo.git("commit", "-q", "-m", "x")
        wait_until(post.rests)
        before = post.switches()
        until = time.monotonic() + 1.5
        wait_until(lambda: time.monotonic() > until)
        assert post.switches() == before


def test_a_remote_whose_settings_have_changed_begins_anew(repo: Repo) -> None:
    for name in ("far", "other"):
        repo.git("remote", "add", name, f"ssh://{name}.invalid/srv/b")
    with sentry(repo) as post:
        far, other = post.since("far"), post.since("other")

        repo.config("remote.far.annex-shell", "annexd shell")

        wait_until(lambda: post.since("far") > far, 5)
        assert post.settle().since("other") == other


def test_out_of_hours_all_transfers_are_paused_until_somebody_changes_that(repo: Repo) -> None:
    hour = time.localtime().tm_hour
    closed = f"{(hour + 3) % 24:02}:00-{(hour + 4) % 24:02}:00"
    repo.config("annexd.transfer-window", closed)
    with sentry(repo) as post:
        paths = post.place.layout
        [pause] = hold.listing(paths, time.time())
        assert pause.uuid is None
        assert time.time() + 3600 < pause.until < time.time() + 4 * 3600

        repo.config("annexd.transfer-window", "00:00-24:00")
        wait_until(lambda: not hold.listing(paths, time.time()))
