"""Carry new commits, and all that is new in them, from one repository at a path to another.

It is what ``git push`` and ``git fetch`` do there, without their question at the end: whether all
that a new commit leads to is really there.  To answer it git marks every tree of the commit before,
which in the git-annex branch are as many as there are keys: 0.3 s of the processor with 100,000 of
them, at every exchange.  git has to ask, for it may not trust the sender.  Here it is git itself
that packs, and what need not be packed is told by refs of the receiver's, which git keeps complete.
``unpack-objects --strict`` looks for each object that a new one names.

Few objects only: they are unpacked, and a pack would have to be kept from being pruned meanwhile.

Source: git-pack-objects(1); git-unpack-objects(1); gitformat-pack(5).
"""

import contextlib
import os
import subprocess
from collections.abc import Iterable
from typing import IO, Final

from workers.git.exchange import NO_DELTAS
from workers.git.readable import readable
from workers.git.run import DURABLE, Git, environment
from workers.git.stream import ObjectId

FEW: Final = 100
"""Objects; git's own limit for unpacking (``transfer.unpackLimit``)."""

PATIENCE_S: Final = 30.0
"""For a word from ``git pack-objects``: whoever it makes wait may better ask git."""

END_S: Final = 60.0
"""For the disk to take the last of it."""

_HEADER: Final = 12
"""Bytes: ``PACK``, a version, and the number of objects."""

_PIECE: Final = 1 << 16

_PACK: Final = ("pack-objects", "--revs", "--thin", "--stdout", "--delta-base-offset", "-q")
_UNPACK: Final = ("unpack-objects", "-q", "--strict")


def carry(source: Git, target: Git, tips: Iterable[ObjectId], common: Iterable[ObjectId]) -> bool:
    """Have all in ``target`` that ``tips`` lead to; it has what ``common`` lead to.

    False if it was not done: ``source`` does not know one of them, there are more than a few, or
    something is odd.  Whoever asks git then is told what.  It may have been done in part; without
    a ref that is nothing.
    """
    revisions = b"".join(
        (*(b"%s\n" % tip.encode() for tip in tips), *(b"^%s\n" % old.encode() for old in common))
    )
    try:
        with _start(source, *_PACK) as packing, contextlib.ExitStack() as stack:
            stack.callback(packing.kill)  # what has not ended then will not be waited for
            given, packed = _pipes(packing)
            given.write(revisions)
            given.close()
            header = _read(packed, _HEADER)
            if len(header) < _HEADER or int.from_bytes(header[8:], "big") > FEW:
                return False
            unpacking = stack.enter_context(_start(target, *_UNPACK))
            stack.callback(unpacking.kill)
            return _pour(header, packed, unpacking) and packing.wait(END_S) == 0
    except (BrokenPipeError, subprocess.TimeoutExpired):
        return False


def _start(git: Git, *args: str) -> subprocess.Popen[bytes]:
    quiet = Git(git.gitdir, git.worktree, (*git.settings, *DURABLE, *NO_DELTAS))
    return subprocess.Popen(
        quiet.argv(*args),
        cwd=git.worktree or git.gitdir,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def _pour(header: bytes, packed: IO[bytes], unpacking: subprocess.Popen[bytes]) -> bool:
    """Pass a pack on, to its end; whether it was all taken."""
    taken, _ = _pipes(unpacking)
    piece = header
    while piece:
        taken.write(piece)
        piece = _read(packed, _PIECE)
    taken.close()
    return unpacking.wait(END_S) == 0


def _read(pipe: IO[bytes], size: int) -> bytes:
    """So many bytes, or fewer at the end, or when nothing more is said in time."""
    read = b""
    while len(read) < size and readable(pipe.fileno(), within_s=PATIENCE_S):
        piece = os.read(pipe.fileno(), size - len(read))
        if not piece:
            break
        read += piece
    return read


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    assert process.stdin is not None  # noqa: S101 -- for mypy: we asked for pipes
    assert process.stdout is not None  # noqa: S101
    return process.stdin, process.stdout
