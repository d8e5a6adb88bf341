"""One spool, two programs: git-annex and annexd see, exclude and clean up after each other."""

import functools
import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from spool import failed, lock, running, stale
from spool.info import Info
from spool.key import Key, parse
from spool.layout import Layout
from spool.publisher import Publisher
from spool.transfer import UUID, Direction, Lane, Transfer, parse_uuid
from spool.transferlock import TransferLocks
from tests.processes import attempt, forked, kill, reap, started, wait_until
from tests.repo import Repo
from tests.spool import NOW

SIZE = 1_000_000
FILE = "a b%c"
SHOWN = "a b%c\nd"


def uuid(repo: Repo) -> UUID:
    """A repository's uuid as the spool has it."""
    return parse_uuid(repo.uuid().encode())


def paths(repo: Repo) -> Layout:
    """A repository's layout."""
    return Layout.of(os.fsencode(repo.path / ".git"))


def in_progress(repo: Repo) -> list[tuple[str, str, str, str | None]]:
    """What ``git annex info`` lists."""
    said = json.loads(repo.annex("info", "--fast", "--json"))
    return [
        (one["transfer"], one["key"], one["remote"], one["file"])
        for one in said["transfers in progress"]
    ]


def locks_of(repo: Repo, transfer: Transfer) -> list[bytes]:
    """The lock files of a transfer that exist."""
    return [path for path in paths(repo).locks(transfer) if os.path.exists(path)]


@pytest.fixture
def pair(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Repo, Repo]:
    """Two clones, ``a`` and ``b``, and a file whose copy to ``b`` would take ten seconds.

    They are made once, and copied for each test.
    """
    model = tmp_path_factory.getbasetemp() / "spool-interop"
    if not model.exists():
        a = Repo.create(model / "a")
        a.add(FILE, os.urandom(SIZE))
        b = a.clone(model / "b")
        a.git("remote", "add", "b", b.path)
        a.annex("sync", "-q", "--no-content")
        for repo in (a, b):
            repo.config("annex.bwlimit", "100KB")
    shutil.copytree(model, tmp_path, symlinks=True, dirs_exist_ok=True)
    a, b = Repo(tmp_path / "a"), Repo(tmp_path / "b")
    b.git("remote", "rename", "origin", "a")
    b.git("remote", "set-url", "a", a.path)
    a.git("remote", "set-url", "b", b.path)
    return a, b


@pytest.fixture
def key(pair: tuple[Repo, Repo]) -> Key:
    """The key of the file."""
    return parse(pair[0].key(FILE))


def run_transfer(repo: Repo, transfer: Transfer) -> None:
    """Have a transfer, and show it, until killed."""
    locks = TransferLocks(paths(repo), transfer.lane)
    taken = locks.try_take(transfer.key)
    assert taken is not None
    Publisher(taken, NOW, size=None, associated_file=SHOWN.encode()).progress(5, NOW + 1)
    signal.pause()


def test_the_layout_names_what_git_annex_makes(pair: tuple[Repo, Repo], key: Key) -> None:
    """Not what is there only when something is wrong."""
    a, b = pair
    a.git("config", "--unset", "annex.bwlimit")
    a.annex("copy", "-q", "--to", "b", FILE)
    a.annex("setpresentkey", key, "00000000-0000-0000-0000-000000000001", "1")  # journalled
    a.annex("sync", "-q", "--no-content")
    b.annex("unlock", FILE)
    b.annex("smudge", "--update")
    made = {
        *("transfer", "objects", "tmp", "journal", "journal_lock", "branch_index"),
        *("branch_index_tip", "othertmp_lock", "smudge_log", "smudge_lock", "keysdb"),
    }

    missing = {
        name
        for name in made
        if not any(os.path.exists(getattr(paths(repo), name)) for repo in pair)
    }
    assert missing == set()


DIRECTIONS = pytest.mark.parametrize("direction", Direction)


@DIRECTIONS
def test_git_annex_lists_what_we_transfer(
    pair: tuple[Repo, Repo], key: Key, direction: Direction
) -> None:
    a, b = pair
    transfer = Transfer(direction, uuid(b), key)
    with forked(lambda: run_transfer(a, transfer)):
        wait_until(lambda: list(running.listing(paths(a))))

        assert in_progress(a) == [(str(direction), key.decode(), b.uuid(), SHOWN)]
    assert in_progress(a) == []


