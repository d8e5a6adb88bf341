"""What becomes of one file that is taken in: each kind, and what happens to it meanwhile."""

import contextlib
import errno
import gzip
import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterator

import pytest

from spool.key import Key
from tests.desks import desk_of, nothing
from tests.processes import forked, reap
from tests.repo import Repo
from workers.annex.pointer import format_pointer
from workers.git.commit import Signature
from workers.git.index_entry import LINK
from workers.git.tree import Version
from workers.lease import Grant
from workers.watcher.agenda import Why
from workers.watcher.desk import Desk
from workers.watcher.finding import Finding
from workers.watcher.ingest import ASK, SMALL, Ingest
from workers.watcher.locking import Locking, lock_all
from workers.watcher.nameless import Nameless
from workers.watcher.rules import Rules
from workers.watcher.sidehash import LEAST

LARGE = SMALL + 7
WHO = Signature(b"A U Thor", b"author@example.com", 1_700_000_000)
Taken = Finding | Locking | Why | str | None


class Taker:
    """Takes in files of one repository, as the watcher does; no event is heard."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.meanwhile: Callable[[], None] = nothing
        """Done between two pieces of a large file."""
        self._rules = Rules(desk)
        self._ingest = Ingest(desk, self._rules, self._breathe)

    def __call__(self, name: bytes) -> Taken:
        return self.ready(name)()

    def ready(self, name: bytes) -> Callable[[], Taken]:
        """With all that the index and the rules say of it."""
        entry, attributes = self.desk.index().get(name), self._rules.attributes([name])[0]
        return lambda: self._ingest.take(name, entry, attributes)

    def content(self, found: Taken) -> bytes:
        """Of the object that was made of a file."""
        assert isinstance(found, Finding)
        assert found.key is not None
        self.desk.nameless.name_all(self.desk.objects, self.desk.repository.layout.annex)
        place = self.desk.objects.locate(found.key)
        assert place is not None
        with open(place, "rb") as file:
            return file.read()

    def blob(self, found: Taken) -> bytes:
        """What is to be in the next commit under the file's name."""
        assert isinstance(found, Finding)
        assert found.staged is not None
        commits, mode = self.desk.commits, found.staged.mode
        tree = commits.tree(None, {b"name": Version(mode, found.staged.oid)})
        commits.commit(tree, (), author=WHO, committer=WHO, message=b"it")
        blob = commits.find(found.staged.oid, 1 << 30)
        assert blob is not None
        return blob

    def leftovers(self) -> list[str]:
        """What is in our directory for temporary files."""
        return [at.name for at in self.desk.place.tmp.glob("*")]

    def close(self) -> None:
        self._rules.close()

    def _breathe(self) -> None:
        self.meanwhile()


@contextlib.contextmanager
def taking(repo: Repo) -> Iterator[Taker]:
    with desk_of(repo) as desk:
        taker = Taker(desk)
        try:
            yield taker
        finally:
            taker.close()


def old(repo: Repo, name: str, content: bytes) -> None:
    """A file of long ago, that nobody takes for one that may still be written to."""
    os.utime(repo.write(name, content), (1e9, 1e9))


# What changes while it is read.

STARTED_NS = time.time_ns()


def an_hour_later() -> int:
    """Without leases, what was written just now may be written to again, and look the same."""
    return STARTED_NS + 3600_000_000_000


def opened_for_writing(repo: Repo) -> None:
    """Waits, as anybody's open does, until the lease is given back; so it does not wait here."""
    with contextlib.suppress(BlockingIOError):
        os.close(os.open(repo.path / "file", os.O_WRONLY | os.O_NONBLOCK))


def cut_short(repo: Repo) -> None:
    os.truncate(repo.path / "file", 5)


def replaced(repo: Repo) -> None:
    repo.replace("file", bytes(LEAST))


@pytest.mark.parametrize("size", [LARGE, LEAST + 5])
@pytest.mark.parametrize("change", [opened_for_writing, replaced])
def test_what_changes_while_it_is_read_is_looked_at_later(
    repo: Repo, size: int, change: Callable[[Repo], None]
) -> None:
    old(repo, "file", os.urandom(size))
    with taking(repo) as take:
        looks = []

        def change_it() -> None:
            looks.append(repo.path)
            change(repo)

        take.meanwhile = change_it
        assert take(b"file") is Why.UNSTABLE
        assert take.leftovers() == []
        if change is opened_for_writing:  # he waits for us: the rest is not read
            assert len(looks) == 1

        take.meanwhile = nothing
        wait_for = os.stat(repo.path / "file")
        os.utime(repo.path / "file", ns=(wait_for.st_atime_ns, wait_for.st_mtime_ns))
        assert take.content(take(b"file")) == repo.read("file")


