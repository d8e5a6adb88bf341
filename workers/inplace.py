"""Change one name of the work tree, without ever losing what somebody else has put there.

What is new is finished under a temporary name first.  Then names are exchanged, and what has come
out is looked at: if it is not what had been seen before, or somebody has begun to write to it, it
is put back.  So a name has always either the old content or the new, and a user's change that
comes in between wins.

A *name* here is a descriptor of its directory (``workers.descent``) and a name in it.  Temporary
names are absolute paths; if that is another file system, one in the same directory is used instead
(``workers.nearby``).  To the kernel an absolute path is a name in any directory.

Killed in between: a temporary file is left, which may be the only name of the old content that git
or the annex have as well.
"""

import contextlib
import errno
import os
import stat
from enum import Enum, auto
from typing import Final, NamedTuple

from spool.exchange import ExchangeUnsupportedError, exchange, rename_new
from workers.lease import Grant, is_broken, open_to_read, try_lease
from workers.nearby import brought, name_beside, sync_directory
from workers.variant import variant_names

_GONE: Final = frozenset((errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO))


class Name(NamedTuple):
    """An entry of an open directory."""

    directory: int
    name: bytes


class Done(Enum):
    """What became of a change."""

    YES = auto()
    CHANGED = auto()
    """The name does not have any more, or not only, what was seen.  It was left alone."""
    WRITER = auto()
    """Somebody has the file open for writing.  It was left alone."""


def look(name: Name) -> os.stat_result | None:
    """What there is, if anything."""
    try:
        return os.lstat(name.name, dir_fd=name.directory)
    except FileNotFoundError:
        return None


def put(temporary: bytes, name: Name) -> Done:
    """Give a finished file a name that nothing has; ``temporary`` is gone if it worked."""
    try:
        return _put(temporary, name)
    except OSError as failure:
        if failure.errno != errno.EXDEV:
            raise
    with brought(temporary, name.directory) as near:
        done = _put(near, name)
    if done is Done.YES:
        os.unlink(temporary)
    return done


def replace(temporary: bytes, name: Name, seen: os.stat_result) -> Done:
    """Put a finished file in the place of what was seen there; ``temporary`` is gone if it worked.

    What was seen is a regular file or a link.
    """
    done = swap(temporary, name, seen)
    if done is Done.YES:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
    return done


def swap(temporary: bytes, name: Name, seen: os.stat_result) -> Done:
    """As ``replace``; but ``temporary`` has what was seen, if it worked.

    Or nothing, where names cannot be exchanged.
    """
    try:
        return _swap(temporary, name, seen)
    except OSError as failure:
        if failure.errno != errno.EXDEV:
            raise
    with brought(temporary, name.directory) as near:
        done = _swap(near, name, seen)
    if done is Done.YES:
        os.unlink(temporary)
    return done


def take_away(temporary: bytes, name: Name, seen: os.stat_result) -> Done:
    """Remove what was seen: a regular file or a link."""
    try:
        return _take_away(temporary, name, seen)
    except OSError as failure:
        if failure.errno != errno.EXDEV:
            raise
    done = _take_away(name_beside(temporary), name, seen)
    sync_directory(name.directory)
    return done


def move(old: Name, new: Name, seen: os.stat_result) -> Done:
    """Rename what was seen, a regular file or a link, to a name that nothing has.

    Raises ``OSError``: EXDEV, if the new name is on another file system.
    """
    with contextlib.ExitStack() as cleanup:
        fd, refusal = _hold(old, seen, cleanup)
        if refusal is not None:
            return refusal
        try:
            done = _rename(old, new)
        except FileNotFoundError:
            return Done.CHANGED
        if done is not Done.YES:
            return done
        verdict = _judge(os.lstat(new.name, dir_fd=new.directory), fd, seen)
        if verdict is not Done.YES:
            # If there is a newer one under the old name already, this one keeps the new name.
            _rename(new, old)
        return verdict


def set_aside(name: Name) -> bytes | None:
    """Rename whatever is there, to a free name beside it, which is returned.

    None if there is nothing (any more).
    """
    st = look(name)
    if st is None:
        return None
    identity = b"%d %d %d" % (st.st_dev, st.st_ino, st.st_mtime_ns)
    for free in variant_names(name.name, identity, None):
        other = free.removeprefix(b"./").replace(b"/", b"_")
        with contextlib.suppress(FileExistsError):
            try:
                rename_new(name.name, other, name.directory, name.directory)
            except ExchangeUnsupportedError:
                if look(Name(name.directory, other)) is not None:
                    continue
                os.rename(name.name, other, src_dir_fd=name.directory, dst_dir_fd=name.directory)
            return other
    return None


def is_same(one: os.stat_result, other: os.stat_result) -> bool:
    """Whether it is the same file, unchanged; its ctime may differ, renaming changes that."""
    return (one.st_dev, one.st_ino, one.st_size, one.st_mtime_ns, one.st_mode) == (
        *(other.st_dev, other.st_ino, other.st_size, other.st_mtime_ns),
        other.st_mode,
    )