@pytest.mark.parametrize("which", [0, 1], ids=["the new lock", "the old lock"])
def test_git_annex_and_we_list_a_download_with_either_lock(
    pair: tuple[Repo, Repo], key: Key, which: int
) -> None:
    a, b = pair
    transfer = Transfer(Direction.DOWNLOAD, uuid(a), key)
    info = Path(os.fsdecode(paths(b).info(transfer)))
    path = paths(b).locks(transfer)[which]
    for directory in (info.parent, Path(os.fsdecode(path)).parent):
        directory.mkdir(parents=True, exist_ok=True)
    held = lock.try_take(path, flags=lock.OPEN | os.O_CREAT)
    assert held is not None
    info.write_bytes(Info.begun(NOW, b"f").format())

    assert in_progress(b) == [("download", key.decode(), a.uuid(), "f")]
    assert [one.transfer for one in running.listing(paths(b))] == [transfer]
    held.close()


@DIRECTIONS
def test_git_annex_cleans_up_after_our_killed_worker(
    pair: tuple[Repo, Repo], key: Key, direction: Direction
) -> None:
    a, b = pair
    transfer = Transfer(direction, uuid(b), key)
    with forked(lambda: run_transfer(a, transfer)) as worker:
        wait_until(lambda: list(running.listing(paths(a))))
        kill(worker)
        reap(worker)
    assert os.path.exists(paths(a).info(transfer))

    assert in_progress(a) == []

    assert not os.path.exists(paths(a).info(transfer))
    assert locks_of(a, transfer) == []


@pytest.fixture
def copying(pair: tuple[Repo, Repo], key: Key) -> Iterator[int]:
    """``git annex copy`` from ``a`` to ``b``, in the middle of it; its pid."""
    a, b = pair
    with started(["git-annex", "copy", "--to", "b", FILE], cwd=a.path) as copy:
        wait_until(lambda: list(running.listing(paths(a))) and list(running.listing(paths(b))))
        assert key
        yield copy.pid


def knows_all(repo: Repo) -> bool:
    """Whether a listing of the one running transfer says all that can be known."""
    (one,) = running.listing(paths(repo))
    info = one.info
    return None not in (info.started, info.bytes_done) and info.associated_file == FILE.encode()


def test_we_list_what_git_annex_transfers_on_both_sides(
    pair: tuple[Repo, Repo], key: Key, copying: int
) -> None:
    """It writes ``upload`` here and ``download`` in a remote that is reached by path."""
    a, b = pair

    (upload,) = running.listing(paths(a))
    (download,) = running.listing(paths(b))

    assert upload.transfer == Transfer(Direction.UPLOAD, uuid(b), key)
    assert download.transfer == Transfer(Direction.DOWNLOAD, uuid(a), key)
    assert (upload.pid, download.pid) == (copying, copying)
    for repo in pair:  # git-annex rewrites the text in place, so now and then it is found empty
        wait_until(functools.partial(knows_all, repo))


def test_the_text_that_git_annex_writes_is_the_text_that_we_write(
    pair: tuple[Repo, Repo], key: Key, copying: int
) -> None:
    a, b = pair
    info = Path(os.fsdecode(paths(a).info(Transfer(Direction.UPLOAD, uuid(b), key))))

    def whole_text() -> bytes:
        """git-annex rewrites it in place, so it may be torn."""
        text = info.read_bytes()
        return text if text.endswith(FILE.encode() + b"\n") and b" " in text else b""

    wait_until(whole_text)
    text = b""
    while not text:
        text = whole_text()

    assert Info.parse(text).format() == text
    assert copying


def test_what_git_annex_transfers_we_do_not(
    pair: tuple[Repo, Repo], key: Key, copying: int
) -> None:
    a, b = pair
    assert copying
    with (
        TransferLocks(paths(a), Lane(Direction.UPLOAD, uuid(b))) as uploads,
        TransferLocks(paths(b), Lane(Direction.DOWNLOAD, uuid(a))) as downloads,
        TransferLocks(paths(b), Lane(Direction.DOWNLOAD, parse_uuid(b"another"))) as others,
    ):
        assert uploads.try_take(key) is None
        assert downloads.try_take(key) is None
        assert others.try_take(key) is None


def test_we_clean_up_after_a_killed_git_annex(
    pair: tuple[Repo, Repo], key: Key, copying: int
) -> None:
    a, b = pair
    kill(copying)
    wait_until(lambda: not list(running.listing(paths(a))))
    upload = Transfer(Direction.UPLOAD, uuid(b), key)
    download = Transfer(Direction.DOWNLOAD, uuid(a), key)
    assert os.path.exists(paths(a).info(upload))
    assert os.path.exists(paths(b).info(download))

    assert (stale.purge(paths(a), NOW), stale.purge(paths(b), NOW)) == (1, 1)

    assert not os.path.exists(paths(a).info(upload))
    assert not os.path.exists(paths(b).info(download))
    assert locks_of(a, upload) == locks_of(b, download) == []


