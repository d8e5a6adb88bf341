"""Objects and the locks that keep them, with git-annex as judge."""

import errno
import fcntl
import hashlib
import os
import random
import signal
import time
from pathlib import Path

import pytest

from spool.key import Key
from tests.processes import forked, reap, run
from tests.repo import Repo
from workers.annex.contentlock import keep, promise, promised_until
from workers.annex.hashdirs import lower, mixed
from workers.annex.lockfile import FLOCK
from workers.annex.objects import Objects, Stored
from workers.annex.repository import Repository, find

SOME = [
    *(b"SHA256E-s%d--%064x.dat" % (number, number * 7919) for number in range(100)),
    *(b"WORM-s3-m1700000000--a/b%%c&d:e%d" % number for number in range(20)),
    "SHA256E-s1--00.çé".encode(),
    b"SHA256-s1048576-S1024-C3--00",
    b"SHA256-s1048576-C3--00",
    b"URL--http://e.com/a,32b",
]


def test_hash_directories_are_those_of_git_annex(repo: Repo) -> None:
    text = "${hashdirmixed} ${hashdirlower} ${key}\\n"

    said = repo.annex("examinekey", "--batch", f"--format={text}", stdin=b"\n".join(SOME) + b"\n")

    ours = [b"%b/ %b/ %b" % (mixed(Key(key)), lower(Key(key)), key) for key in SOME]
    assert ours == said.split(b"\n")[:-1]


def file_with(directory: Path, content: bytes) -> tuple[Key, bytes]:
    """A file ready to be stored, and its key."""
    key = Key(b"SHA256-s%d--%b" % (len(content), hashlib.sha256(content).hexdigest().encode()))
    path = directory / f"tmp{random.getrandbits(60)}"
    path.write_bytes(content)
    return key, os.fsencode(path)


def kinds(tmp_path: Path, kind: str) -> Repo:
    """A repository of one of the kinds that keep objects in different places."""
    if kind == "bare":
        run(["git", "init", "-q", "--bare", tmp_path / kind])
        run(["git-annex", "init", "-q"], cwd=tmp_path / kind)
        return Repo(tmp_path / kind)
    run(["git", "init", "-q", tmp_path / kind])
    repo = Repo(tmp_path / kind)
    if kind.startswith("object"):
        repo.config(f"annex.tune.{kind}", "true")
    repo.annex("init", "-q")
    if kind == "crippled":
        repo.config("annex.crippledfilesystem", "true")
        repo.config("core.symlinks", "false")
    return repo


@pytest.mark.parametrize("kind", ["plain", "bare", "crippled", "objecthash1", "objecthashlower"])
def test_git_annex_finds_what_we_store_and_we_find_what_it_stores(
    tmp_path: Path, kind: str
) -> None:
    repo = kinds(tmp_path, kind)
    objects = Objects(find(repo.path))
    ours, temporary = file_with(tmp_path, b"ours")
    theirs, theirs_file = file_with(tmp_path, b"theirs")
    assert objects.locate(ours) is None

    stored = objects.store(ours, temporary)
    repo.annex("setkey", "-q", theirs, theirs_file)

    assert stored is Stored.NEW
    assert not os.path.exists(temporary)
    for key in (ours, theirs):
        said = repo.annex("contentlocation", key).strip()
        located = objects.locate(key)
        assert located == objects.path(key)
        assert located == os.path.normpath(os.fsencode(repo.path) + b"/" + said)
    repo.annex("setpresentkey", ours, repo.uuid(), "1")
    repo.annex("fsck", "-q", "--all")


def test_content_in_the_other_place_is_found_too(repo: Repo) -> None:
    repo.add("file", b"content")
    key = Key(repo.key("file"))
    objects = Objects(find(repo.path))
    path = Path(os.fsdecode(objects.path(key)))
    other = path.parents[3] / lower(key).decode() / path.name / path.name
    other.parent.mkdir(parents=True)
    os.chmod(path.parent, 0o700)
    path.rename(other)

    assert objects.locate(key) == os.fsencode(other)
    assert repo.path / repo.annex("contentlocation", key).decode().strip() == other


def test_an_object_that_is_there_is_never_replaced(repo: Repo, tmp_path: Path) -> None:
    objects = Objects(find(repo.path))
    key, temporary = file_with(tmp_path, b"content")
    objects.store(key, temporary)
    before = os.stat(objects.path(key))
    _key, again = file_with(tmp_path, b"content")

    assert objects.store(key, again) is Stored.KEPT
    assert not os.path.exists(again)
    assert os.stat(objects.path(key)) == before


