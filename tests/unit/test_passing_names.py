import pytest

from workers.watcher.rules import is_passing


@pytest.mark.parametrize(
    "path",
    [b".a.swp", b"d/.a.swo", b".~lock.b.odt#", b"d/.#b.el", b".goutputstream-A1B2C3", b"~$c.docx"],
)
def test_a_lock_or_an_unfinished_file_of_a_program_is_left_alone(path: bytes) -> None:
    assert is_passing(path)


@pytest.mark.parametrize(
    "path",
    [
        b"a.swp",
        b".films/flash.swf",
        b".backup/d/x.swp",
        b".intro.swf",
        b".~lock.d/b#",
        b"#draft.el#",
        b"~$c.txt",
        b"\n.swp",
    ],
)
def test_what_may_be_a_users_work_is_not(path: bytes) -> None:
    assert not is_passing(path)
