"""One regular file, read: into the annex, or as a blob of git's; or found to be a pointer.

A file is read under a lease, so nobody writes to it meanwhile; afterwards it must still have its
name and its times, or what was read is thrown away.  The file itself stays as it is, but one that
is to be locked: that becomes a link, by an atomic exchange.

Killed at any point: a temporary file, or an object that nothing refers to yet.

DIAGNOSTICS: ``OSError`` with ENOSPC or EDQUOT when the disk is full, or would be.
"""

import contextlib
import errno
import logging
import os
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, final

from spool.key import Key, parts
from spool.record import escape
from workers.agenda import Why
from workers.annex.addpolicy import Kind
from workers.annex.backend import BACKENDS, WORM, HashBackend, verifier, worm_key
from workers.annex.extension import Limits
from workers.annex.pointer import (
    POINTER_MAX,
    format_link,
    format_pointer,
    parse_link,
    parse_pointer,
    resembles_pointer,
)
from workers.desk import Desk
from workers.examine import mode_to_stage
from workers.finding import Finding, is_same
from workers.git.index_entry import LINK, Entry, StatData, is_racy
from workers.git.index_racy import Staged
from workers.git.stream import ObjectId
from workers.lease import Grant, is_broken, open_to_read, try_lease
from workers.relink import put_link
from workers.rules import Attributes, Rules
from workers.space import Space
from workers.writers import has_writer

log = logging.getLogger(__name__)

SMALL: Final = 1 << 20
"""Bytes: so much is read at once, before its key is known."""

ASK: Final = "annex"
"""What ``Ingest.take`` returns for a file that only git-annex can add."""

_GONE: Final = frozenset((errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO))


class _ChangedError(Exception):
    """The file has changed while it was read."""


class _GoneError(Exception):
    """There is another thing of that name now."""


@final
@dataclass(frozen=True, slots=True)
class _Source:
    """An open file that is being taken in."""

    path: bytes
    fd: int
    st: os.stat_result
    leased: bool


