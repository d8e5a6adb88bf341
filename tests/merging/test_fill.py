"""However a content arrives, the unlocked files that want it have it; and git need not look."""

import errno
import os
import time
from pathlib import Path

import pytest

from tests.desks import make_pair, nothing
from tests.merging.steps import arrive
from tests.processes import pause
from tests.repo import Repo
from workers.annex.objects import Objects
from workers.inplace import Done, Name, swap
from workers.pointing import read_key
from workers.watcher.desk import Desk
from workers.watcher.fill import Fill
from workers.watcher.tidings import Tidings


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``b`` has the names of all that ``a`` has, and no content."""
    place = make_pair(tmp_path_factory)
    a, b = Repo(place / "a"), Repo(place / "b")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("GIT_AUTHOR_NAME", "t")
        patch.setenv("GIT_COMMITTER_NAME", "t")
        patch.setenv("EMAIL", "t@example.com")
        for number in range(5):
            a.write(f"d/{number}", b"content %d" % number)
        a.write("twin of 0", b"content 0")
        (a.path / "twin of 0").chmod(0o755)
        a.annex("add", "-q", "-c", "annex.addunlocked=true", ".")
        a.git("commit", "-q", "-m", "files")
        a.annex("sync", "-q", "--no-content")
        b.annex("sync", "-q", "--no-content")
    return place


@pytest.fixture
def fill(desk: Desk) -> Fill:
    """After its first look at everything, which found nothing to fill."""
    fill = Fill(desk, nothing)
    fill.turn()
    assert fill.filled == 0
    return fill


def is_settled(b: Repo) -> None:
    """Git believes every file without reading it, and git-annex agrees about all."""
    assert b.git("diff-files", "--name-only") == b""
    assert b.status() == b""


def test_what_was_edited_and_stashed_is_not_noted_as_what_was_committed(
    pair: tuple[Repo, Repo], desk: Desk
) -> None:
    """``git stash pop`` writes a pointer to the edit, and leaves the index as it was."""
    b = pair[1]
    b.annex("get", "-q", "d/0", "d/1")
    b.write("d/0", b"edited")
    b.git("stash", "-q")
    b.git("stash", "pop", "-q")
    assert b.read("d/0").startswith(b"/annex/objects/")

    fill = Fill(desk, nothing)
    fill.turn()

    assert fill.filled == 0
    assert b.git("diff-files", "--name-only") == b"d/0\n"


def test_on_a_full_disk_each_attempt_leaves_nothing(
    pair: tuple[Repo, Repo], desk: Desk, fill: Fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried again, and each unfinished copy would take what somebody has freed."""
    a, b = pair
    arrive(a, b, "d/0")

    def is_full(_fd: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as full:
        full.setattr("workers.copying.set_back", is_full)
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            fill._fill(fill._unfilled.among(desk.index()))

    assert os.listdir(desk.place.tmp) == []
    fill._fill(fill._unfilled.among(desk.index()))
    assert b.read("d/0") == b"content 0"


def test_what_was_staged_while_contents_were_copied_stays_so(
    pair: tuple[Repo, Repo], desk: Desk, fill: Fill
) -> None:
    a, b = pair
    arrive(a, b, "d/0")
    pointers = list(fill._unfilled.among(desk.index()))

    b.git("rm", "-q", "--cached", "d/0")
    fill._fill_batch(pointers)

    assert b.read("d/0") == b"content 0"
    assert b.git("ls-files", "d/0") == b""


def test_all_names_of_a_key_get_its_content(pair: tuple[Repo, Repo], fill: Fill) -> None:
    a, b = pair
    key = arrive(a, b, "d/0")

    fill.hint([key])
    fill.turn()

    assert b.read("d/0") == b.read("twin of 0") == b"content 0"
    assert os.access(b.path / "twin of 0", os.X_OK)
    assert not os.access(b.path / "d/0", os.X_OK)
    assert fill.filled == 2
    is_settled(b)


def test_what_arrived_while_nobody_listened_is_found(pair: tuple[Repo, Repo], desk: Desk) -> None:
    a, b = pair
    arrive(a, b, "d/3")

    Fill(desk, nothing).turn()

    assert b.read("d/3") == b"content 3"
    is_settled(b)


def test_git_annex_knows_of_it_and_can_drop_it_again(pair: tuple[Repo, Repo], fill: Fill) -> None:
    a, b = pair
    key = arrive(a, b, "d/1")
    b.annex("find", "-q")  # so that it has its database
    fill.hint([key])
    fill.turn()
    assert b.read("d/1") == b"content 1"
    pointer = b.git("cat-file", "-p", "HEAD:d/1")
    b.annex("fsck", "-q", "--fast", "d/1")

    b.annex("drop", "-q", "d/1")

    assert b.read("d/1") == pointer
    assert b.status() == b""


def test_an_edit_in_the_moment_after_is_not_taken_for_the_content(
    pair: tuple[Repo, Repo], fill: Fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a program that waits for the content, say: git-annex dropped the edit, git saw none."""
    a, b = pair
    key = arrive(a, b, "d/1")
    b.annex("find", "-q")  # so that it has its database

    def edited_at_once(temporary: bytes, name: Name, seen: os.stat_result) -> Done:
        done = swap(temporary, name, seen)
        b.write("d/1", b"edited")
        pause(0.05)  # the machine has other things to do
        return done

    monkeypatch.setattr("workers.watcher.fill.swap", edited_at_once)
    fill.hint([key])
    fill.turn()
    b.annex("drop", "-q", "d/1")

    assert b.read("d/1") == b"edited"
    assert b.git("diff-files", "--name-only") == b"d/1\n"


def test_what_is_no_pointer_any_more_is_left_alone(pair: tuple[Repo, Repo], fill: Fill) -> None:
    a, b = pair
    key = arrive(a, b, "d/2")
    b.write("d/2", b"the user's own")

    fill.hint([key])
    fill.turn()

    assert b.read("d/2") == b"the user's own"


def test_a_pointer_that_somebody_has_open_for_writing_is_filled_later(
    pair: tuple[Repo, Repo], fill: Fill
) -> None:
    a, b = pair
    key = arrive(a, b, "d/2")

    with (b.path / "d/2").open("ab"):
        fill.hint([key])
        fill.turn()
        assert b.read("d/2").startswith(b"/annex/")
        assert 0 < fill.due() - time.monotonic() <= 1
    while fill.filled == 0:
        fill.turn()

    assert b.read("d/2") == b"content 2"


@pytest.mark.parametrize("content", [b"/dropped", b"/proc/self/mem"])
def test_a_content_that_cannot_be_read_stops_nobody(
    pair: tuple[Repo, Repo], fill: Fill, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dropped since it was found, or on a bad sector: the watcher crashed, again and again."""
    key = arrive(*pair, "d/2")
    with monkeypatch.context() as bad:
        bad.setattr(Objects, "locate", lambda _objects, _key: content)
        fill.hint([key])
        fill.turn()
    assert pair[1].read("d/2").startswith(b"/annex/")

    fill.hint([key])
    fill.turn()

    assert pair[1].read("d/2") == b"content 2"


def test_a_pointer_that_cannot_be_read_is_none() -> None:
    """One on a bad sector, say."""
    assert read_key(b"/proc/self/mem") is None


def test_names_that_are_no_keys_are_no_matter(fill: Fill) -> None:
    fill.hint([b"lck", b"", b"../../etc/passwd", b"\xff"])

    fill.turn()

    assert fill.filled == 0


@pytest.mark.parametrize("how", ["get", "copy"])
def test_what_git_annex_stores_is_heard_of(
    pair: tuple[Repo, Repo], desk: Desk, fill: Fill, how: str
) -> None:
    a, b = pair
    tidings = Tidings(desk)
    tidings.listen()

    if how == "get":
        b.annex("get", "-q", "d/4")
    else:
        a.annex("copy", "-q", "--to", "b", "d/4")
    heard: set[bytes] = set()
    while not heard:
        tidings.take(desk.worker.wakeup.wait(time.monotonic() + 5).events)
        tidings.listen()
        heard |= set(tidings.take_keys())

    assert heard == {a.key("d/4")}
    fill.hint(heard)
    fill.turn()
    assert b.read("d/4") == b"content 4"
    is_settled(b)


def test_a_pointer_to_what_is_here_already_is_filled(pair: tuple[Repo, Repo], fill: Fill) -> None:
    a, b = pair
    arrive(a, b, "d/0")
    pointer = b.git("cat-file", "-p", "HEAD:d/0")
    b.write("pasted", pointer)
    b.git("-c", "filter.annex.process=", "-c", "filter.annex.clean=", "add", "pasted")

    fill.look_at([b"pasted", b"not there"])
    fill.turn()

    assert b.read("pasted") == b"content 0"
    assert b.git("diff-files", "--name-only", "pasted") == b""


def test_an_object_that_nobody_tells_of_is_found_in_time(
    pair: tuple[Repo, Repo], fill: Fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = pair
    arrive(a, b, "d/0")
    fill.turn()
    assert fill.filled == 0
    assert 3500 < fill.due() - time.monotonic() <= 3600

    monkeypatch.setattr("workers.watcher.fill.SWEEP_S", 0.0)
    fill.turn()

    assert b.read("d/0") == b"content 0"
