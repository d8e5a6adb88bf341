"""Repositories that are reached over ssh: a real sshd, a real git-annex-shell."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from spool.key import Key
from spool.layout import Layout
from spool.transfer import UUID, Direction, Lane
from spool.transferlock import TransferLocks
from tests.daemons import Fleet
from tests.processes import ANNEXD_SHELL, alive, attempt, pause, run_to_end, stays, wait_until
from tests.procfs import family
from tests.repo import Repo
from tests.scenarios.sshd import Sshd, needs_sshd, sshd
from tests.synced import synced

pytestmark = needs_sshd


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sshd]:
    with sshd(tmp_path / "sshd", monkeypatch) as server:
        yield server


def reach(repo: Repo, other: Repo, server: Sshd) -> None:
    """Make ``other`` a remote of ``repo``, over ssh."""
    repo.git("remote", "add", other.path.name, server.url(other.path))


def connected(repo: Repo, other: Repo, server: Sshd) -> list[int]:
    """The masters of ``repo``, once it has sent something over ssh."""
    repo.write("f", b"content")
    wait_until(lambda: any((other.path / ".git/annex/objects").glob("*/*/*/*")), 20)
    masters = server.masters(repo.path)
    assert masters
    return masters


@pytest.fixture
def apart(tmp_path: Path, server: Sshd) -> tuple[Repo, Repo]:
    """Two that reach each other over ssh only."""
    a = Repo.create(tmp_path / "a")
    a.git("commit", "-q", "--allow-empty", "-m", "start")
    b = a.clone(tmp_path / "b")
    b.git("remote", "remove", "origin")
    reach(a, b, server)
    reach(b, a, server)
    return a, b


def test_two_that_reach_each_other_over_ssh(apart: tuple[Repo, Repo], fleet: Fleet) -> None:
    a, b = apart
    fleet.serve(a, b)

    a.write("from a", os.urandom(500_000))
    synced(a, b)
    b.write("from b", os.urandom(500_000))
    synced(a, b)
    a.remove("from b")
    a.write("from a", b"edited")
    synced(a, b)

    fleet.settle()
    fleet.stop()
    a.check()
    b.check()


def test_contents_go_to_what_is_behind_a_gateway(
    tmp_path: Path, server: Sshd, fleet: Fleet
) -> None:
    """A remote of a remote, as "git annex updateproxy" tells, and the nodes of a cluster."""
    a, gate, *others = (Repo.create(tmp_path / name) for name in ("a", "gate", "usb", "n1", "n2"))
    a.git("commit", "-q", "--allow-empty", "-m", "start")
    reach(a, gate, server)
    for other in others:
        gate.git("remote", "add", other.path.name, str(other.path))
        gate.annex("sync", "-q", "--no-content", other.path.name)
    if attempt(["git-annex", "initcluster", "big"], gate.path)[0]:
        pytest.skip("git-annex is too old to be a gateway")
    for name in ("n1", "n2"):
        gate.config(f"remote.{name}.annex-cluster-node", "big")
    gate.config("remote.usb.annex-proxy", "true")
    gate.annex("updatecluster")
    daemon = fleet.annexd(a)
    daemon.wait()

    a.write("file", b"content" * 1000)
    daemon.wait()

    # With the cluster, which no log names: git-annex says so of what its nodes have.
    assert a.whereis(a.key("file")) >= {each.uuid().encode() for each in (a, gate, *others)}
    assert [any(each.path.glob(".git/annex/objects/*/*/*/*")) for each in others] == [True] * 3
    assert b"gate-usb" in daemon.ask("status").stdout
    a.annex("drop", "-q", "--force", "file")
    gate.annex("drop", "-q", "--force", "--all")
    wait_until(lambda: a.holds("file", b"content" * 1000), 20, daemon.log)


def test_two_that_are_served_by_annexd_shell(apart: tuple[Repo, Repo], fleet: Fleet) -> None:
    a, b = apart
    a.config("remote.b.annex-shell", ANNEXD_SHELL)
    b.config("remote.a.annex-shell", ANNEXD_SHELL)
    fleet.serve(a, b)

    a.write("from a", os.urandom(500_000))
    for number in range(50):
        b.write(f"small/{number}", os.urandom(100))
    synced(a, b)
    b.write("from b", os.urandom(500_000))
    a.remove("small/7")
    synced(a, b)

    fleet.settle()
    fleet.stop()
    a.check()
    b.check()


def test_only_one_of_them_can_reach_the_other(tmp_path: Path, server: Sshd, fleet: Fleet) -> None:
    """A laptop behind a router, and a server that does not know where it is."""
    host = Repo.create(tmp_path / "host")
    host.git("commit", "-q", "--allow-empty", "-m", "start")
    laptop = host.clone(tmp_path / "laptop")
    laptop.git("remote", "remove", "origin")
    reach(laptop, host, server)
    fleet.serve(host, laptop)

    laptop.write("from the laptop", b"l" * 100_000)
    synced(host, laptop)
    host.write("from the host", b"h" * 100_000)
    synced(host, laptop, within_s=90)


def test_a_push_into_a_bare_hub_is_heard_of_at_once(
    tmp_path: Path, server: Sshd, fleet: Fleet
) -> None:
    """L4: git-annex-shell notifychanges; 3 s is the aim."""
    hub = Repo.bare(tmp_path / "hub")
    a = Repo.create(tmp_path / "a")
    a.git("commit", "-q", "--allow-empty", "-m", "start")
    b = a.clone(tmp_path / "b")
    b.git("remote", "remove", "origin")
    for repo in (a, b):
        reach(repo, hub, server)
    a.add("first", b"1")
    a.annex("sync", "-q", "--content")
    fleet.serve(b)
    synced(a, b)
    fleet.settle()

    a.add("pushed", b"2")
    a.annex("copy", "-q", "--to", "hub")
    a.git("push", "-q", "hub", "main")  # hub's git-annex-shell has logged what it got

    wait_until(lambda: b.exists("pushed"), 10)
    synced(a, b)


@pytest.mark.parametrize("way", ["core.sshCommand", "GIT_SSH_COMMAND", "GIT_SSH"])
def test_the_user_s_own_way_to_call_ssh_is_used_for_everything(
    way: str,
    apart: tuple[Repo, Repo],
    fleet: Fleet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By git, for contents, and for news; and no option of ours is added."""
    a, b = apart
    said, own = tmp_path / "said", tmp_path / "own-ssh"
    own.write_text(f'#!/bin/sh\necho "$@" >>{said}\nexec ssh "$@"\n')
    own.chmod(0o755)
    if way == "core.sshCommand":
        a.config(way, str(own))
    else:
        monkeypatch.setenv(way, str(own))
    fleet.serve(a)

    a.write("file", b"content")

    wait_until(lambda: any((b.path / ".git/annex/objects").glob("*/*/*/*")), 30)
    wanted = ("git-receive-pack", "p2pstdio", "notifychanges")
    wait_until(lambda: all(word in said.read_text() for word in wanted), 30, said.read_text)
    assert not Sshd.masters(a.path)
    assert "BatchMode" not in said.read_text()


