"""Of a newer version of an index all is known that a look at each entry would find."""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.repo import Repo
from workers.git.index import Index, map_index
from workers.git.index_entry import SECOND_NS
from workers.git.index_follow import BLOCK, TRIES, Version, follow
from workers.git.index_format import scan
from workers.git.objectid import ObjectFormat

MANY = 2 * BLOCK + 100


@pytest.fixture(params=list(ObjectFormat), ids=lambda each: str(each.value))
def format_(request: pytest.FixtureRequest) -> ObjectFormat:
    found: ObjectFormat = request.param
    return found


@pytest.fixture
def repo(format_: ObjectFormat, tmp_path: Path) -> Repo:
    repo = Repo.plain(tmp_path / "repo", format_.value)
    tell(repo, *(f"100644 {blob(repo, 0)}\td{number // 50}/{number:05}" for number in range(MANY)))
    return repo


def blob(repo: Repo, number: int) -> str:
    return repo.git("hash-object", "--stdin", stdin=b"%d" % number).strip().decode()


def tell(repo: Repo, *lines: str) -> None:
    repo.git("update-index", "--index-info", stdin="".join(f"{x}\n" for x in lines).encode())


def look(repo: Repo, format_: ObjectFormat, older: Index | None = None) -> Index:
    path = os.fsencode(repo.path / ".git/index")
    fd = os.open(path, os.O_RDONLY)
    try:
        return map_index(path, fd, format_, older=older)
    finally:
        os.close(fd)


def told(index: Index) -> Version:
    found = index.told()
    assert found is not None
    return found


def versions(repo: Repo, format_: ObjectFormat, seed: int) -> Iterator[Index]:
    """Ever newer ones, changed as users change them, at random places."""
    choose = random.Random(seed)  # noqa: S311
    zero, some = "0" * format_.raw_size * 2, blob(repo, seed + 1)
    yield look(repo, format_)
    for _ in range(4):
        names = [f"d{number // 50}/{number:05}" for number in choose.sample(range(MANY), TRIES)]
        few = names[: choose.choice((1, 3, TRIES))]
        new = f"100644 {some}\t"
        deeds = {
            "add": [f"{new}{name}.new{'n' * choose.randrange(30)}" for name in few],
            "edit": [new + name for name in few],
            "delete": [f"0 {zero}\t{name}" for name in few],
            "conflict": [f"0 {zero}\t{few[0]}", f"100644 {some} 1\t{few[0]}"],
            "first": [f"{new}a", f"0 {zero}\td0/00000"],
            "last": [f"{new}z", f"{new}z{'z' * 5000}"],
            "all": [f"0 {zero}\td{number // 50}/{number:05}" for number in range(MANY)],
        }
        tell(repo, *deeds[choose.choice(list(deeds))])
        yield look(repo, format_)


@pytest.mark.parametrize("seed", range(6))
def test_what_is_told_from_an_older_version_is_what_each_entry_says(
    repo: Repo, format_: ObjectFormat, seed: int
) -> None:
    seen = list(versions(repo, format_, seed))
    for old in seen:
        for new in seen:
            before, (data, _layout, recent_s) = told(old), told(new)
            for second in (recent_s - 10, recent_s, recent_s + 10):
                layout = follow(before, data, format_, len(new), second)
                assert layout == scan(data, format_, len(new), second)


def test_entries_that_become_recent_or_cease_to_be_are_seen(
    repo: Repo, format_: ObjectFormat
) -> None:
    for name in ("one", "two"):
        repo.write(name, b"content")
    repo.git("add", "one")
    old = look(repo, format_)
    assert [entry.path for entry in old.recent()] == [b"one"]
    repo.git("add", "two")
    later_ns = old.mtime_ns + 5 * SECOND_NS
    os.utime(repo.path / ".git/index", ns=(later_ns, later_ns))

    newer = look(repo, format_, old)
    assert [entry.path for entry in newer.recent()] == []
    os.utime(repo.path / ".git/index", ns=(old.mtime_ns, old.mtime_ns))
    again = look(repo, format_, newer)  # a clock that was put back
    assert [entry.path for entry in again.recent()] == [b"one", b"two"]


def test_a_torn_index_is_refused_as_ever(repo: Repo, format_: ObjectFormat) -> None:
    old = told(look(repo, format_))
    count, data = len(old.layout.offsets), bytes(old.data)
    for size in (old.layout.end + 3, old.layout.end - 1, old.layout.offsets[-1] + 5, 40):
        with pytest.raises(ValueError, match="torn"):
            follow(old, data[:size], format_, count, old.recent_s)


@pytest.mark.parametrize("names", [("b", "long" * 40), ("c" * 3, "d")])
def test_an_index_that_somebody_has_written_into_tells_nothing(
    repo: Repo, format_: ObjectFormat, names: tuple[str, ...]
) -> None:
    """``cp backup .git/index``: the old version has the new bytes, and not where we think."""
    path = repo.path / ".git/index"
    tell(repo, f"100644 {blob(repo, 1)}\ta")
    before = path.read_bytes()
    tell(repo, *(f"100644 {blob(repo, 2)}\t{name}" for name in names))
    old = look(repo, format_)
    after = [entry.path for entry in old]

    path.write_bytes(before)
    here = [entry.path for entry in look(repo, format_, old)]
    assert old.told() is None
    tell(repo, *(f"100644 {blob(repo, 3)}\t{name}" for name in names))
    later = [entry.path for entry in look(repo, format_, old)]

    assert here == [path for path in after if os.fsdecode(path) not in names]
    assert later == after
