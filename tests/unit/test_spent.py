"""Files that were replaced are written again, if nobody else can see them."""

import os
import stat
from pathlib import Path

from workers.watcher.spent import MOST, Spent


def keep(spent: Spent, path: Path, content: bytes = b"old") -> Path:
    path.write_bytes(content)
    spent.add(os.fsencode(path))
    return path


def test_a_file_is_given_back_with_the_mode_that_is_wanted(tmp_path: Path) -> None:
    spent = Spent()
    path = keep(spent, tmp_path / "file")

    taken = spent.take(0o640)

    assert taken is not None
    name, fd = taken
    assert name == os.fsencode(path)
    assert stat.S_IMODE(os.fstat(fd).st_mode) == 0o640
    os.close(fd)
    assert spent.take(0o640) is None


def test_a_file_that_somebody_still_reads_is_never_written_again(tmp_path: Path) -> None:
    spent = Spent()
    path = keep(spent, tmp_path / "file")
    with path.open("rb") as reader:
        assert spent.take(0o644) is None
        assert reader.read() == b"old"
    assert not path.exists()


def test_a_file_with_another_name_is_never_written_again(tmp_path: Path) -> None:
    spent = Spent()
    path = keep(spent, tmp_path / "file")
    os.link(path, tmp_path / "other")

    assert spent.take(0o644) is None
    assert (tmp_path / "other").read_bytes() == b"old"


def test_what_has_been_put_in_its_place_is_left_alone(tmp_path: Path) -> None:
    spent = Spent()
    treasure = tmp_path / "treasure"
    treasure.write_bytes(b"mine")
    for number in range(2):
        path = keep(spent, tmp_path / f"file{number}")
        path.unlink()
    (tmp_path / "file0").symlink_to(treasure)

    assert spent.take(0o644) is None
    assert treasure.read_bytes() == b"mine"


def test_no_more_are_kept_than_are_of_use(tmp_path: Path) -> None:
    spent = Spent()
    for number in range(MOST + 3):
        keep(spent, tmp_path / f"file{number}")
    keep(spent, tmp_path / "large", bytes(1 << 20))

    assert len(list(tmp_path.iterdir())) == MOST
