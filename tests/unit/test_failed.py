"""git-annex's list of failed transfers."""

import os

from spool import failed, layout
from spool.failed import Failed
from spool.info import Info
from spool.transfer import Direction, Transfer, parse_uuid
from tests.spool import FROM, NOW, TO, U1, U2, Spool, some_key, upload

HERE = parse_uuid(b"33333333-0000-0000-0000-000000000003")


def test_what_is_recorded_is_listed_until_it_is_cleared(spool: Spool) -> None:
    download = Transfer(Direction.DOWNLOAD, U1, some_key(2))
    failed.record(spool.paths, upload(1), Info.begun(NOW, b"a"))
    failed.record(spool.paths, download, Info.begun(NOW, b"b"))

    assert list(failed.listing(spool.paths)) == [
        Failed(upload(1), Info.begun(NOW, b"a")),
        Failed(download, Info.begun(NOW, b"b")),
    ]

    failed.clear(spool.paths, TO, [some_key(1), some_key(2)])
    assert [one.transfer for one in failed.listing(spool.paths)] == [download]
    failed.clear(spool.paths, FROM, [some_key(2)])
    assert list(failed.listing(spool.paths)) == []


def test_a_second_failure_replaces_the_first(spool: Spool) -> None:
    failed.record(spool.paths, upload(1), Info(None, 5, b"old"))
    failed.record(spool.paths, upload(1), Info(None, 9, b"new"))

    assert [one.info for one in failed.listing(spool.paths)] == [Info(None, 9, b"new")]


def test_clearing_what_never_failed_makes_nothing(spool: Spool) -> None:
    failed.clear(spool.paths, TO, [some_key(1)])

    assert not (spool.annex / "transfer").exists()


def test_foreign_files_are_not_listed_and_stay(spool: Spool) -> None:
    lane = spool.path(*layout.failed_lane(TO))
    spool.plant(lane / "notkey")
    spool.plant(lane / some_key(3).decode(), b"no info\n")
    os.mkfifo(lane / some_key(4).decode())
    (lane / some_key(5).decode()).symlink_to("/etc/passwd")
    before = spool.files()

    assert list(failed.listing(spool.paths)) == []
    assert spool.files() == before


def test_what_is_where_it_was_to_go_is_forgotten_whichever_way_it_went(spool: Spool) -> None:
    downloads = [Transfer(Direction.DOWNLOAD, U1, some_key(number)) for number in (1, 2)]
    for transfer in (upload(3), upload(4), *downloads):
        failed.record(spool.paths, transfer, Info.begun(NOW, b"a"))

    where = {
        some_key(1): {HERE, U2},
        some_key(2): {U1},
        some_key(3): {TO.uuid},
        some_key(4): {HERE},
    }
    failed.forget_done(spool.paths, HERE, where)

    assert {one.transfer for one in failed.listing(spool.paths)} == {downloads[1], upload(4)}


def test_a_symlinked_lane_is_not_cleared(spool: Spool) -> None:
    precious = spool.plant(spool.annex / "objects" / some_key(1).decode(), b"an object")
    lane = spool.path(*layout.failed_lane(TO))
    lane.parent.mkdir(parents=True)
    lane.symlink_to(precious.parent)

    failed.clear(spool.paths, TO, [some_key(1)])

    assert precious.read_bytes() == b"an object"