def test_a_directory_that_a_lock_file_has_made_is_filled(repo: Repo, tmp_path: Path) -> None:
    objects = Objects(find(repo.path))
    key, temporary = file_with(tmp_path, b"content")
    path = objects.path(key)
    os.makedirs(os.path.dirname(path))
    Path(os.fsdecode(path + b".lck")).touch()
    os.chmod(os.path.dirname(path), 0o500)

    assert objects.store(key, temporary) is Stored.NEW
    assert os.stat(os.path.dirname(path)).st_mode & 0o777 == 0o555
    assert os.stat(path).st_nlink == 1
    repo.annex("setpresentkey", key, repo.uuid(), "1")
    repo.annex("fsck", "-q", "--all")


def test_hash_directories_that_a_drop_has_removed_are_made_again(
    repo: Repo, tmp_path: Path
) -> None:
    objects = Objects(find(repo.path))
    key, temporary = file_with(tmp_path, b"content")
    for _time in range(2):
        assert objects.store(key, temporary) is Stored.NEW
        repo.annex("dropkey", "--force", "-q", key)
        assert not os.path.exists(os.path.dirname(os.path.dirname(objects.path(key))))
        key, temporary = file_with(tmp_path, b"content")


def test_what_is_not_a_file_is_not_content(repo: Repo, tmp_path: Path) -> None:
    objects = Objects(find(repo.path))
    key, temporary = file_with(tmp_path, b"content")
    os.makedirs(os.path.dirname(objects.path(key)))
    os.symlink(temporary, objects.path(key))

    assert objects.locate(key) is None
    assert objects.locate(Key(b"WORM-s1-m1--" + b"x" * 300)) is None


def test_a_repository_with_freeze_hooks_says_so(repo: Repo) -> None:
    assert not Objects(find(repo.path)).hooked
    repo.config("annex.freezecontent-command", "true %path")
    assert Objects(find(repo.path)).hooked


@pytest.fixture
def kept(repo: Repo) -> tuple[Repo, Repository, Key, bytes]:
    """A repository with one object, unused and so easily dropped."""
    repo.add("file", b"content")
    found = find(repo.path)
    key = Key(repo.key("file"))
    path = Objects(found).locate(key)
    assert path is not None
    return repo, found, key, path


Kept = tuple[Repo, Repository, Key, bytes]


def dropped(repo: Repo, key: bytes) -> bool:
    """Whether ``git annex dropkey`` is allowed to remove the content."""
    said = repo.annex("dropkey", "--batch", "--force", "--json", stdin=key + b"\n")
    return b'"success":true' in said


def test_what_is_kept_cannot_be_dropped(kept: Kept) -> None:
    repo, found, key, path = kept
    mode = os.stat(os.path.dirname(path)).st_mode

    with keep(found, path) as here:
        assert here
        with pytest.raises(AssertionError, match="locked"):
            repo.annex("dropkey", "--force", key)

    assert os.path.exists(path)
    assert not os.path.exists(path + b".lck")
    assert os.stat(os.path.dirname(path)).st_mode == mode
    repo.annex("dropkey", "--force", key)
    assert not os.path.exists(path)


def test_what_is_gone_cannot_be_kept(kept: Kept) -> None:
    repo, found, key, path = kept
    repo.annex("dropkey", "--force", key)

    with keep(found, path) as here:
        assert not here
    assert not os.path.exists(os.path.dirname(path))


