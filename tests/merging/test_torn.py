"""What git had begun to write on an adjusted branch is undone, and a user's files are not."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from spool.record import format_record
from tests.desks import desk_of
from tests.processes import wait_until
from tests.repo import Repo
from tests.watching import watched
from workers.git.refname import RefName
from workers.git.stream import ObjectId
from workers.watcher.desk import Desk
from workers.watcher.fill import Fill
from workers.watcher.torn import is_noted, mend, merging, settle, showing

TEXT = b"a line of text\n" * 1000


@pytest.fixture
def adjusted(repo: Repo) -> tuple[Repo, ObjectId]:
    """On an adjusted branch, and a commit of its original with more files, that is to be merged."""
    repo.config("annex.largefiles", "largerthan=100kb or include=*.dat")
    repo.write("tracked.dat", b"before")
    repo.write("tracked.txt", b"before\n")
    repo.annex("add", "-q", ".")
    repo.git("commit", "-q", "-m", "before")
    for name in ("tracked.dat", "d/new.dat"):
        repo.replace(name, b"after")
    for name in ("tracked.txt", "d/new.txt"):
        repo.replace(name, TEXT)
    repo.annex("add", "-q", ".")
    repo.git("commit", "-q", "-a", "-m", "after")
    goal = ObjectId(repo.head())
    repo.git("reset", "-q", "--hard", "HEAD~1")
    repo.annex("adjust", "-q", "--unlock")
    return repo, goal


class _Killed(BaseException):
    """Before git-annex has come back."""


def begun(desk: Desk, goal: ObjectId, files: dict[str, bytes]) -> None:
    """What is there when git is killed."""

    def write_and_die() -> None:
        for name, content in files.items():
            path = Path(os.fsdecode(desk.full(os.fsencode(name))))
            path.parent.mkdir(exist_ok=True)
            path.unlink(missing_ok=True)
            path.write_bytes(content)
        raise _Killed

    before = desk.refs.get(RefName(b"refs/heads/main"))
    with pytest.raises(_Killed), merging(desk, before, goal):
        write_and_die()


def wait_for_a_tick(repo: Repo, name: str) -> None:
    """Until the kernel's clock says of a new file that it is younger."""
    made_ns = os.stat(repo.path / name).st_ctime_ns
    wait_until(lambda: time.time_ns() > made_ns + 50_000_000)


@pytest.fixture
def desk(adjusted: tuple[Repo, ObjectId]) -> Iterator[Desk]:
    with desk_of(adjusted[0]) as desk:
        yield desk


@pytest.mark.parametrize("size", [0, 20, 5000])
def test_what_ends_too_soon_is_as_it_was(
    adjusted: tuple[Repo, ObjectId], desk: Desk, size: int
) -> None:
    repo, goal = adjusted
    pointer = b"/annex/objects/SHA256E-s5--"[:size]
    texts, annexed = TEXT[:size], pointer
    begun(
        desk,
        goal,
        {"tracked.dat": annexed, "d/new.dat": annexed, "tracked.txt": texts, "d/new.txt": texts},
    )

    assert sorted(mend(desk)) == [b"d/new.dat", b"d/new.txt", b"tracked.dat", b"tracked.txt"]

    assert not repo.exists("d/new.dat")
    assert not repo.exists("d/new.txt")
    assert repo.read("tracked.txt") == b"before\n"
    repo.annex("smudge", "--update")
    assert repo.read("tracked.dat") == b"before"
    assert not repo.status()
    settle(desk)
    assert not desk.place.adjusting.exists()
    assert mend(desk) == []


def test_a_whole_pointer_that_the_index_was_not_told_of_is_as_it_was(
    adjusted: tuple[Repo, ObjectId], desk: Desk
) -> None:
    """Git could write the files, but not the index: the content of neither version is seen."""
    repo, goal = adjusted
    pointer = repo.git("show", f"{goal}:d/new.dat").replace(b"../", b"").replace(b".git", b"")
    pointer = b"/annex/objects/" + pointer.rpartition(b"/")[2] + b"\n"
    begun(desk, goal, {"tracked.dat": pointer, "d/new.dat": pointer})

    assert sorted(mend(desk)) == [b"d/new.dat", b"tracked.dat"]

    assert not repo.exists("d/new.dat")
    assert mend(desk) == []  # as in the next turn, where the disk was too full to fill it
    assert is_noted(desk)
    fill = Fill(desk, lambda: None)
    fill.look_at([b"tracked.dat"])
    fill.fill_noted()
    assert repo.read("tracked.dat") == b"before"
    assert not repo.status()
    settle(desk)
    assert mend(desk) == []


