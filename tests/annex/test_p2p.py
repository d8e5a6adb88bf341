"""Our side of the P2P protocol, with real ``git-annex-shell`` at the other."""

import errno
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spool.key import Key
from spool.transfer import parse_uuid
from tests.processes import ANNEXD_SHELL, alive, wait_until
from tests.repo import Repo
from workers.annex import p2p
from workers.annex.limits import Pace
from workers.annex.p2p import BusyError, ChangedError, Peer, RefusedError, Sent
from workers.annex.pipes import EndedError, Pipes, SilentError
from workers.shell.sending import send_whole
from workers.shell.wire import Wire

FILE = b"a file"
CONTENT = os.urandom(300_000)


@dataclass
class OpenFile:
    """A content to send."""

    fd: int
    size: int
    changed: bool = False
    seen: list[int] = field(default_factory=list)

    def piece(self) -> int:
        return 1 << 20

    def resume(self, there: int) -> None:
        assert there <= self.size

    def advance(self, done: int) -> None:
        self.seen.append(done)

    def unchanged(self) -> bool:
        return not self.changed


@pytest.fixture(params=["git-annex-shell", "an old git-annex-shell", "annexd shell"])
def shell(request: pytest.FixtureRequest) -> str:
    """Today's, Debian 12's, and our own."""
    if request.param == "git-annex-shell":
        return "git-annex-shell"
    if request.param == "annexd shell":
        return ANNEXD_SHELL
    old = os.environ.get("ANNEXD_OLD_GIT_ANNEX")
    if old is None:
        pytest.skip("no old git-annex: set ANNEXD_OLD_GIT_ANNEX to one before 10.20240227")
    return str(Path(old).with_name("git-annex-shell"))


def connect(repo: Repo, shell: str = "git-annex-shell", silence_s: float = 30) -> Peer:
    there = parse_uuid(os.fsencode(repo.uuid()))
    client = parse_uuid(b"00000000-0000-4000-8000-000000000001")
    command = p2p.server(os.fsencode(repo.path), client, there, shell)
    pipes = Pipes(("sh", "-c", command), cwd=repo.path, silence_s=silence_s)
    return Peer(pipes, there)


@pytest.fixture
def peer(repo: Repo, shell: str) -> Iterator[Peer]:
    with connect(repo, shell) as made:
        yield made


@pytest.fixture
def key(tmp_path: Path) -> Key:
    """Of ``CONTENT``, which the repository does not have."""
    other = Repo.create(tmp_path / "other")
    return Key(other.add("f", CONTENT))


@pytest.fixture
def source(tmp_path: Path) -> Iterator[OpenFile]:
    path = tmp_path / "source"
    path.write_bytes(CONTENT)
    with path.open("rb") as file:
        yield OpenFile(file.fileno(), len(CONTENT))


def fetch(peer: Peer, key: Key, offset: int = 0) -> tuple[bytes, bool]:
    got = bytearray()
    valid = peer.take(peer.get(key, FILE, offset), got.extend)
    return bytes(got), valid


def test_the_lesser_version_is_agreed_upon(peer: Peer, shell: str) -> None:
    assert peer.version == (4 if shell in {"git-annex-shell", ANNEXD_SHELL} else 1)


def test_a_content_that_is_sent_is_there_verified_and_logged(
    repo: Repo, peer: Peer, key: Key, source: OpenFile
) -> None:
    assert not peer.has(key)

    assert peer.put(key, FILE, source).sent is Sent.STORED

    assert source.seen[-1] == len(CONTENT)
    assert peer.has(key)
    peer.close()
    assert repo.whereis(key) == {os.fsencode(repo.uuid())}
    assert repo.annex("fsck", "--all") != b""


def test_what_is_there_is_not_sent_again(peer: Peer, key: Key, source: OpenFile) -> None:
    peer.put(key, FILE, source)

    assert peer.put(key, FILE, source).sent is Sent.PRESENT


@pytest.mark.parametrize("changed", [False, True])
def test_the_wrong_content_is_not_stored_and_the_right_one_is_afterwards(
    peer: Peer, key: Key, source: OpenFile, tmp_path: Path, *, changed: bool
) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_bytes(bytes(len(CONTENT)))
    with wrong.open("rb") as file:
        assert (
            peer.put(key, FILE, OpenFile(file.fileno(), len(CONTENT), changed)).sent
            is Sent.REJECTED
        )

    assert peer.put(key, FILE, source).sent is Sent.STORED