@final
class Ingest:
    """Takes files in, one after the other."""

    def __init__(self, desk: Desk, rules: Rules, breathe: Callable[[], None]) -> None:
        self._desk = desk
        self.rules = rules
        self.breathe = breathe
        """Called now and then while a large file is read; what it raises ends that."""
        self._limits = Limits.configured(desk.repository.settings)
        self._space = Space(desk)
        self._asks = _needs_git_annex(desk)
        self._buffer: bytearray | None = None

    def take(
        self, path: bytes, entry: Entry | None, attributes: Attributes
    ) -> Finding | Why | str | None:
        """What is to be committed of a regular file.

        ``Why`` it is too early; ``ASK`` if git-annex has to add it; None if there is nothing to
        do, or the file has gone: then there was an event.
        """
        fd = self._open(path)
        if not isinstance(fd, int):
            return fd
        try:
            source = self._hold(path, fd)
            return source if isinstance(source, Why) else self._take(source, entry, attributes)
        except _ChangedError:
            return Why.UNSTABLE
        except _GoneError:
            return None
        finally:
            os.close(fd)

    def _open(self, path: bytes) -> int | Why | None:
        try:
            return open_to_read(self._desk.full(path))
        except PermissionError:
            return Why.UNREADABLE
        except OSError as failure:
            if failure.errno in _GONE:
                return None
            if failure.errno in {errno.EIO, errno.ESTALE}:
                return Why.UNREADABLE
            raise

    @staticmethod
    def _hold(path: bytes, fd: int) -> _Source | Why:
        """The open file, if nobody writes to it."""
        st = os.fstat(fd)
        if not stat.S_ISREG(st.st_mode):
            raise _GoneError
        grant = try_lease(fd)
        if grant is Grant.WRITER or (grant is Grant.NONE and has_writer(st)):
            return Why.OPEN
        if grant is Grant.TAKEN:
            st = os.fstat(fd)  # it may have been written to before the lease was ours
        elif is_racy(StatData.of(st), time.time_ns()):
            return Why.UNSTABLE
        return _Source(path, fd, st, grant is Grant.TAKEN)

    def _take(
        self, source: _Source, entry: Entry | None, attributes: Attributes
    ) -> Finding | Why | str | None:
        size = source.st.st_size
        data = None
        if size <= SMALL:
            data = self._read(source)
            if size <= POINTER_MAX and resembles_pointer(data):
                return self._pointer(source, entry, data)
        kind = self._kind(source, entry, attributes)
        if kind is Kind.SKIP:
            return None
        if kind is Kind.GIT:
            return self._git_blob(source, entry, attributes, data)
        backend = self._backend(attributes)
        if kind is Kind.ASK_GIT_ANNEX or self._asks or backend is None:
            return ASK
        key = self._into_annex(source, entry, backend, data)
        if kind is Kind.ANNEX_LOCKED:
            return self._lock(source, key)
        blob = self._desk.commits.blob(format_pointer(key))
        return self._found(source, entry, blob, key)

    # What it is.

    def _kind(self, source: _Source, entry: Entry | None, attributes: Attributes) -> Kind:
        """An existing path keeps its kind, unless rules that all clones share say otherwise."""
        path, size = source.path, source.st.st_size
        known = None if entry is None else self._is_annexed(entry)
        if known is None:
            return self.rules.kind(path, size, attributes)
        kind = self.rules.shared_kind(path, size, attributes)
        if kind is Kind.ASK_GIT_ANNEX:
            return kind
        annexed = known if kind is None else kind in (Kind.ANNEX_UNLOCKED, Kind.ANNEX_LOCKED)
        if not annexed:
            return Kind.GIT
        # What was unlocked stays so; a link that has become a file was unlocked by a user.
        locks = entry is not None and entry.mode == LINK
        if locks and self.rules.kind(path, size, attributes) is Kind.ANNEX_LOCKED:
            return Kind.ANNEX_LOCKED
        return Kind.ANNEX_UNLOCKED

    def _is_annexed(self, entry: Entry) -> bool | None:
        """Whether the index has a key for a path; None if it does not say (a foreign link)."""
        found = self._desk.cat_file().get_small(entry.oid.encode(), POINTER_MAX)
        if found is None:
            return None
        if entry.mode == LINK:
            return True if parse_link(found.data) is not None else None
        return parse_pointer(found.data) is not None

    def _backend(self, attributes: Attributes) -> HashBackend | bytes | None:
        name = self.rules.backend(attributes)
        return name if name == WORM else BACKENDS.get(name)

    def _pointer(self, source: _Source, entry: Entry | None, data: bytes) -> Finding | Why | None:
        """A pointer stands for its key; it is never content."""
        key = parse_pointer(data)
        if key is None:
            log.warning("skip %s: it looks like a pointer, and is none", _shown(source.path))
            return None
        return self._found(source, entry, self._desk.commits.blob(format_pointer(key)), None)

    def _git_blob(
        self, source: _Source, entry: Entry | None, attributes: Attributes, data: bytes | None
    ) -> Finding | Why:
        commits = self._desk.commits
        self._space.demand(source.st.st_size)
        if attributes.converts:
            whole = self._read(source) if data is None else data
            blob = self._convert(source.path, whole)
        elif data is None:
            os.lseek(source.fd, 0, os.SEEK_SET)
            with open(os.dup(source.fd), "rb") as file:
                try:
                    blob = commits.blob_of_file(file, source.st.st_size)
                except ValueError:
                    raise _ChangedError from None
        else:
            blob = commits.blob(data)
        return self._found(source, entry, blob, None)

    def _convert(self, path: bytes, data: bytes) -> ObjectId:
        """As git stores it, with the user's filters and line ends, but not git-annex's."""
        plain = ("-c", "filter.annex.clean=", "-c", "filter.annex.process=")
        command = ("hash-object", "-w", "--stdin", b"--path=" + path)
        out = self._desk.git.run(*plain, *command, stdin=data)
        return ObjectId(out.strip().decode())

    # Its content.

    def _read(self, source: _Source) -> bytes:
        """All of it."""
        size = source.st.st_size
        chunks: list[bytes] = []
        left = size + 1
        while left and (chunk := os.pread(source.fd, left, size + 1 - left)):
            chunks.append(chunk)
            left -= len(chunk)
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        if len(data) != size:
            raise _ChangedError
        return data

    def _into_annex(
        self,
        source: _Source,
        entry: Entry | None,
        backend: HashBackend | bytes,
        data: bytes | None,
    ) -> Key:
        """Have the content in the annex; its key."""
        objects, size = self._desk.objects, source.st.st_size
        if data is not None:
            key = self._key(source, backend, data)
            if entry is None or objects.locate(key) is None:
                self._space.demand(size)
                with self._temporary(source) as (temporary, fd):
                    _write(fd, data)
                    self._finish(source, fd)
                    objects.store(key, temporary)
            return key
        known = self._known_key(source, entry)
        if known is not None:
            return known
        self._space.demand(size)
        with self._temporary(source) as (temporary, fd):
            key = self._copy(source, backend, fd)
            self._finish(source, fd)
            self._check(source)
            objects.store(key, temporary)
        return key

    def _key(self, source: _Source, backend: HashBackend | bytes, data: bytes) -> Key:
        if not isinstance(backend, HashBackend):
            return worm_key(source.path, len(data), int(source.st.st_mtime))
        hashing = backend.start()
        hashing.update(data)
        return backend.key(hashing.hexdigest(), len(data), source.path, self._limits)

    def _known_key(self, source: _Source, entry: Entry | None) -> Key | None:
        """The key that a large file has in the index, if that still is its content."""
        found = (
            None
            if entry is None
            else self._desk.cat_file().get_small(entry.oid.encode(), POINTER_MAX)
        )
        key = None if found is None else parse_pointer(found.data)
        if key is None or parts(key).size != source.st.st_size:
            return None
        check = verifier(key)
        if check is None or self._desk.objects.locate(key) is None:
            return None
        for chunk in self._chunks(source):
            check.update(chunk)
        return key if check.matches() else None

    def _copy(self, source: _Source, backend: HashBackend | bytes, fd: int) -> Key:
        hashing = backend.start() if isinstance(backend, HashBackend) else None
        size = 0
        for chunk in self._chunks(source):
            _write(fd, chunk)
            size += len(chunk)
            if hashing is not None:
                hashing.update(chunk)
        if size != source.st.st_size:
            raise _ChangedError
        if hashing is None or not isinstance(backend, HashBackend):
            return worm_key(source.path, size, int(source.st.st_mtime))
        return backend.key(hashing.hexdigest(), size, source.path, self._limits)

    def _chunks(self, source: _Source) -> Iterator[memoryview]:
        """The content, piece by piece; ends early when a writer wants the file."""
        if self._buffer is None:
            self._buffer = bytearray(SMALL)
        view = memoryview(self._buffer)
        at = 0
        while count := os.preadv(source.fd, (view,), at):
            yield view[:count]
            at += count
            if source.leased and is_broken(source.fd):
                raise _ChangedError
            self.breathe()

    @contextlib.contextmanager
    def _temporary(self, source: _Source) -> Iterator[tuple[bytes, int]]:
        name = self._desk.temporary()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        fd = os.open(name, flags, source.st.st_mode & 0o777 | stat.S_IWUSR)
        try:
            yield name, fd
        except BaseException:
            with contextlib.suppress(FileNotFoundError):  # it is an object already
                os.unlink(name)
            raise
        finally:
            os.close(fd)

    @staticmethod
    def _finish(source: _Source, fd: int) -> None:
        os.utime(fd, ns=(source.st.st_atime_ns, source.st.st_mtime_ns))

    # Whether it holds.

    def _check(self, source: _Source) -> tuple[os.stat_result, int]:
        """The lstat of the name, now, and when; ``_ChangedError`` unless all is as it was."""
        seen_ns = time.time_ns()
        st = self._desk.lstat(source.path)
        if st is None or not is_same(st, source.st):
            raise _ChangedError
        if source.leased and is_broken(source.fd):
            raise _ChangedError
        return st, seen_ns

    def _found(
        self, source: _Source, entry: Entry | None, blob: ObjectId, key: Key | None
    ) -> Finding:
        st, seen_ns = self._check(source)
        mode = mode_to_stage(st, entry, self._desk.conventions.stat)
        return Finding(source.path, Staged(mode, blob, StatData.of(st), seen_ns), st, key)

    def _lock(self, source: _Source, key: Key) -> Finding | Why:
        """Have a link in the place of the file, whose content is in the annex."""
        self._check(source)
        target = format_link(key, source.path, self._desk.repository.tuning)
        placed = put_link(self._desk, source.path, target, source.st)
        if placed is None:
            raise _ChangedError
        blob = self._desk.commits.blob(target)
        staged = Staged(LINK, blob, StatData.of(placed), time.time_ns())
        return Finding(source.path, staged, placed, key)


def _needs_git_annex(desk: Desk) -> bool:
    """Whether content can only be added by git-annex here."""
    repository = desk.repository
    thin = repository.settings.flag("annex.thin", default=False)
    return thin or repository.crippled or not repository.symlinks or desk.objects.hooked


def _write(fd: int, data: bytes | memoryview) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _shown(path: bytes) -> str:
    return escape(os.fsdecode(path))
