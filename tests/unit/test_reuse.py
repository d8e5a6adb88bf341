"""Jobs that are done are put away, and the next jobs written into their files."""

import errno
import os
import stat

import pytest

from spool.info import Info
from spool.transfer import Outcome
from tests.spool import NOW, TO, Spool, some_key, upload


def settle(spool: Spool, *numbers: int) -> None:
    names = [some_key(number) for number in numbers]
    with spool.queue.claim(TO, names, NOW) as claims:
        spool.queue.settle(claims, Outcome.DONE, NOW)


def test_a_job_is_written_into_the_file_of_one_that_is_done(spool: Spool) -> None:
    spool.queue.add(upload(1), Info(associated_file=b"a much longer name than the next one"))
    inode = (spool.lane(TO) / os.fsdecode(some_key(1))).stat().st_ino
    settle(spool, 1)
    assert len(spool.used()) == 1

    spool.queue.add(upload(2), Info(associated_file=b"short"))

    assert spool.used() == []
    assert (spool.lane(TO) / os.fsdecode(some_key(2))).stat().st_ino == inode
    [job] = spool.queue.jobs(TO)
    assert job.info.associated_file == b"short"
    assert spool.queue.look(NOW).due == {TO: [some_key(2)]}


def test_nothing_is_written_into_a_file_that_has_another_name(spool: Spool) -> None:
    treasure = spool.plant(spool.annex / "treasure", b"mine")
    spool.queue.add(upload(1), Info())
    settle(spool, 1)
    [used] = spool.used()
    used.unlink()
    os.link(treasure, used)

    spool.queue.add(upload(2), Info(associated_file=b"f"))

    assert treasure.read_bytes() == b"mine"
    assert [job.transfer for job in spool.queue.jobs(TO)] == [upload(2)]


def test_what_is_no_plain_file_is_not_written_into(spool: Spool) -> None:
    treasure = spool.plant(spool.annex / "treasure", b"mine")
    spool.queue.add(upload(1), Info())
    settle(spool, 1)
    [used] = spool.used()
    used.unlink()
    used.symlink_to(treasure)
    os.mkfifo(used.with_name("used.fff"))

    spool.queue.add(upload(2), Info())
    spool.queue.add(upload(3), Info())

    assert treasure.read_bytes() == b"mine"
    assert len(list(spool.queue.jobs(TO))) == 2


def test_a_job_cancelled_while_it_runs_lends_its_file_to_nobody(spool: Spool) -> None:
    spool.queue.add(upload(1), Info(associated_file=b"running"))
    with spool.queue.claim(TO, [some_key(1)], NOW) as claims:
        spool.queue.cancel(upload(1))
        spool.queue.add(upload(2), Info(associated_file=b"other"))

        [claim] = claims
        assert claim.info.associated_file == b"running"
        spool.queue.settle(claims, Outcome.DONE, NOW)

    assert [job.transfer for job in spool.queue.jobs(TO)] == [upload(2)]


def test_what_was_put_away_is_no_more_readable_than_a_new_job(spool: Spool) -> None:
    spool.queue.add(upload(1), Info())
    before = stat.S_IMODE((spool.lane(TO) / os.fsdecode(some_key(1))).stat().st_mode)
    settle(spool, 1)
    spool.queue.add(upload(2), Info())

    assert stat.S_IMODE((spool.lane(TO) / os.fsdecode(some_key(2))).stat().st_mode) == before


def test_the_files_that_are_put_away_are_swept_when_they_are_old(spool: Spool) -> None:
    spool.queue.add(upload(1), Info())
    settle(spool, 1)

    spool.queue.sweep(NOW)

    assert spool.used() == []


def test_what_cannot_be_written_whole_is_not_there(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool.queue.add(upload(1), Info())
    settle(spool, 1)

    def is_full(_fd: int, _data: bytes, _offset: int) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", is_full)

    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        spool.queue.add(upload(2), Info())

    assert spool.files() == set()