def is_as_made(now: os.stat_result, made: os.stat_result) -> bool:
    """Whether what has got a name is what was made under another one, perhaps elsewhere.

    Its times are older (``workers.copying.set_back``) than any that an edit gives it since then.
    """
    return (now.st_size, now.st_mtime_ns, stat.S_IFMT(now.st_mode)) == (
        *(made.st_size, made.st_mtime_ns),
        stat.S_IFMT(made.st_mode),
    )


def _put(temporary: bytes, name: Name) -> Done:
    return _rename(Name(name.directory, temporary), name)


def _rename(old: Name, new: Name) -> Done:
    try:
        rename_new(old.name, new.name, old.directory, new.directory)
    except FileExistsError:
        return Done.CHANGED
    except ExchangeUnsupportedError:  # no such call here (FAT, NFS): there is no better way
        if look(new) is not None:
            return Done.CHANGED
        os.rename(old.name, new.name, src_dir_fd=old.directory, dst_dir_fd=new.directory)
    return Done.YES


def _swap(temporary: bytes, name: Name, seen: os.stat_result) -> Done:
    at = name.directory
    with contextlib.ExitStack() as cleanup:
        fd, refusal = _hold(name, seen, cleanup)
        if refusal is not None:
            return refusal
        ours = os.lstat(temporary, dir_fd=at)
        try:
            exchange(temporary, name.name, at, at)
        except FileNotFoundError:
            return Done.CHANGED
        except ExchangeUnsupportedError:
            os.rename(temporary, name.name, src_dir_fd=at, dst_dir_fd=at)
            return Done.YES
        verdict = _judge(os.lstat(temporary, dir_fd=at), fd, seen)
        if verdict is not Done.YES:
            _put_back(temporary, name, ours)
        return verdict


def _take_away(temporary: bytes, name: Name, seen: os.stat_result) -> Done:
    at = name.directory
    with contextlib.ExitStack() as cleanup:
        fd, refusal = _hold(name, seen, cleanup)
        if refusal is not None:
            return refusal
        try:
            os.rename(name.name, temporary, src_dir_fd=at, dst_dir_fd=at)
        except FileNotFoundError:
            return Done.CHANGED
        verdict = _judge(os.lstat(temporary, dir_fd=at), fd, seen)
        if verdict is Done.YES:
            os.unlink(temporary, dir_fd=at)
        elif _put(temporary, name) is not Done.YES:
            _beside(temporary, name)  # there is a newer one already; keep this one, too
        return verdict


def _hold(
    name: Name, seen: os.stat_result, cleanup: contextlib.ExitStack
) -> tuple[int | None, Done | None]:
    """A descriptor with a lease on what was seen (None if it cannot have one); or why not."""
    fd = _open(name, seen)
    if fd is None:
        now = look(name)
        return None, None if now is not None and is_same(now, seen) else Done.CHANGED
    cleanup.callback(os.close, fd)
    grant = try_lease(fd)
    if grant is Grant.WRITER:
        return None, Done.WRITER
    # Only now: it may have been written to, and closed, before the lease was ours.
    if not is_same(os.fstat(fd), seen):
        return None, Done.CHANGED
    return (fd if grant is Grant.TAKEN else None), None


def _open(name: Name, seen: os.stat_result) -> int | None:
    """Open what was seen, if it is a file that can be opened."""
    if not stat.S_ISREG(seen.st_mode):
        return None
    try:
        return open_to_read(name.name, name.directory)
    except PermissionError:  # the user has forbidden it to us: looking must do
        return None
    except OSError as failure:
        if failure.errno in _GONE:
            return None
        raise


def _judge(out: os.stat_result, leased: int | None, seen: os.stat_result) -> Done:
    """Whether what has come out is what was seen, and nobody wants to write to it."""
    if not is_same(out, seen):
        return Done.CHANGED
    if leased is not None and is_broken(leased):
        return Done.WRITER
    return Done.YES


def _put_back(temporary: bytes, name: Name, ours: os.stat_result) -> None:
    """Undo an exchange: what came out under ``temporary`` is somebody's."""
    with contextlib.suppress(FileNotFoundError):
        exchange(temporary, name.name, name.directory, name.directory)
        out = os.lstat(temporary, dir_fd=name.directory)
        if (out.st_dev, out.st_ino) == (ours.st_dev, ours.st_ino):
            return
        # Somebody has put a newer one in the place of ours just now: that one keeps the name.
        exchange(temporary, name.name, name.directory, name.directory)
    _beside(temporary, name)


def _beside(temporary: bytes, name: Name) -> None:
    """Keep what somebody has written, under a name of its own."""
    st = os.lstat(temporary, dir_fd=name.directory)
    identity = b"%d %d %d" % (st.st_dev, st.st_ino, st.st_mtime_ns)
    for free in variant_names(name.name, identity, None):
        other = free.removeprefix(b"./").replace(b"/", b"_")
        if _put(temporary, Name(name.directory, other)) is Done.YES:
            return