def test_many_files_need_few_sessions(apart: tuple[Repo, Repo], server: Sshd, fleet: Fleet) -> None:
    """L9: connections are shared, by git as well."""
    a, b = apart
    fleet.serve(a, b)
    synced(a, b)
    a.write("first", b"1")
    synced(a, b)
    before = server.sessions()

    for number in range(20):
        a.write(f"{number}", b"%d" % number * 100)
        synced(a, b)

    assert server.sessions() - before <= 4


def test_a_peer_that_sleeps_delays_no_other(
    apart: tuple[Repo, Repo], server: Sshd, fleet: Fleet, tmp_path: Path
) -> None:
    """P38: its connections stay open, and nothing comes out of them."""
    a, b = apart
    near = a.clone(tmp_path / "near")
    near.git("remote", "rename", "origin", "a")
    a.remote(near)
    fleet.serve(a, b, near)
    a.write("first", b"1")
    synced(a, b, near)

    with server.asleep():
        for number in range(3):
            a.write(f"{number}", b"%d" % number)
            synced(a, near, within_s=15)
        a.write("large", os.urandom(3_000_000))
        synced(a, near, within_s=15)

    synced(a, b, near, within_s=120)


def test_peers_that_fall_asleep_while_they_are_sent_something_large_delay_no_other(
    apart: tuple[Repo, Repo], server: Sshd, fleet: Fleet, tmp_path: Path
) -> None:
    """Each peer may have two workers, one for the large content and one for the small ones."""
    a, b = apart
    c = a.clone(tmp_path / "c")
    c.git("remote", "remove", "origin")
    reach(a, c, server)
    near = a.clone(tmp_path / "near")
    near.git("remote", "remove", "origin")
    a.remote(near)
    daemon = fleet.annexd(a)
    fleet.annexd(near)
    a.write("first", b"1")
    for peer in (b, c):
        wait_until(lambda peer=peer: peer.objects(), 30, daemon.log)  # type: ignore[misc]
        daemon.tell("limit", "--up", "3MB", peer.path.name)
    synced(a, near)
    a.write("large", os.urandom(30_000_000))
    for peer in (b, c):
        tmp = peer.path / ".git/annex/tmp"
        wait_until(lambda tmp=tmp: any(tmp.glob("SHA256E-*")), 30, daemon.log)  # type: ignore[misc]

    with server.asleep():
        for number in range(6):
            a.write(f"{number}", b"%d" % number)
            synced(a, near, within_s=10)
            pause(0.5)


