"""``annexd log``: the log, and what is added to it."""

import os
from typing import BinaryIO

from inotify_simple import flags as inotify

from annexd.errors import AnnexdError
from spool.place import Place
from workers.wakeup import ENTRIES, Hints, Wakeup

_CHUNK_BYTES = 1 << 16
_TAIL_BYTES = 2048
_STDOUT = 1


def print_log(place: Place) -> None:
    """Print the whole log, the generation before it first."""
    found = False
    for path in (place.log.with_name(f"{place.log.name}.1"), place.log):
        if path.exists():
            found = True
            with path.open("rb") as file:
                _copy(file)
    if not found:
        raise AnnexdError(
            f"there is no log at {os.fspath(place.log)!r}; in the foreground annexd logs to its "
            "stderr, which the init system keeps (systemd: journalctl --user -u 'annexd@*')"
        )


def follow_log(place: Place) -> None:
    """Print the last lines and then what is added, until interrupted."""
    wakeup = Wakeup(Hints.PLAIN, os.fsencode(place.common))
    file: BinaryIO | None = None
    while not wakeup.stopping:
        wakeup.watch(os.fsencode(place.annexd), ENTRIES)
        wakeup.watch(os.fsencode(place.log), int(inotify.MODIFY))
        if file is None:
            file = _open(place)
            _skip_to_tail(file)
        if file is not None:
            _copy(file)
            newer = _open(place)
            if newer is not None and not os.path.sameopenfile(newer.fileno(), file.fileno()):
                _copy(file)  # what came between our last look and the rotation
                file, newer = newer, file
                _copy(file)
            if newer is not None:
                newer.close()
        wakeup.wait()


def _open(place: Place) -> BinaryIO | None:
    try:
        return place.log.open("rb")
    except FileNotFoundError:
        return None


def _skip_to_tail(file: BinaryIO | None) -> None:
    if file is not None and os.fstat(file.fileno()).st_size > _TAIL_BYTES:
        file.seek(-_TAIL_BYTES, os.SEEK_END)
        file.readline()


def _copy(file: BinaryIO) -> None:
    """Print the rest of a file as it is now."""
    while data := file.read(_CHUNK_BYTES):
        view = memoryview(data)
        while view:
            view = view[os.write(_STDOUT, view) :]