def test_where_there_are_no_links_the_beginning_of_a_target_is_no_file(
    adjusted: tuple[Repo, ObjectId],
) -> None:
    """There a file stands for a link, and holds its target."""
    repo, _goal = adjusted
    repo.config("core.symlinks", "false")
    target = repo.git("hash-object", "-w", "--stdin", stdin=b"tracked.txt").strip().decode()
    made = repo.git("mktree", stdin=f"120000 blob {target}\tlink\n".encode()).strip().decode()
    goal = ObjectId(repo.git("commit-tree", made, "-p", "main", "-m", "link").strip().decode())
    with desk_of(repo) as desk:
        begun(desk, goal, {"link": b"track"})

        assert mend(desk) == [b"link"]

        assert not repo.exists("link")


def test_what_git_has_removed_to_write_it_anew_is_there_again(
    adjusted: tuple[Repo, ObjectId], desk: Desk
) -> None:
    repo, goal = adjusted
    begun(desk, goal, {})
    repo.remove("tracked.txt")
    repo.remove("tracked.dat")

    assert sorted(mend(desk)) == [b"tracked.dat", b"tracked.txt"]

    repo.annex("smudge", "--update")
    assert (repo.read("tracked.txt"), repo.read("tracked.dat")) == (b"before\n", b"before")
    assert not repo.status()


def test_what_a_user_has_deleted_is_not_brought_back_when_files_were_but_to_be_shown(
    adjusted: tuple[Repo, ObjectId], desk: Desk
) -> None:
    """Nobody has looked whether it was there before."""
    repo, goal = adjusted
    repo.remove("tracked.dat")
    repo.write("d/new.dat", b"")
    wait_for_a_tick(repo, "d/new.dat")
    with pytest.raises(_Killed), showing(desk, goal):
        raise _Killed

    assert mend(desk) == []

    assert not repo.exists("tracked.dat")
    assert repo.read("d/new.dat") == b""


def test_what_is_to_be_shown_and_ends_too_soon_is_gone(
    adjusted: tuple[Repo, ObjectId], desk: Desk
) -> None:
    repo, goal = adjusted

    def write_and_die() -> None:
        repo.write("d/new.dat", b"/annex/obj")
        raise _Killed

    with pytest.raises(_Killed), showing(desk, goal):
        write_and_die()

    assert mend(desk) == [b"d/new.dat"]
    assert not repo.exists("d/new.dat")


def test_what_is_written_to_its_end_and_what_is_a_users_stays(
    adjusted: tuple[Repo, ObjectId], desk: Desk
) -> None:
    repo, goal = adjusted
    repo.write("unrelated", b"")
    files = {"tracked.txt": TEXT, "d/new.txt": b"a line of my own", "d/new.dat": b"mine"}
    begun(desk, goal, files)

    assert mend(desk) == []

    for name, content in files.items():
        assert repo.read(name) == content
    assert repo.read("unrelated") == b""


def test_an_empty_file_that_was_there_before_is_no_doing_of_gits(
    adjusted: tuple[Repo, ObjectId], desk: Desk
) -> None:
    repo, goal = adjusted
    repo.write("d/new.txt", b"")
    wait_for_a_tick(repo, "d/new.txt")
    begun(desk, goal, {})

    assert mend(desk) == []

    assert repo.read("d/new.txt") == b""


@pytest.mark.parametrize("what", ["garbage", "lost", "link", "directory"])
def test_a_note_that_says_nothing_is_no_trouble(
    adjusted: tuple[Repo, ObjectId], desk: Desk, what: str
) -> None:
    repo, _goal = adjusted
    note = desk.place.adjusting
    match what:
        case "garbage":
            note.write_bytes(b"\xff\0")
        case "lost":
            note.write_bytes(
                format_record((("what", "merge"), ("from", "1" * 40), ("to", "2" * 40)))
            )
        case "link":
            note.symlink_to(repo.path / "tracked.txt")
        case _:
            note.mkdir()

    assert mend(desk) == []
    settle(desk)
    assert not os.path.lexists(note)
    assert repo.read("tracked.txt") == b"before\n"


def test_at_a_start_it_is_undone_before_anything_is_committed(
    adjusted: tuple[Repo, ObjectId],
) -> None:
    """The machine has lost its power in the middle: nobody remembers but the note."""
    repo, goal = adjusted
    with desk_of(repo) as desk:
        begun(desk, goal, {"tracked.dat": b"", "d/new.txt": b"", "tracked.txt": TEXT[:5]})
    head = repo.head()

    with watched(repo) as watcher:
        repo.write("other", b"other")
        watcher.settle()
        wait_until(lambda: repo.holds("tracked.dat", b"before"), 20, why=watcher.log.read_text)

    assert repo.git("diff", "--name-only", head, "HEAD") == b"other\n"
    assert not repo.status()
    repo.check()
