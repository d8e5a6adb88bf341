"""One commit on the git-annex branch: natively if it is about a few files, else by fast-import.

Moves the branch from the first commit to the new one if that is still where it is, and only then:
git checks it again under its lock of the ref, so a ``git push`` that comes in meanwhile is not
undone, and the caller starts again from the new tip.

``journal.lck`` must be held, and is inherited by git: if we are killed while git is finishing, the
lock lasts until git has ended too.  If we are killed before the whole commit has been sent, git
makes none, and leaves a ``fast_import_crash_PID`` behind, which the next commit removes; what else
it may leave is told in ``importing``.  Objects and the ref are on the disk on return
(``core.fsync``).
"""

import contextlib
import os
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain, islice
from pathlib import Path
from typing import Final, NamedTuple

from workers.annex import fewlogs, importing
from workers.annex.branch import REF, Branch
from workers.annex.repository import Repository
from workers.git.run import DURABLE, Git, GitError, environment
from workers.git.stream import ObjectId

SETTINGS: Final = (
    *DURABLE,
    "pack.compression=0",  # trees are names of objects, which do not compress; half of the time
    # It guards a pack until the branch leads to it, and single objects not: of those, a
    # ``git gc --prune=now`` that began before would take what the branch is to lead to.
    importing.GUARDED,
)
MALLOC: Final = {"MALLOC_TRIM_THRESHOLD_": str(256 << 20)}
"""Keeps glibc from giving zlib's buffers back to the kernel after each object.

10,000 new logs among 100,000: 1.6 s without these two, 0.55 s with both."""

MODE: Final = b"100644"

REPORT: Final = "fast_import_crash_"
REPORT_READ: Final = 1 << 16
"""Bytes; the branch is named before the list of marks, which may be long."""


class BranchBusyError(Exception):
    """The branch was moved by others, again and again, while we were writing to it."""

    exit_status = 111


class Signature(NamedTuple):
    """Who commits, and when (Unix time, s)."""

    identity: bytes
    """``Name <address>``."""

    when: int


class Change(NamedTuple):
    """One file that the commit changes."""

    path: bytes
    content: bytes | ObjectId
    """Its new content, or the blob that has it."""


@lru_cache(maxsize=8)
def identity(git: Git) -> bytes:
    """Whom git would name as committer here; somebody must be named.

    Remembered; ``identity.cache_clear()`` when the configuration has changed.
    """
    with contextlib.suppress(GitError):  # user.name is not set, and git has no guess
        return git.run("var", "GIT_COMMITTER_IDENT").rsplit(b" ", 2)[0].strip()
    return b"annexd <annexd@localhost>"


def commit(  # noqa: PLR0913 -- they are what a commit is made of
    branch: Branch,
    lock: int,
    parents: Sequence[ObjectId],
    changes: Iterable[Change],
    *,
    signature: Signature,
    message: bytes,
) -> ObjectId | None:
    """Commit changes to the first parent's tree; None if the branch has left it meanwhile.

    With several parents the branch may also be at another of them.  ``lock`` is the descriptor of
    ``journal.lck``.  Raises ``GitError`` for anything else that goes wrong.
    """
    changes = iter(changes)
    first = list(islice(changes, fewlogs.MOST + 1))
    if len(first) <= fewlogs.MOST and fewlogs.is_possible(branch):
        few = {change.path: change.content for change in first}
        head = _head(parents, signature)
        made, writer = fewlogs.write(branch, parents[0], few, head, message)
        moved = fewlogs.move(branch, lock, parents, made, signature.identity)
        fewlogs.finish(writer)
        return made if moved else None
    commands = _commands(parents, chain(first, changes), signature, message)
    said = _fast_import(branch.repository, lock, commands)
    return None if said is None else ObjectId(said.strip().decode())


def forward(branch: Branch, lock: int, tip: ObjectId, target: ObjectId) -> bool:
    """Move the branch to a descendant of its ``tip``; False if it is not there any more."""
    return fewlogs.move(branch, lock, (tip,), target, identity(branch.repository.git))


