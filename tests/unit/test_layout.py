"""Every path, spelled once."""

import inspect
from pathlib import Path

from spool.layout import Layout
from spool.place import Place
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

    assert len(paths) > 15
    assert all(path.startswith(b"/repo/.git/annex/") for path in paths.values())
    assert len(set(paths.values())) == len(paths)


def test_annexd_s_own_state_is_all_in_one_directory() -> None:
    """ARCHITECTURE.md: deleting it costs time, never data."""
    place = Place(Path("/repo"), Path("/repo/.git/worktrees/x"), Path("/repo/.git"))
    own = {
        name: value
        for name, value in (
            (name, getattr(place, name)) for name in dir(Place) if not name.startswith("_")
        )
        if isinstance(value, Path) and name not in {"worktree", "gitdir", "common", "annex"}
    }

    assert own.pop("annexd") == Path("/repo/.git/annex/annexd")
    assert {path.parent for path in own.values()} == {place.annexd}
    assert len(set(own.values())) == len(own) > 8
    assert place.layout == PATHS


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
    assert PATHS.tmp_object(some_key()) == PATHS.tmp + b"/" + some_key()