def test_what_git_annex_shell_receives_is_listed_and_not_transferred_by_us(
    pair: tuple[Repo, Repo], key: Key
) -> None:
    """N8: a peer pushes a content to us over ssh; here without the ssh."""
    a, b = pair
    with started(["git-annex-shell", "p2pstdio", b.path, a.uuid(), "--uuid", b.uuid()]) as shell:
        assert shell.stdin is not None
        assert shell.stdout is not None
        assert shell.stdout.readline() == b"AUTH-SUCCESS %s\n" % uuid(b)
        shell.stdin.write(b"PUT some-file %s\n" % key)
        shell.stdin.flush()
        assert shell.stdout.readline() == b"PUT-FROM 0\n"
        shell.stdin.write(b"DATA %d\n" % SIZE + b"x" * (SIZE // 2))
        shell.stdin.flush()
        listed: list[running.Running] = []

        def is_shown() -> bool:
            listed[:] = running.listing(paths(b))  # git-annex writes it anew again and again
            return [one.info.bytes_done for one in listed] not in ([], [None])

        wait_until(is_shown)

        (one,) = listed
        assert one.transfer == Transfer(Direction.DOWNLOAD, uuid(a), key)
        assert one.pid == shell.pid
        assert one.info.associated_file == b"some-file"
        with TransferLocks(paths(b), one.transfer.lane) as locks:
            assert locks.try_take(key) is None


@pytest.fixture(params=["git-annex", "an old git-annex"])
def git_annex(request: pytest.FixtureRequest) -> Path | str:
    """git-annex; and one that knows only ``download/U/lck.KEY``, as Debian 12 has it."""
    if request.param == "git-annex":
        return "git-annex"
    old = os.environ.get("ANNEXD_OLD_GIT_ANNEX")
    if old is None:
        pytest.skip("no old git-annex: set ANNEXD_OLD_GIT_ANNEX to one before 10.20240227")
    return Path(old)


@DIRECTIONS
def test_what_we_transfer_git_annex_does_not_and_does_it_when_we_have_ended(
    pair: tuple[Repo, Repo], key: Key, direction: Direction, git_annex: Path | str
) -> None:
    """We were killed, so our lock files are still there, and are no hindrance."""
    a, b = pair
    if direction is Direction.UPLOAD:
        repo, transfer = a, Transfer(direction, uuid(b), key)
        command = [git_annex, "copy", "--to", "b", FILE]
    else:
        repo, transfer = b, Transfer(direction, uuid(a), key)
        command = [git_annex, "get", "--from", "a", FILE]
    with forked(lambda: run_transfer(repo, transfer)) as worker:
        wait_until(lambda: list(running.listing(paths(repo))))

        status, said = attempt(command, cwd=repo.path)

        assert status == 1
        assert b"transfer already in progress" in said
        assert b.annex("find", FILE) == b""
        assert [one.pid for one in running.listing(paths(repo))] == [worker]
        kill(worker)
        reap(worker)

    for each in pair:
        each.git("config", "--unset", "annex.bwlimit")
    assert attempt(command, cwd=repo.path)[0] == 0
    assert b.read(FILE) == a.read(FILE)
    stale.purge(paths(repo), NOW)  # an old git-annex leaves the lock that it does not know
    assert locks_of(repo, transfer) == []
    assert not os.path.exists(paths(repo).info(transfer))


def test_what_an_old_git_annex_downloads_we_do_not(
    pair: tuple[Repo, Repo], key: Key, git_annex: Path | str
) -> None:
    a, b = pair
    lane = Lane(Direction.DOWNLOAD, uuid(a))
    with started([git_annex, "get", "--from", "a", FILE], cwd=b.path):
        wait_until(lambda: list(running.listing(paths(b))))

        with TransferLocks(paths(b), lane) as locks:
            assert locks.try_take(key) is None
        assert [one.transfer for one in running.listing(paths(b))] == [
            Transfer(lane.direction, lane.uuid, key)
        ]


def test_what_failed_here_git_annex_gets_and_takes_off_the_list(
    pair: tuple[Repo, Repo], key: Key
) -> None:
    a, b = pair
    b.git("config", "--unset", "annex.bwlimit")
    a.git("config", "--unset", "annex.bwlimit")
    failed.record(
        paths(b), Transfer(Direction.DOWNLOAD, uuid(a), key), Info.begun(NOW, FILE.encode())
    )

    b.annex("get", "-q", "--failed")

    assert b.read(FILE) == a.read(FILE)
    assert list(failed.listing(paths(b))) == []


def test_what_failed_in_git_annex_is_on_our_list(pair: tuple[Repo, Repo], key: Key) -> None:
    a, b = pair
    (a.path / ".git" / "annex" / "objects").rename(a.path / ".git" / "annex" / "away")

    status, _ = attempt(["git-annex", "get", "--from", "a", FILE], cwd=b.path)

    assert status == 1
    (one,) = failed.listing(paths(b))
    assert one.transfer == Transfer(Direction.DOWNLOAD, uuid(a), key)
    assert one.info.associated_file == FILE.encode()