def test_a_content_that_is_locked_over_there_delays_no_other(
    apart: tuple[Repo, Repo], fleet: Fleet
) -> None:
    """As git-annex-shell keeps it for hours, whose client's network is gone; it ends for that."""
    a, b = apart
    b.git("remote", "remove", "a")
    key = a.add("locked", b"locked" * 1000)
    lane = Lane(Direction.DOWNLOAD, UUID(a.uuid().encode()))
    with TransferLocks(Layout.of(os.fsencode(b.path / ".git")), lane) as locks:
        taken = locks.try_take(Key(key))
        assert taken is not None
        daemon = fleet.annexd(a)
        for number in range(20):
            a.write(f"{number}", b"%d" % number * 1000 * number)
        wait_until(lambda: len(b.objects()) == 20, 20, lambda: (b.objects(), daemon.log()))
        wait_until(lambda: b"already in progress" in daemon.ask("status").stdout, 10)
        assert "away" not in daemon.log()
        a.write("later", b"later" * 10_000)
        wait_until(lambda: len(b.objects()) == 21, 10, lambda: (b.objects(), daemon.log()))
        taken.release()

    wait_until(lambda: len(b.objects()) == 22, 40, daemon.log)


def test_a_host_that_cannot_be_reached_delays_no_other(
    pair: tuple[Repo, Repo], fleet: Fleet
) -> None:
    """N16: 500 contents are queued for it first."""
    a, b = pair
    a.git("remote", "add", "gone", "ssh://127.0.0.1:9/nowhere")
    a.config("remote.gone.annex-uuid", "8a2b3c4d-1111-4222-8333-444455556666")
    a.config("remote.gone.annex-cost", "1.0")
    for number in range(200):
        a.write(f"{number}", b"%d" % number)
    fleet.serve(a, b)

    synced(a, b, within_s=90)
    a.write("one more", b"1")

    synced(a, b, within_s=10)


def test_a_host_that_asks_for_a_password_is_given_none(
    pair: tuple[Repo, Repo], server: Sshd, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P53: nobody sits there to answer; and nothing hangs waiting for an answer."""
    a, b = pair
    (server.place / "user").unlink()
    assert run_to_end(["ssh", "-o", "BatchMode=yes", server.host, "true"]).status != 0
    asked = server.place / "asked"
    askpass = server.place / "askpass"
    askpass.write_text(f"#!/bin/sh\ntouch {asked}\nsleep 1000\n")
    askpass.chmod(0o755)
    monkeypatch.setenv("SSH_ASKPASS", str(askpass))
    monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")
    monkeypatch.setenv("DISPLAY", ":0")
    a.git("remote", "add", "locked", server.url(b.path))
    fleet.serve(a, b)

    a.write("f", b"content")

    synced(a, b, within_s=20)
    stays(lambda: not asked.exists(), 5)


def test_stop_ends_the_connections_too(
    apart: tuple[Repo, Repo], server: Sshd, fleet: Fleet
) -> None:
    """P33: shared connections outlive those who opened them, unless somebody closes them."""
    a, b = apart
    daemons = [fleet.annexd(a), fleet.annexd(b)]
    a.write("f", b"content")
    synced(a, b)

    for daemon in daemons:
        daemon.stop()

    ours = {pid for pid, argv in fleet.left_behind().items() if "sshd" not in argv}
    assert not ours, fleet.left_behind()
    assert server.pid


def test_after_everything_was_killed_the_next_start_ends_the_connections(
    apart: tuple[Repo, Repo], server: Sshd, fleet: Fleet
) -> None:
    """P33: not even the undertaker was left to do it."""
    daemon = fleet.annexd(apart[0])
    masters = connected(*apart, server)
    for pid in (supervisor := daemon.pid(), *set(family(supervisor)) - set(masters)):
        if alive(pid):
            os.kill(pid, signal.SIGKILL)
    assert server.masters(apart[0].path) == masters

    daemon.start()

    assert not set(server.masters(apart[0].path)) & set(masters)


def test_when_the_supervisor_is_killed_the_undertaker_ends_the_connections(
    apart: tuple[Repo, Repo], server: Sshd, fleet: Fleet
) -> None:
    daemon = fleet.annexd(apart[0])
    connected(*apart, server)

    daemon.kill()

    wait_until(lambda: not server.masters(apart[0].path), 5)