def test_a_promise_to_keep_is_read(kept: Kept) -> None:
    _repo, _found, _key, path = kept
    assert promised_until(path) == 0
    os.chmod(os.path.dirname(path), 0o700)
    Path(os.fsdecode(path + b".rtm")).write_text("1795344890.04056437s")

    assert promised_until(path) == 1795344890


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_hard_links_gets_the_object_all_the_same(
    repo: Repo, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them says it in another way; the directory is there, from an earlier drop."""
    objects = Objects(find(repo.path))
    key, temporary = file_with(repo.path / ".git", b"content")
    os.makedirs(os.path.dirname(objects.path(key)))

    def fail(_source: bytes, _target: bytes) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", fail)

    assert objects.store(key, temporary) is Stored.NEW
    assert objects.locate(key) is not None


@pytest.mark.parametrize("call", ["open", "unlink"])
def test_who_freezes_the_object_at_the_same_time_is_no_trouble(
    repo: Repo, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """Two who keep one object thaw its directory both, and one of them freezes it first."""
    key = Key(repo.add("f", b"content"))
    here = find(repo.path)
    path = Objects(here).locate(key)
    assert path is not None
    real = getattr(os, call)

    def frozen_first(name: bytes, *args: object, **options: object) -> object:
        if name == path + b".lck":
            monkeypatch.setattr(os, call, real)
            os.chmod(os.path.dirname(name), 0o500)
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)
        return real(name, *args, **options)

    monkeypatch.setattr(os, call, frozen_first)

    with keep(here, path) as kept:
        assert kept

    assert os.listdir(os.path.dirname(path)) == [os.path.basename(path)]


def frozen(path: bytes) -> bool:
    """Whether nothing but the object is in its directory, and that is not to be written to."""
    directory = os.path.dirname(path)
    return os.listdir(directory) == [os.path.basename(path)] and not (
        os.stat(directory).st_mode & 0o222
    )


def test_what_was_promised_cannot_be_dropped_until_the_promise_is_withdrawn(kept: Kept) -> None:
    repo, found, key, path = kept
    until = time.time() + 1000
    with promise(found, path, until) as here:
        assert here
        assert promised_until(path) == int(until)
        with pytest.raises(AssertionError, match="locked"):
            repo.annex("dropkey", "--force", key)

    assert promised_until(path) == 0
    assert frozen(path)
    repo.annex("dropkey", "--force", key)
    with promise(found, path, until) as here:
        assert not here
    assert not os.path.exists(os.path.dirname(path))


def test_a_promise_outlives_who_made_it_and_was_killed_or_has_failed(kept: Kept) -> None:
    repo, found, key, path = kept
    until = time.time() + 1000

    def make_it_and_die() -> None:
        with promise(found, path, until):
            os.kill(os.getpid(), signal.SIGKILL)

    with forked(make_it_and_die) as child:
        assert reap(child) == -signal.SIGKILL
    assert promised_until(path) == int(until)
    with pytest.raises(AssertionError, match="locked"):
        repo.annex("dropkey", "--force", key)

    with pytest.raises(OSError, match="cut off"), promise(found, path, until + 5):
        raise OSError("cut off")
    assert promised_until(path) == int(until) + 5


def test_a_longer_promise_to_somebody_else_stays(kept: Kept) -> None:
    """Neither a shorter one, nor the end of it, changes it."""
    _repo, found, _key, path = kept
    now = time.time()

    def promise_longer() -> None:
        with promise(found, path, now + 2000):
            os._exit(0)  # cut off

    with forked(promise_longer) as child:
        assert reap(child) == 0
    with promise(found, path, now + 1000) as here:
        assert here
        assert promised_until(path) == int(now + 2000)

    assert promised_until(path) == int(now + 2000)


def test_a_promise_that_somebody_has_withdrawn_for_us_is_no_trouble(kept: Kept) -> None:
    _repo, found, _key, path = kept
    with promise(found, path, time.time() + 1000) as here:
        assert here
        os.chmod(os.path.dirname(path), 0o700)
        os.unlink(path + b".rtm")
        os.chmod(os.path.dirname(path), 0o500)

    assert frozen(path)


def test_the_lock_file_stays_while_another_keeps_the_object_and_the_last_one_removes_it(
    kept: Kept,
) -> None:
    _repo, found, _key, path = kept
    taken, told = os.pipe(), os.pipe()

    def keep_it() -> None:
        with keep(found, path) as here:
            os.write(taken[1], b"+" if here else b"-")
            os.read(told[0], 1)

    with forked(keep_it) as child:
        assert os.read(taken[0], 1) == b"+"
        with keep(found, path) as here:
            assert here
        assert os.path.exists(path + b".lck")
        os.write(told[1], b".")
        assert reap(child) == 0
    for fd in (*taken, *told):
        os.close(fd)

    assert frozen(path)


def test_what_git_annex_drops_at_this_moment_is_not_kept(kept: Kept) -> None:
    _repo, found, _key, path = kept
    os.chmod(os.path.dirname(path), 0o700)
    lock = os.open(path + b".lck", os.O_RDWR | os.O_CREAT)
    fcntl.fcntl(lock, fcntl.F_OFD_SETLK, FLOCK.pack(fcntl.F_WRLCK, 0, 0, 0, 0))

    with keep(found, path) as here:
        assert not here

    assert os.path.exists(path + b".lck")
    os.close(lock)
