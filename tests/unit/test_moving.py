"""Which files of a change only get another name."""

import os
from pathlib import Path

import pytest

from workers.git.index_entry import EXECUTABLE, FILE, GITLINK
from workers.git.stream import ObjectId
from workers.git.tree import Version
from workers.watcher.moving import moves
from workers.watcher.survey import Step

ONE, OTHER = Version(FILE, ObjectId("1" * 40)), Version(FILE, ObjectId("2" * 40))


@pytest.fixture
def seen(tmp_path: Path) -> os.stat_result:
    return tmp_path.stat()


def found(
    seen: os.stat_result, old: dict[bytes, Version], new: dict[bytes, Version]
) -> list[tuple[bytes, bytes]]:
    """The moves by which one tree becomes the other."""
    steps = [
        Step(path, new.get(path), seen if path in old else None)
        for path in sorted(old.keys() | new.keys())
        if old.get(path) != new.get(path)
    ]
    return [
        (each.old.path, each.new.path)
        for each in moves(steps, {step.path: old.get(step.path) for step in steps})
    ]


def test_the_same_version_under_another_name(seen: os.stat_result) -> None:
    assert found(seen, {b"a": ONE}, {b"d/b": ONE}) == [(b"a", b"d/b")]
    assert found(seen, {b"a": ONE}, {b"b": OTHER}) == []
    assert found(seen, {b"a": ONE}, {b"b": Version(EXECUTABLE, ONE.oid)}) == []


def test_each_file_moves_once(seen: os.stat_result) -> None:
    old, new = {b"1": ONE, b"2": ONE}, {b"3": ONE, b"4": ONE, b"5": ONE}
    assert found(seen, old, new) == [(b"1", b"3"), (b"2", b"4")]


def test_what_stays_or_has_another_content_is_no_room_for_a_move(seen: os.stat_result) -> None:
    assert found(seen, {b"a": ONE}, {b"a": ONE, b"b": ONE}) == []
    assert found(seen, {b"a": ONE, b"b": OTHER}, {b"b": ONE}) == []
    assert found(seen, {b"a": ONE, b"b": OTHER}, {b"a": OTHER, b"b": ONE}) == []


def test_names_that_are_directories_in_the_other_tree_go_first(seen: os.stat_result) -> None:
    assert found(seen, {b"a": ONE}, {b"a/b": ONE}) == []
    assert found(seen, {b"a/b": ONE}, {b"a": ONE}) == []
    assert found(seen, {b"a": ONE, b"c": OTHER}, {b"b": ONE, b"a/d": OTHER}) == [(b"c", b"a/d")]


def test_names_that_a_file_system_may_take_for_the_same(seen: os.stat_result) -> None:
    assert found(seen, {b"read me": ONE}, {b"Read me": ONE}) == []


def test_neither_submodules_nor_what_is_done(seen: os.stat_result) -> None:
    link = Version(GITLINK, ONE.oid)
    assert found(seen, {b"a": link}, {b"b": link}) == []
    steps = [Step(b"a", None, None, done=True), Step(b"b", ONE, None)]
    assert moves(steps, {b"a": ONE}) == []
    steps = [Step(b"a", None, seen), Step(b"b", ONE, seen, done=True)]
    assert moves(steps, {b"a": ONE}) == []


def test_not_what_a_conflict_has_made(seen: os.stat_result) -> None:
    assert found(seen, {b"d/f.txt": ONE}, {b"d/f.variant-1a2b.txt": ONE}) == []
