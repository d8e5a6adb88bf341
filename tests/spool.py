"""A spool, as the tests speak of it: without git, below a directory of the test's own."""

import errno
import os
from dataclasses import dataclass
from pathlib import Path

from spool import layout
from spool.key import Key, parse
from spool.layout import Layout
from spool.queue import Queue
from spool.transfer import UUID, Direction, Lane, Transfer, parse_uuid

U1 = parse_uuid(b"11111111-0000-0000-0000-000000000001")
U2 = parse_uuid(b"22222222-0000-0000-0000-000000000002")
TO = Lane(Direction.UPLOAD, U1)
FROM = Lane(Direction.DOWNLOAD, U1)
NOW = 1_800_000_000.0
"""Later than any file of the test was made, so that a job that was just queued is due."""


def some_key(number: int = 0) -> Key:
    """One key of many."""
    return parse(b"SHA256E-s4096--%064x.dat" % number)


def upload(number: int = 0, uuid: UUID = U1) -> Transfer:
    """One transfer of many."""
    return Transfer(Direction.UPLOAD, uuid, some_key(number))


def forbidden(*_args: object, **_kwargs: object) -> None:
    """A call into the system, as where somebody else owns the directory."""
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


@dataclass(frozen=True, slots=True)
class Spool:
    """A repository of which there is only the annex directory."""

    annex: Path

    @property
    def paths(self) -> Layout:
        return Layout(os.fsencode(self.annex))

    @property
    def queue(self) -> Queue:
        """Each time as another process would have it."""
        return Queue(self.paths)

    def path(self, *names: bytes) -> Path:
        """A path below the annex directory."""
        return self.annex.joinpath(*map(os.fsdecode, names))

    def lane(self, lane: Lane) -> Path:
        """The directory of a lane's jobs."""
        return self.path(*layout.queue_lane(lane))

    def plant(self, path: Path, text: bytes = b"") -> Path:
        """Put a file there, as somebody else would."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
        return path

    def files(self) -> set[str]:
        """Every file of the spool, relative to ``transfer``; not those that were put away."""
        top = self.annex / "transfer"
        files = (path for path in top.rglob("*") if not path.is_dir())
        return {str(at.relative_to(top)) for at in files if not at.name.startswith("used.")}

    def used(self) -> list[Path]:
        """The files that were put away."""
        return list((self.annex / "transfer/queue/tmp").glob("used.*"))

    def corrupt(self) -> dict[str, Path]:
        """What was moved aside: its reason -> where it is now."""
        return {
            reason.read_text(): reason.with_suffix("")
            for reason in (self.annex / "transfer/corrupt").glob("*.reason")
        }
