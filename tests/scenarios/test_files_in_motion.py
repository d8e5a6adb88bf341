"""What people and programs do to files and trees, beyond adding, editing and deleting one."""

import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.daemons import Fleet
from tests.faults.seeds import seed
from tests.processes import pause, run
from tests.repo import Repo
from tests.scenarios.forms import FORMS, adopt
from tests.synced import synced

MOMENT_S = 0.5
LONG_S = 4.0
"""Longer than a file must be missing to count as deleted."""


class Tree:
    """A directory with three files, in repositories that are in sync."""

    def __init__(self, name: str, a: Repo, b: Repo) -> None:
        self.name, self.a, self.b = name, a, b
        self.path, self.there = a.path / name, b.path / name
        for number in range(3):
            a.write(f"{name}/{number}", f"{name} {number}\n".encode() * 50)
        self.sync()

    def sync(self) -> None:
        synced(self.a, self.b)

    def own(self, file: str) -> Path:
        """A file that can be written to, in a repository of locked files too."""
        path = self.path / file
        if path.is_symlink():
            self.a.annex("unlock", "-q", "--", str(path))
            self.sync()
        return path

    def renamed(self, name: str) -> Path:
        return self.path.with_name(f"{self.name} {name}")


def a_hard_link_is_written_to(tree: Tree) -> None:
    tree.own("0")
    (tree.path / "link").hardlink_to(tree.path / "0")
    tree.sync()
    with tree.own("link").open("ab") as file:
        file.write(b"by its other name")


def moved_out_and_in(tree: Tree) -> None:
    outside = tree.a.path.parent / "outside"
    for away_s in (MOMENT_S, LONG_S):
        tree.path.rename(outside)
        pause(away_s)
        (outside / f"new {away_s}").write_bytes(b"made outside")
        outside.rename(tree.path)


def moved_to_the_other_repository(tree: Tree) -> None:
    tree.path.rename(tree.b.path / tree.renamed("moved").name)


def two_files_swap_names(tree: Tree) -> None:
    for old, new in (("0", "t"), ("1", "0"), ("t", "1")):
        (tree.path / old).rename(tree.path / new)


def two_directories_swap_names(tree: Tree) -> None:
    other = Tree(tree.renamed("other").name, tree.a, tree.b)
    third = tree.renamed("third")
    for old, new in ((tree.path, third), (other.path, tree.path), (third, other.path)):
        old.rename(new)


def renamed_and_made_anew(tree: Tree) -> None:
    tree.path.rename(tree.renamed("old"))
    tree.a.write(f"{tree.name}/0", b"of the new one")


def renamed_back_and_forth(tree: Tree) -> None:
    chance = random.Random(f"{seed()} {tree.name}")
    for _ in range(6):
        tree.path.rename(tree.renamed("other"))
        pause(chance.uniform(0, MOMENT_S))
        tree.renamed("other").rename(tree.path)
        pause(chance.uniform(0, MOMENT_S))


def logs_are_rotated(tree: Tree) -> None:
    for round_ in range(5):
        for number in (4, 3, 2, 1, 0):
            if os.path.lexists(tree.path / str(number)):
                (tree.path / str(number)).rename(tree.path / str(number + 1))
        tree.a.write(f"{tree.name}/0", b"round %d" % round_)
        pause(0.3)


def a_log_is_appended_to(tree: Tree) -> None:
    with tree.own("0").open("ab", 0) as file:
        for number in range(20):
            file.write(b"line %d\n" % number)
            pause(0.1)


def bytes_change_and_times_do_not(tree: Tree) -> None:
    path = tree.own("0")
    st = path.stat()
    with path.open("r+b") as file:
        file.write(b"THESE")
    os.utime(path, ns=(st.st_atime_ns, st.st_mtime_ns))


def times_are_strange(tree: Tree) -> None:
    for when in (0, 1, -5, 2**31 + 5, 2**32 + 7):
        os.utime(tree.a.write(f"{tree.name}/at {when}", b"%d" % when), (when, when))


def links_lead_in_circles(tree: Tree) -> None:
    for name, target in (("self", "."), ("1to2", "2to1"), ("2to1", "1to2"), ("git", "../.git")):
        (tree.path / name).symlink_to(target)


