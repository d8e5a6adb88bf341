"""CONNECT: git's own protocol, in pieces, over a connection that speaks git-annex's.

Each piece is ``DATA n`` and n bytes, both ways; at the end ``CONNECTDONE`` and git's exit status.
"""

import contextlib
import os
from typing import Final

from workers.annex import packserver
from workers.annex.repository import Repository
from workers.git.readable import readable
from workers.shell.wire import HangUpError, Wire

_CHUNK: Final = 1 << 16
_DIGITS_MAX: Final = 9


def relay(wire: Wire, repository: Repository, service: str) -> None:
    """Run it, until it has ended."""
    program = packserver.start(service, os.fspath(repository.git.gitdir))
    try:
        _carry(wire, program)
    finally:
        status = packserver.end(program)
        for end in (program.stdin, program.stdout):
            if end is not None:
                end.close()
    wire.send(b"CONNECTDONE %d\n" % status)


def _carry(wire: Wire, program: packserver.Running) -> None:
    assert program.stdin is not None  # noqa: S101 -- for mypy: we asked for pipes
    assert program.stdout is not None  # noqa: S101
    said = program.stdout.fileno()
    while True:
        if not wire.quiet(0):
            _take_piece(wire, program.stdin.fileno())
            continue
        ready = readable(wire.source, said, within_s=None)
        if said in ready:
            data = os.read(said, _CHUNK)
            if not data:
                program.wait()
                return
            wire.send(b"DATA %d\n" % len(data) + data)


def _take_piece(wire: Wire, into: int) -> None:
    line = wire.line_now()
    head, _, size = line.partition(b" ")
    if head != b"DATA" or not size.isdigit() or len(size) > _DIGITS_MAX:
        raise HangUpError("expected DATA")

    def write(data: memoryview) -> None:
        with contextlib.suppress(BrokenPipeError):  # git has ended, and says so at its other end
            while data:
                data = data[os.write(into, data) :]

    wire.pour(int(size), write)
