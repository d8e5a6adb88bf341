"""Every path, spelled once."""

import inspect

from spool.layout import Layout
from spool.transfer import Direction, Transfer
from tests.spool import U1, some_key

PATHS = Layout.of(b"/repo/.git")


def properties() -> dict[str, bytes]:
    """Every path that needs no argument."""
    return {
        name: getattr(PATHS, name)
        for name, value in inspect.getmembers(Layout)
        if isinstance(value, property)
    }


def test_every_path_is_below_the_annex_and_no_two_are_the_same() -> None:
    paths = properties()

    assert len(paths) > 30
    assert all(path.startswith(b"/repo/.git/annex/") for path in paths.values())
    assert len(set(paths.values())) == len(paths)


def test_annexd_s_own_state_is_all_in_one_directory() -> None:
    """ARCHITECTURE.md: deleting it costs time, never data."""
    own = ("lock", "log", "supervisor", "roles", "poke", "remotes", "cache", "state_tmp")

    assert PATHS.state == b"/repo/.git/annex/annexd"
    assert {properties()[name].rpartition(b"/")[0] for name in own} == {PATHS.state}


def test_a_remote_s_directory_is_one_component_whatever_its_name() -> None:
    paths = {PATHS.remote(name) for name in ("origin", "work/drive", "work%drive", "work&sdrive")}

    assert {path.rpartition(b"/")[0] for path in paths} == {PATHS.remotes}
    assert len(paths) == 4


def test_a_transfer_s_files_are_named_after_its_key() -> None:
    upload = Transfer(Direction.UPLOAD, U1, some_key())
    download = Transfer(Direction.DOWNLOAD, U1, some_key())
    name = U1 + b"/" + some_key()
    top = PATHS.transfer

    assert PATHS.job(upload) == top + b"/queue/to/" + name
    assert PATHS.job(download) == top + b"/queue/from/" + name
    assert PATHS.info(upload) == top + b"/upload/" + name
    assert PATHS.info(download) == top + b"/download/" + name
    assert PATHS.failed(download) == top + b"/failed/download/" + name
    assert PATHS.hold_remote(U1) == top + b"/hold/remote/" + U1
    assert PATHS.tmp_object(some_key()) == PATHS.tmp + b"/" + some_key()
    assert PATHS.bad_object(some_key()) == PATHS.bad + b"/" + some_key()