MOVED: Final = (b"Not updating refs/heads/git-annex", b"cannot lock ref 'refs/heads/git-annex'")
"""How fast-import says that the branch is not, or was not while it looked, what it started from."""


def _fast_import(repository: Repository, lock: int, commands: Iterable[bytes]) -> bytes | None:
    """Run the commands; what they print, or None if the branch was moved by somebody else."""
    git = repository.git
    _sweep(git.gitdir)
    importing.begin(repository.common)
    argv = Git(git.gitdir, git.worktree, (*git.settings, *SETTINGS)).argv(
        "fast-import", "--quiet", "--done", "--date-format=raw"
    )
    process = subprocess.Popen(
        argv,
        cwd=git.worktree or git.gitdir,
        env=environment() | MALLOC,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=(lock,),
    )
    with process:
        assert process.stdin is not None  # noqa: S101 -- for mypy: we asked for pipes
        try:
            with contextlib.suppress(BrokenPipeError):  # it has died, and stderr says why
                for command in commands:
                    process.stdin.write(command)
                process.stdin.write(b"done\n")
                process.stdin.flush()
        except BaseException:
            process.kill()  # without "done" it makes no commit; killed, it leaves no report either
            with contextlib.suppress(BrokenPipeError):  # what is still in our buffer
                process.stdin.close()
            raise
        made, said = process.communicate()
    if process.returncode >= 0:  # else it was killed
        importing.end(repository.common)
    if process.returncode == 0:
        return made
    _sweep(git.gitdir)
    with contextlib.suppress(FileNotFoundError):  # on a full disk it is empty, and names no branch
        os.unlink(git.gitdir / f"{REPORT}{process.pid}")
    if any(sign in said for sign in MOVED):
        return None
    raise GitError(argv, process.returncode, said)


def _sweep(gitdir: Path) -> None:
    """Remove the crash reports of our own fast-imports: those that were writing this branch."""
    with os.scandir(gitdir) as entries:
        reports = [entry.path for entry in entries if entry.name.startswith(REPORT)]
    for path in reports:
        with contextlib.suppress(FileNotFoundError):  # another worker has swept it
            with open(path, "rb") as report:
                ours = REF in report.read(REPORT_READ)
            if ours:
                os.unlink(path)


def _commands(
    parents: Sequence[ObjectId],
    changes: Iterable[Change],
    signature: Signature,
    message: bytes,
) -> Iterator[bytes]:
    who = _who(signature)
    header = [
        b"commit " + REF,
        b"mark :1",
        b"author " + who,
        b"committer " + who,
        b"data %d" % len(message),
        message,
        b"from " + parents[0].encode(),
        *(b"merge " + parent.encode() for parent in parents[1:]),
    ]
    yield b"\n".join(header) + b"\n"
    for change in changes:
        path = _quote(change.path)
        if isinstance(change.content, bytes):
            size = len(change.content)
            yield b"M %b inline %b\ndata %d\n%b\n" % (MODE, path, size, change.content)
        else:
            yield b"M %b %b %b\n" % (MODE, change.content.encode(), path)
    yield b"\nget-mark :1\n"


def _head(parents: Sequence[ObjectId], signature: Signature) -> list[bytes]:
    """The lines of a commit after its tree, as fast-import writes them."""
    who = _who(signature)
    return [
        *(b"parent " + parent.encode() for parent in parents),
        b"author " + who,
        b"committer " + who,
    ]


def _who(signature: Signature) -> bytes:
    return b"%b %d +0000" % (signature.identity, signature.when)


def _quote(path: bytes) -> bytes:
    """A path as fast-import reads it; only a newline, or a quote at its start, needs quoting."""
    if b"\n" not in path and not path.startswith(b'"'):
        return path
    escaped = path.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
    return b'"%b"' % escaped