def test_a_server_whose_disk_does_not_give_back_a_content_goes_on_with_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of one is bad; it is announced, so something comes, that nobody stands by."""
    content = CONTENT[:1000]
    (tmp_path / "file").write_bytes(content)
    reader, writer = os.pipe()

    def sendfile(target: int, fd: int, offset: int, size: int) -> int:
        if offset:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return os.write(target, os.pread(fd, min(size, 10), offset))

    monkeypatch.setattr(os, "sendfile", sendfile)
    with (tmp_path / "file").open("rb") as file:
        assert not send_whole(Wire(reader, writer), file.fileno())

    said = os.read(reader, 1 << 16)
    os.close(reader)
    os.close(writer)
    assert said == b"DATA 1000\n" + content[:10] + bytes(990)


def test_a_content_is_fetched_whole_or_from_where_one_left_off(repo: Repo, shell: str) -> None:
    key = Key(repo.add("f", CONTENT))
    with connect(repo, shell) as peer:
        assert fetch(peer, key) == (CONTENT, True)
        peer.keep()
        assert fetch(peer, key, 100_000) == (CONTENT[100_000:], True)
        peer.refuse()
        assert peer.has(key)


def test_a_content_that_is_not_there_is_nothing_that_the_server_stands_by(
    peer: Peer, key: Key
) -> None:
    got, valid = fetch(peer, key)

    assert got == b""
    assert not valid
    peer.refuse()
    assert not peer.has(key)


def test_an_interrupted_content_is_resumed(repo: Repo, key: Key, source: OpenFile) -> None:
    peer = connect(repo)
    short = OpenFile(source.fd, len(CONTENT) + 1)  # ends before what it promised
    with pytest.raises(ChangedError, match="shorter"):
        peer.put(key, FILE, short)
    tmp = repo.path / ".git/annex/tmp"
    wait_until(lambda: [file for file in tmp.glob("*") if file.stat().st_size > 1000])
    peer.kill()

    with connect(repo) as again:
        reply = again.put(key, FILE, source)

    assert reply.sent is Sent.STORED
    assert source.seen[0] > 1000
    assert source.seen[-1] == len(CONTENT)


def test_what_somebody_else_sends_is_busy_and_no_failure(
    repo: Repo, key: Key, source: OpenFile
) -> None:
    with connect(repo, ANNEXD_SHELL) as other:
        assert other.ask(b"PUT f " + key) == (b"PUT-FROM", b"0")
        with connect(repo, ANNEXD_SHELL) as peer:
            with pytest.raises(BusyError, match="transfer already in progress"):
                peer.put(key, FILE, source)
            assert not peer.has(key)


def test_another_repository_is_not_spoken_to(repo: Repo, tmp_path: Path) -> None:
    other = Repo.create(tmp_path / "another")
    wrong = parse_uuid(os.fsencode(other.uuid()))
    command = p2p.server(os.fsencode(repo.path), wrong, wrong)
    with pytest.raises(EndedError, match="expected repository UUID"):
        Peer(Pipes(("sh", "-c", command), cwd=repo.path, silence_s=30), wrong)


@pytest.mark.parametrize("shell", ["git-annex-shell", ANNEXD_SHELL])
def test_a_cluster_says_which_of_its_nodes_have_the_content(
    repo: Repo, key: Key, source: OpenFile, tmp_path: Path, shell: str
) -> None:
    """PUT and REMOVE are answered with SUCCESS-PLUS and ALREADY-HAVE-PLUS."""
    nodes = [Repo.create(tmp_path / name) for name in ("node1", "node2")]
    repo.annex("initcluster", "cluster")
    for node in nodes:
        repo.git("remote", "add", node.path.name, str(node.path))
        repo.config(f"remote.{node.path.name}.annex-cluster-node", "cluster")
    repo.annex("updatecluster")
    settled = {parse_uuid(os.fsencode(node.uuid())) for node in nodes}
    (cluster,) = re.findall(rb"[-0-9a-f]{36}", repo.git("show", "git-annex:cluster.log"))[:1]
    there, client = parse_uuid(cluster), parse_uuid(b"00000000-0000-4000-8000-000000000001")
    command = p2p.server(os.fsencode(repo.path), client, there, shell)
    with Peer(Pipes(("sh", "-c", command), cwd=repo.path, silence_s=30), there) as peer:
        reply = peer.put(key, FILE, source)
        assert reply.sent is Sent.STORED
        assert set(reply.also) >= settled
        again = peer.put(key, FILE, source)
        assert again.sent is Sent.PRESENT
        assert set(again.also) >= settled
        assert peer.remove(key, None)
        assert not peer.has(key)


def test_a_server_that_refuses_says_why(repo: Repo, key: Key, source: OpenFile) -> None:
    there = parse_uuid(os.fsencode(repo.uuid()))
    command = p2p.server(os.fsencode(repo.path), there, there)
    pipes = Pipes(
        ("sh", "-c", command),
        cwd=repo.path,
        silence_s=30,
        env={"GIT_ANNEX_SHELL_READONLY": "1"},
    )
    with Peer(pipes, there) as peer:
        with pytest.raises(RefusedError, match="read-only"):
            peer.put(key, FILE, source)
        assert not peer.has(key)


def test_a_silent_server_is_killed(tmp_path: Path) -> None:
    pipes = Pipes(("sleep", "60"), cwd=tmp_path, silence_s=0.1)

    with pytest.raises(SilentError, match="silent"):
        Peer(pipes, parse_uuid(b"a"))

    assert not alive(pipes.pid)


@pytest.mark.parametrize("what", ["printf x", "echo x >&2"])
def test_a_server_that_says_a_byte_now_and_then_or_only_complains_is_killed(
    tmp_path: Path, what: str
) -> None:
    """It would hold the connection for days."""
    argv = ("sh", "-c", f"while :; do {what}; sleep 0.1; done")
    pipes = Pipes(argv, cwd=tmp_path, silence_s=1)

    with pytest.raises(SilentError):
        Peer(pipes, parse_uuid(b"a"))

    assert not alive(pipes.pid)


def test_a_content_that_comes_more_slowly_than_is_allowed_has_stalled(tmp_path: Path) -> None:
    """``annex.stalldetection=10KB/1s``: before, a byte now and then was enough."""
    said = "AUTH-SUCCESS a\nVERSION 1\nDATA 1000000"
    script = f"echo '{said}'; while :; do printf xxxxxxxxxx; sleep 0.1; done"
    pipes = Pipes(("bash", "-c", script), cwd=tmp_path, silence_s=30)
    peer = Peer(pipes, parse_uuid(b"a"), down=Pace(10_000, 1.0))

    with pytest.raises(SilentError, match="stalled"):
        fetch(peer, Key(b"SHA256-s1000000--abc"))

    assert not alive(pipes.pid)


def test_the_error_of_a_server_that_ended_quotes_it(tmp_path: Path) -> None:
    pipes = Pipes(("sh", "-c", "echo no such host >&2; exit 255"), cwd=tmp_path, silence_s=30)

    with pytest.raises(EndedError, match="no such host"):
        Peer(pipes, parse_uuid(b"a"))


@given(st.binary(max_size=40))
def test_an_escaped_file_name_is_one_word_that_can_be_read_back(name: bytes) -> None:
    escaped = p2p.escape(name)

    assert not set(escaped) & set(b" \t\n\r\v\f")
    assert escaped.count(b"%") >= name.count(b"%") * 2


@pytest.mark.parametrize("said", [b"DATA", b"PUT-FROM"])
def test_a_number_without_end_is_what_the_protocol_does_not_allow(
    tmp_path: Path, said: bytes, source: OpenFile
) -> None:
    """int() raises ValueError for more than 4300 digits, and the transferrer died of it."""
    uuid = parse_uuid(b"00000000-0000-4000-8000-000000000001")
    answers = tmp_path / "answers"
    answers.write_bytes(b"AUTH-SUCCESS %b\nVERSION 1\n%b %b\n" % (uuid, said, b"9" * 5000))
    pipes = Pipes(("sh", "-c", "cat answers; exec cat >/dev/null"), cwd=tmp_path, silence_s=30)
    key = Key(b"SHA256-s3--abc")

    def ask(peer: Peer) -> object:
        return fetch(peer, key) if said == b"DATA" else peer.put(key, FILE, source)

    with Peer(pipes, uuid) as peer, pytest.raises(EndedError, match="answers no question"):
        ask(peer)
