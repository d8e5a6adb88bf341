"""A clone on a drive without links, where names that differ by case only lead to one file."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemons import Fleet
from tests.processes import attempt, run, wait_until
from tests.repo import Repo
from tests.system.drives import ROOT, unplug

PROGRAMS = ("mkfs.exfat", "mount.exfat-fuse", "losetup")
MISSING = [name for name in PROGRAMS if shutil.which(name) is None]

pytestmark = [
    pytest.mark.skipif(not ROOT, reason="only root can mount an image"),
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {MISSING} (exfatprogs, exfat-fuse)"),
    pytest.mark.skipif(not Path("/dev/fuse").exists(), reason="there is no FUSE here"),
]


@pytest.fixture
def stick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An exFAT file system, mounted: by a process that is none of the fleet's."""
    home = tmp_path_factory.mktemp("drive")
    image, place = home / "image", home / "stick"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(200 << 20)
    run(["mkfs.exfat", image])
    device = run(["losetup", "--find", "--show", image]).decode().strip()
    try:
        status, said = attempt(["env", "-u", "HOME", "mount.exfat-fuse", device, place])[:2]
        if status:
            pytest.skip(f"FUSE is not allowed here: {said!r}")
        yield place
        unplug(place)
    finally:
        run(["losetup", "--detach", device])


@pytest.fixture
def pair(tmp_path: Path, stick: Path, fleet: Fleet) -> tuple[Repo, Repo]:
    """``a``, and a clone on the drive, where git-annex has made an adjusted branch; both served."""
    a = Repo.create(tmp_path / "a")
    a.config("annex.addunlocked", "true")
    for name in ("one", "two", "three"):
        a.add(name, name.encode())
    there = Repo(stick / "there")
    run(["git", "clone", "-q", a.path, there.path])
    there.annex("init", "-q", "there")
    there.git("remote", "rename", "origin", "a")
    a.remote(there)
    fleet.serve(a)
    fleet.serve(there)
    wait_until(lambda: there.holds("one", b"one"), 60)
    return a, there


def listed(repo: Repo) -> set[str]:
    """What a directory listing shows; a lookup would find any case."""
    return {path.name for path in repo.path.iterdir()} - {".git"}


def test_all_changes_go_both_ways(pair: tuple[Repo, Repo]) -> None:
    a, there = pair
    there.replace("one", b"edited there")
    there.write("d/new", b"new there")
    wait_until(lambda: a.holds("one", b"edited there") and a.holds("d/new", b"new there"), 60)

    a.replace("one", b"edited here")
    a.write("d/newer", b"new here")
    a.remove("two")
    wait_until(
        lambda: there.holds("one", b"edited here") and there.holds("d/newer", b"new here"), 60
    )
    wait_until(lambda: not there.exists("two"), 60)


def test_a_conflict_is_resolved_there(pair: tuple[Repo, Repo], fleet: Fleet) -> None:
    """By git, in a repository of its own, which needs the objects of this one."""
    a, there = pair
    fleet.stop()
    a.replace("three", b"edited here")
    there.replace("three", b"edited there")
    fleet.serve(a)
    fleet.serve(there)

    wait_until(lambda: len([name for name in listed(a) if "variant" in name]) == 2, 90)
    wait_until(lambda: listed(there) == listed(a), 60)
    assert {a.read(name) for name in listed(a) if "variant" in name} == {
        b"edited here",
        b"edited there",
    }


def test_a_file_whose_case_changes_there_stays_one_file(pair: tuple[Repo, Repo]) -> None:
    a, there = pair
    there.rename("two", "TWO")
    there.replace("TWO", b"edited there")

    wait_until(lambda: a.holds("two", b"edited there"), 60)
    assert listed(a) == {"one", "two", "three"}


def test_a_file_whose_case_changes_elsewhere_is_not_lost(
    pair: tuple[Repo, Repo], fleet: Fleet
) -> None:
    a, there = pair
    a.rename("one", "ONE")

    wait_until(lambda: listed(there) == {"ONE", "two", "three"}, 90, lambda: listed(there))
    fleet.settle(90)
    assert listed(a) == {"ONE", "two", "three"}
    assert a.read("ONE") == there.read("ONE") == b"one"


def test_two_files_that_are_one_there_stay_two_elsewhere(pair: tuple[Repo, Repo]) -> None:
    a, there = pair
    a.write("case", b"lower")
    a.write("CASE", b"upper")
    a.write("after", b"after")
    wait_until(lambda: there.holds("after", b"after"), 60)

    there.replace("case", b"edited there")
    there.write("later", b"later")
    wait_until(lambda: a.holds("later", b"later"), 60)

    assert a.read("case") == b"lower"
    assert a.read("CASE") == b"upper"


@pytest.mark.parametrize("which", ["case", "CASE"])
def test_one_of_two_files_that_are_one_there_is_deleted_elsewhere_and_the_other_is_not(
    pair: tuple[Repo, Repo], fleet: Fleet, which: str
) -> None:
    a, there = pair
    other = which.swapcase()
    a.write("case", b"lower")
    a.write("CASE", b"upper")
    a.write("after", b"after")
    wait_until(lambda: there.holds("after", b"after"), 60)

    content = a.read(other)
    a.remove(which)
    wait_until(lambda: other in listed(there) and there.read(other) == content, 60)
    fleet.settle(90)
    assert listed(there) == listed(a) == {"one", "two", "three", "after", other}


@pytest.mark.parametrize("which", ["case", "CASE"])
def test_one_of_two_files_that_are_one_there_is_edited_elsewhere(
    pair: tuple[Repo, Repo], which: str
) -> None:
    """It is the file there, from then on; nothing is held up."""
    a, there = pair
    a.write("case", b"lower")
    a.write("CASE", b"upper")
    a.write("after", b"after")
    wait_until(lambda: there.holds("after", b"after"), 60)

    a.replace(which, b"edited here")
    a.write("later", b"later")
    wait_until(lambda: there.holds("later", b"later"), 60)
    wait_until(lambda: there.holds(which, b"edited here"), 60)
    assert a.read(which.swapcase()) in {b"lower", b"upper"}


def test_a_link_stays_a_link_where_there_are_none(pair: tuple[Repo, Repo], fleet: Fleet) -> None:
    """A file holds its target there, and somebody may write another one into it."""
    a, there = pair
    (a.path / "link").symlink_to("one")
    wait_until(lambda: there.exists("link") and there.read("link") == b"one", 60)
    there.write("after", b"after")
    wait_until(lambda: a.holds("after", b"after"), 60)
    fleet.settle(90)
    assert os.readlink(a.path / "link") == "one"

    there.write("link", b"two")
    wait_until(lambda: os.readlink(a.path / "link") == "two", 60)
