"""What differs between two commits of the git-annex branch, and what a commit has in all.

Output of git is read as it comes, so memory does not depend on how much there is.
DIAGNOSTICS: ``GitError`` at the end of the iteration if git failed; what was yielded before is then
not all, and must not be acted on as if it were.
"""

import subprocess
from collections.abc import Iterator
from typing import Final, NamedTuple

from workers.git.run import Git, GitError, environment
from workers.git.stream import ObjectId

CHUNK: Final = 1 << 16


class Difference(NamedTuple):
    """One file that is not the same in both."""

    path: bytes
    old_mode: bytes
    new_mode: bytes
    old: ObjectId | None
    new: ObjectId | None
    """The blobs; None where there is no such file."""


class File(NamedTuple):
    """One file of a commit."""

    path: bytes
    mode: bytes
    blob: ObjectId


def differences(git: Git, old: ObjectId, new: ObjectId) -> Iterator[Difference]:
    """The files that differ, in git's order."""
    yield from _raw(_records(git, "diff-tree", "-r", "-z", "--no-renames", "--raw", old, new))


def steps(git: Git, old: ObjectId, new: ObjectId, limit: int) -> Iterator[Difference]:
    """What each commit that ``new`` has and ``old`` has not changed, against each of its parents.

    Of the newest ``limit`` commits.
    """
    options = ("-m", "--raw", "-z", "--no-abbrev", "--no-renames", "--no-show-signature")
    yield from _raw(_records(git, "log", *options, "--format=", f"-{limit}", f"{old}..{new}"))


def _raw(records: Iterator[bytes]) -> Iterator[Difference]:
    """Parse git's raw format (git-diff-tree(1), "Raw output format", with ``-z``)."""
    for record, path in zip(records, records, strict=True):
        old_mode, new_mode, old_blob, new_blob, status = record[1:].split(b" ")
        yield Difference(
            path,
            old_mode,
            new_mode,
            None if status == b"A" else ObjectId(old_blob.decode()),
            None if status == b"D" else ObjectId(new_blob.decode()),
        )


def files(git: Git, commit: ObjectId) -> Iterator[File]:
    """Every file, in git's order."""
    for record in _records(git, "ls-tree", "-r", "-z", "--full-tree", commit):
        meta, _, path = record.partition(b"\t")
        mode, _kind, blob = meta.split(b" ")
        yield File(path, mode, ObjectId(blob.decode()))


def _records(git: Git, *args: str) -> Iterator[bytes]:
    """The NUL-terminated records that a git command prints."""
    argv = git.argv(*args)
    process = subprocess.Popen(
        argv,
        cwd=git.worktree or git.gitdir,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:  # closes the pipes and waits for its end, also when the caller stops early
        assert process.stdout is not None  # noqa: S101 -- for mypy: we asked for pipes
        assert process.stderr is not None  # noqa: S101
        rest = b""
        while chunk := process.stdout.read(CHUNK):
            *whole, rest = (rest + chunk).split(b"\0")
            yield from whole
        said = process.stderr.read()
    if process.returncode != 0:
        raise GitError(argv, process.returncode, said)