def copied_with_their_links(tree: Tree) -> None:
    (tree.path / "deep/er").mkdir(parents=True)
    run(["cp", "-a", tree.path / "0", tree.path / "deep/er/0"])
    run(["cp", "-a", tree.path, tree.renamed("copy")])


def only_the_case_changes(tree: Tree) -> None:
    (tree.path / "0").rename(tree.path / "O")
    tree.path.rename(tree.path.with_name(tree.name.upper()))


def a_fifo_takes_the_name_for_a_while(tree: Tree) -> None:
    tree.a.remove(f"{tree.name}/0")
    os.mkfifo(tree.path / "0")
    tree.b.replace(f"{tree.name}/1", b"edited elsewhere")
    pause(LONG_S)
    (tree.path / "0").unlink()
    tree.a.write(f"{tree.name}/0", b"a file again")


def a_database_is_written_to(tree: Tree) -> None:
    with sqlite3.connect(tree.path / "db") as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("CREATE TABLE t (x)")
        for number in range(10):
            db.execute("INSERT INTO t VALUES (?)", (number,))
            db.commit()
            pause(0.1)
    db.close()


def removed_while_it_is_added(tree: Tree) -> None:
    tree.a.write(f"{tree.name}/more", b"more")
    pause(0.1)
    shutil.rmtree(tree.path)
    tree.a.write(tree.name, b"a file has its name")


def files_come_and_go(tree: Tree) -> None:
    chance = random.Random(f"{seed()} {tree.name}")
    for _ in range(150):
        name = f"{tree.name}/{chance.randrange(15)}"
        if not os.path.lexists(tree.a.path / name):
            tree.a.write(name, chance.randbytes(50))
        elif chance.random() < MOMENT_S:
            tree.a.replace(name, chance.randbytes(50))
        else:
            tree.a.remove(name)
        pause(0.02)


def unlocked_and_locked_by_hand(tree: Tree) -> None:
    if tree.a.annex("find", tree.name):
        tree.a.annex("unlock", "-q", f"{tree.name}/0", f"{tree.name}/1")
        tree.a.replace(f"{tree.name}/0", b"edited")
        tree.a.annex("add", "-q", f"{tree.name}/0")
        tree.a.annex("lock", "-q", "--force", f"{tree.name}/1")


def imported_by_hand(tree: Tree) -> None:
    source = tree.a.path.parent / "to import"
    source.mkdir()
    (source / "imported").write_bytes(b"imported")
    run(["git-annex", "import", "-q", source], cwd=tree.path)


def edited_while_others_arrive(tree: Tree) -> None:
    path, chance = tree.own("0"), random.Random(f"{seed()} {tree.name}")
    for number in range(8):
        tree.b.replace(f"{tree.name}/1", b"b's %d\n" % number)
        pause(chance.uniform(0, MOMENT_S))
        with path.open("ab") as file:
            file.write(b"a's %d\n" % number)


DEEDS: dict[str, Callable[[Tree], None]] = {
    deed.__name__: deed
    for deed in (
        a_hard_link_is_written_to,
        moved_out_and_in,
        moved_to_the_other_repository,
        two_files_swap_names,
        two_directories_swap_names,
        renamed_and_made_anew,
        renamed_back_and_forth,
        logs_are_rotated,
        a_log_is_appended_to,
        bytes_change_and_times_do_not,
        times_are_strange,
        links_lead_in_circles,
        copied_with_their_links,
        only_the_case_changes,
        a_fifo_takes_the_name_for_a_while,
        a_database_is_written_to,
        removed_while_it_is_added,
        files_come_and_go,
        unlocked_and_locked_by_hand,
        imported_by_hand,
        edited_while_others_arrive,
    )
}


@pytest.mark.parametrize("form", FORMS)
def test_one_after_the_other(pair: tuple[Repo, Repo], fleet: Fleet, form: str) -> None:
    adopt(form, *pair)
    a, b = pair
    fleet.serve(a, b)

    for name, deed in DEEDS.items():
        tree = Tree(name, a, b)
        deed(tree)
        synced(a, b)

    fleet.settle()
    fleet.stop()
    for repo in pair:
        repo.check()
        assert not repo.marked()