@pytest.mark.parametrize("size", [LARGE, LEAST + 5])
def test_without_leases_what_is_cut_short_while_it_is_read_is_looked_at_later(
    repo: Repo, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.watcher.source.try_lease", lambda _fd: Grant.NONE)
    old(repo, "file", os.urandom(size))
    with taking(repo) as take:
        monkeypatch.setattr(time, "time_ns", an_hour_later)
        take.meanwhile = lambda: cut_short(repo)
        assert take(b"file") is Why.UNSTABLE
        assert take.leftovers() == []


def test_a_large_file_for_git_that_is_cut_short_while_it_is_read_is_looked_at_later(
    repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.watcher.source.try_lease", lambda _fd: Grant.NONE)
    repo.config("annex.largefiles", "nothing")
    old(repo, "file", os.urandom(LARGE))
    with taking(repo) as take:
        monkeypatch.setattr(time, "time_ns", an_hour_later)
        real = take.desk.commits.blob_of_file

        def late(file: object, size: int) -> object:
            cut_short(repo)
            return real(file, size)  # type: ignore[arg-type]

        monkeypatch.setattr(take.desk.commits, "blob_of_file", late)
        assert take(b"file") is Why.UNSTABLE


# What it becomes.


@pytest.mark.parametrize("size", [3, LARGE])
def test_a_file_for_git_is_stored_as_its_attributes_say(repo: Repo, size: int) -> None:
    """Line ends, and a filter of the user's, which is not told of what git-annex would do."""
    repo.config("annex.largefiles", "nothing")
    repo.config("filter.pack.clean", "gzip -n")
    repo.write(".gitattributes", b"*.txt text eol=crlf\n")
    with (repo.path / ".git/info/attributes").open("a") as attributes:  # after git-annex's own
        attributes.write("*.gz filter=pack\n")
    text = (b"a line\r\n" * size)[: size * 8]
    for name in ("f.txt", "f.gz", "plain"):
        old(repo, name, text)
    with taking(repo) as take:
        assert take.blob(take(b"f.txt")) == text.replace(b"\r\n", b"\n")
        assert gzip.decompress(take.blob(take(b"f.gz"))) == text
        assert take.blob(take(b"plain")) == text


def test_a_large_text_that_is_gits_stays_gits_when_it_is_edited(repo: Repo) -> None:
    """Its blob is too large for a pointer, and so is not looked into."""
    repo.config("annex.largefiles", "nothing")
    repo.write("file", b"x" * 100_000)
    repo.git("add", "file")
    repo.git("commit", "-q", "-m", "text")
    repo.git("config", "--unset", "annex.largefiles")
    repo.replace("file", b"y" * 100_000)
    with taking(repo) as take:
        assert take.blob(take(b"file")) == b"y" * 100_000


def test_a_file_over_a_link_to_elsewhere_goes_by_the_rules(repo: Repo) -> None:
    """The index says nothing of what is to become of it."""
    os.symlink("/elsewhere", repo.path / "link")
    repo.git("add", "link")
    repo.git("commit", "-q", "-m", "link")
    (repo.path / "link").unlink()
    old(repo, "link", b"a file now")
    with taking(repo) as take:
        found = take(b"link")
        assert take.content(found) == b"a file now"
        assert take.blob(found) == format_pointer(Key(repo.annex("calckey", "link").strip()))


@pytest.mark.parametrize("now", [b"/elsewhere", b"/new/target"])
def test_where_there_are_no_links_a_file_that_stands_for_one_stays_a_link(
    repo: Repo, now: bytes
) -> None:
    """As FAT and exFAT have it: the index says that it is a link, and the file is its target."""
    repo.config("core.symlinks", "false")
    target = repo.git("hash-object", "-w", "--stdin", stdin=b"/elsewhere").strip().decode()
    repo.git("update-index", "--add", "--cacheinfo", f"120000,{target},link")
    repo.git("commit", "-q", "-m", "link")
    old(repo, "link", now)
    with taking(repo) as take:
        found = take(b"link")
        assert isinstance(found, Finding)
        assert found.key is None
        assert found.staged is not None
        assert found.staged.mode == LINK
        assert take.blob(found) == now


@pytest.mark.parametrize("text", [b"a line\n", b"", b"\0\1", b"long " * 1000])
def test_there_a_file_in_the_place_of_a_link_is_a_file_if_no_link_leads_there(
    repo: Repo, text: bytes
) -> None:
    repo.config("core.symlinks", "false")
    target = repo.git("hash-object", "-w", "--stdin", stdin=b"/elsewhere").strip().decode()
    repo.git("update-index", "--add", "--cacheinfo", f"120000,{target},link")
    repo.git("commit", "-q", "-m", "link")
    old(repo, "link", text)
    with taking(repo) as take:
        assert take(b"link") == ASK


@pytest.mark.parametrize("size", [3, LARGE, LEAST + 5])
def test_with_worm_a_file_gets_the_key_that_git_annex_gives_it(repo: Repo, size: int) -> None:
    repo.config("annex.backend", "WORM")
    old(repo, "file", os.urandom(size))
    with taking(repo) as take:
        found = take(b"file")
        assert isinstance(found, Finding)
        assert found.key is not None
        assert bytes(found.key) == repo.annex("calckey", "--backend=WORM", "file").strip()
        assert take.content(found) == repo.read("file")


@pytest.mark.parametrize("size", [0, 5, LARGE])
def test_holes_stay_holes_and_count_as_zeros(repo: Repo, size: int) -> None:
    content = b"begin" + bytes(5 << 20) + b"x" * size
    with open(repo.path / "file", "wb") as file:
        file.write(b"begin")
        file.seek(5 << 20, os.SEEK_CUR)
        file.write(b"x" * size)
        file.truncate(len(content))
    os.utime(repo.path / "file", (1e9, 1e9))
    with taking(repo) as take:
        found = take(b"file")
        assert take.content(found) == content
        assert isinstance(found, Finding)
        assert found.key is not None
        assert hashlib.sha256(content).hexdigest() in found.key.decode()
        place = take.desk.objects.locate(found.key)
        assert place is not None
        assert os.stat(place).st_blocks * 512 < len(content) - (3 << 20)


def test_what_only_git_annex_can_judge_is_asked_of_it(repo: Repo) -> None:
    """An expression about the content's type, in a file that all clones have."""
    old(repo, "file", b"in the annex")
    repo.annex("add", "-q", "file")
    repo.annex("unlock", "-q", "file")
    repo.git("commit", "-q", "-m", "file")
    repo.write(".gitattributes", b"* annex.largefiles=mimetype=text/plain\n")
    repo.replace("file", b"edited")
    old(repo, "new", b"new")
    with taking(repo) as take:
        assert take(b"file") == ASK
        assert take(b"new") == ASK


def test_where_only_secure_hashes_may_be_used_git_annex_is_to_say_why_not(repo: Repo) -> None:
    repo.config("annex.securehashesonly", "true")
    repo.config("annex.backend", "MD5")
    old(repo, "file", b"content")
    with taking(repo) as take:
        assert take(b"file") == ASK


def test_a_disk_that_is_nearly_full_is_an_error_and_nothing_is_written(repo: Repo) -> None:
    repo.config("annex.diskreserve", "1000 petabytes")
    for name, content in (("small", b"x"), ("large", bytes(LARGE)), ("git", b"y")):
        old(repo, name, content)
    repo.write(".gitattributes", b"git annex.largefiles=nothing\n")
    with taking(repo) as take:
        for each in (b"small", b"large", b"git"):
            with pytest.raises(OSError, match="not enough free space") as failure:
                take(each)
            assert failure.value.errno == errno.ENOSPC
        assert take.leftovers() == []


# What is known already.


def unlocked(repo: Repo, content: bytes, *options: str) -> Key:
    """A file that is in the annex, unlocked, and committed; git sees no change in it."""
    old(repo, "file", content)
    repo.annex("add", "-q", *options, "file")
    repo.annex("unlock", "-q", "file")
    repo.git("commit", "-q", "-m", "file")
    return Key(repo.key("file"))


def touched(repo: Repo, content: bytes) -> None:
    """The same name, and another file that looks as old as the content's key says."""
    repo.replace("file", content)
    os.utime(repo.path / "file", (1e9, 1e9))


@pytest.mark.parametrize("size", [9, LARGE])
def test_a_file_that_is_written_again_as_it_was_keeps_its_key(repo: Repo, size: int) -> None:
    """Also one that we would not give it; what differs, if by one byte, gets another."""
    content = os.urandom(size)
    key = unlocked(repo, content, "--backend=MD5E")
    touched(repo, content)
    with taking(repo) as take:
        found = take(b"file")
        assert isinstance(found, Finding)
        assert found.key == key
        touched(repo, content[:-1] + bytes([content[-1] ^ 1]))
        assert take.content(take(b"file")) == repo.read("file")
        found = take(b"file")
        assert isinstance(found, Finding)
        assert found.key not in {None, key}


@pytest.mark.parametrize("size", [9, LARGE])
def test_a_key_that_says_nothing_of_its_content_is_kept_if_the_object_is_the_same(
    repo: Repo, size: int
) -> None:
    content = os.urandom(size)
    key = unlocked(repo, content, "--backend=WORM")
    touched(repo, content)
    with taking(repo) as take:
        found = take(b"file")
        assert isinstance(found, Finding)
        assert found.key == key

        place = take.desk.objects.locate(key)
        assert place is not None
        touched(repo, os.urandom(size))
        other = take(b"file")
        assert isinstance(other, Finding)
        assert other.key != key

        os.chmod(os.path.dirname(place), 0o700)
        os.chmod(place, 0o600)
        os.truncate(place, size + 1)  # it begins as the file does
        touched(repo, content)
        other = take(b"file")
        assert isinstance(other, Finding)
        assert other.key != key


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_a_content_that_is_dropped_is_taken_in_anew(
    repo: Repo, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = b"content" * 100
    key = unlocked(repo, content, "--backend=WORM")
    touched(repo, content)
    with taking(repo) as take:
        place = take.desk.objects.locate(key)
        assert place is not None
        if when == "meanwhile":
            places, real = [place], take.desk.objects.locate
            monkeypatch.setattr(
                take.desk.objects, "locate", lambda key: places.pop() if places else real(key)
            )
        repo.annex("dropkey", "--force", key)
        touched(repo, content)  # git-annex has made a pointer of it
        found = take(b"file")
        monkeypatch.undo()
        assert take.content(found) == content
        assert not take.leftovers()


def test_the_same_content_under_two_names_is_kept_once(repo: Repo) -> None:
    for name in ("one", "two"):
        old(repo, name, b"z" * LARGE)
    with taking(repo) as take:
        one, two = take(b"one"), take(b"two")
        assert len(take.leftovers()) == 1
        assert take.content(one) == take.content(two) == b"z" * LARGE


def test_a_content_that_waits_already_is_not_kept_twice(tmp_path: os.PathLike[str]) -> None:
    key, waiting = Key(b"SHA256-s1--00"), Nameless()
    for name in ("one", "two"):
        path = os.path.join(tmp_path, name)
        with open(path, "xb") as file:
            file.write(name.encode())
        waiting.add(key, os.fsencode(path))
    assert len(waiting) == 1
    assert os.listdir(tmp_path) == ["one"]


def test_who_may_not_read_a_file_looks_at_it_later(repo: Repo) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    old(repo, "file", b"secret")
    with taking(repo) as take:
        ready = take.ready(b"file")

        def look() -> None:
            os.seteuid(65534)
            try:
                assert ready() is Why.UNREADABLE
            finally:
                os.seteuid(0)

        with forked(look) as child:
            assert reap(child) == 0
        assert take.content(take(b"file")) == b"secret"


# What is to be locked.


def test_a_file_that_is_locked_becomes_a_link_and_one_that_has_changed_stays(repo: Repo) -> None:
    repo.config("annex.assistant.allowunlocked", "true")
    repo.config("annex.addunlocked", "false")
    for name in ("file", "edited"):
        old(repo, name, name.encode())
    with taking(repo) as take:
        files = [take(b"file"), take(b"edited")]
        assert all(isinstance(each, Locking) for each in files)
        repo.replace("edited", b"meanwhile")

        done = dict(lock_all(take.desk, [each for each in files if isinstance(each, Locking)]))

    assert done[b"edited"] is None
    assert repo.read("edited") == b"meanwhile"
    found = done[b"file"]
    assert found is not None
    assert found.key is not None
    assert stat.S_ISLNK(os.lstat(repo.path / "file").st_mode)
    assert repo.read("file") == b"file"
