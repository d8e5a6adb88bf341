"""One regular file, read: into the annex, or as a blob of git's; or found to be a pointer.

A file is read under a lease, so nobody writes to it meanwhile; afterwards it must still have its
name and its times, or what was read is thrown away.  Its content waits for its name until it is on
the disk (``nameless``).  The file itself stays as it is, but one that is to be locked: when
the content has its name, that becomes a link, by an atomic exchange (``locking``).

Killed at any point: a temporary file, or an object that nothing refers to yet.

DIAGNOSTICS: ``OSError`` with ENOSPC or EDQUOT when the disk is full, or would be.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterator
from typing import Final, final

from spool.key import Key, parts
from workers.annex.addpolicy import Kind
from workers.annex.backend import BACKENDS, WORM, HashBackend, verifier, worm_key
from workers.annex.extension import Limits
from workers.annex.pointer import (
    POINTER_MAX,
    format_pointer,
    parse_link,
    parse_pointer,
    resembles_pointer,
)
from workers.copying import BROKEN, write_all
from workers.git.index_entry import LINK, Entry, StatData
from workers.git.index_racy import Staged
from workers.git.objectid import blob_id
from workers.git.stream import ObjectId
from workers.watcher.agenda import Why
from workers.watcher.desk import Desk
from workers.watcher.examine import mode_to_stage
from workers.watcher.finding import Finding
from workers.watcher.keying import Keying
from workers.watcher.locking import Locking
from workers.watcher.rules import Attributes, Rules
from workers.watcher.source import ChangedError, Source, open_source
from workers.watcher.space import Space

SMALL: Final = 1 << 20
"""Bytes: so much is read at once, before its key is known."""

TARGET_MAX: Final = 4096
"""Bytes: PATH_MAX; no link's target has as many."""

ASK: Final = "annex"
"""What ``Ingest.take`` returns for a file that only git-annex can add."""


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
        """Made when the first large file comes."""
        self._keying = Keying(self._chunk, breathe, self._limits)

    def take(
        self, path: bytes, entry: Entry | None, attributes: Attributes
    ) -> Finding | Locking | Why | str | None:
        """What is to be committed of a regular file.

        ``Locking`` if it is to be locked; ``Why`` it is too early; ``ASK`` if git-annex has to
        add it; None if there is nothing to do, or the file has gone: then there was an event.
        """
        source = open_source(self._desk, path)
        if not isinstance(source, Source):
            return source
        try:
            return self._take(source, entry, attributes)
        except ChangedError:
            return Why.UNSTABLE
        except OSError as failure:
            if failure.errno == errno.EFBIG:
                return Why.TOO_LARGE
            if failure.errno not in BROKEN:
                raise
            return Why.UNREADABLE
        finally:
            os.close(source.fd)

    def _take(
        self, source: Source, entry: Entry | None, attributes: Attributes
    ) -> Finding | Locking | Why | str | None:
        size = source.st.st_size
        data = None
        if size <= SMALL:
            data = source.read()
            if (found := self._stand_in(source, entry, data)) is not None:
                return found
        kind = self._kind(source, entry, attributes)
        if kind is Kind.SKIP:
            return None
        if kind is Kind.GIT:
            return self._git_blob(source, entry, attributes, data)
        backend = self._backend(attributes)
        if kind is Kind.ASK_GIT_ANNEX or self._asks or backend is None:
            return self._as_known(source, entry, data) or ASK
        key = self._into_annex(source, entry, backend, data)
        if kind is Kind.ANNEX_LOCKED and not self._is_unlocked(entry, key):
            return Locking(source.path, source.check()[0], key)
        blob = self._desk.commits.blob(format_pointer(key))
        return self._found(source, entry, blob, key)

    # What it is.

    def _stand_in(self, source: Source, entry: Entry | None, data: bytes) -> Finding | Why | None:
        """What is not content, but stands for it, or for a link; None if it is content."""
        if entry is not None and entry.mode == LINK and self._is_target(data, entry):
            st, seen_ns = source.check()
            blob = self._desk.commits.blob(data)
            return Finding(source.path, Staged(LINK, blob, StatData.of(st), seen_ns), st)
        if len(data) <= POINTER_MAX and resembles_pointer(data):
            return self._pointer(source, entry, data)
        return None

    def _is_target(self, data: bytes, entry: Entry) -> bool:
        """Whether a file stands for a link, where there are none (``core.symlinks``).

        As with git, who writes another target into it has changed the link.  A text that ends as
        lines do is a file that somebody has put in its place, and so is a pointer.
        """
        if self._desk.conventions.stat.symlinks:
            return False
        if blob_id(self._desk.conventions.object_format, data) == entry.oid:
            return True
        is_plain = 0 < len(data) < TARGET_MAX and not {0, ord("\n")}.intersection(data)
        return is_plain and not resembles_pointer(data)

    def _kind(self, source: Source, entry: Entry | None, attributes: Attributes) -> Kind:
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
        # What was unlocked stays so; who writes a new file over a link has not unlocked anything.
        locks = entry is not None and entry.mode == LINK
        if locks and self.rules.kind(path, size, attributes) is Kind.ANNEX_LOCKED:
            return Kind.ANNEX_LOCKED
        return Kind.ANNEX_UNLOCKED

    def _is_annexed(self, entry: Entry) -> bool | None:
        """Whether the index has a key for a path; None if it does not say (a foreign link)."""
        found = self._desk.reader.get_small(entry.oid.encode(), POINTER_MAX)
        if found is None:
            return None
        if entry.mode == LINK:
            return True if parse_link(found.data) is not None else None
        return parse_pointer(found.data) is not None

    def _is_unlocked(self, entry: Entry | None, key: Key) -> bool:
        """Whether a link has become a file with the same content: a user has unlocked it."""
        return entry is not None and entry.mode == LINK and self._desk.key_of(entry) == key

    def _backend(self, attributes: Attributes) -> HashBackend | bytes | None:
        name = self.rules.backend(attributes)
        backend = BACKENDS.get(name)
        is_secure = backend is not None and backend.secure
        if not is_secure and self.rules.only_secure_hashes:
            return None  # git-annex says why it will not
        return name if name == WORM else backend

    def _pointer(self, source: Source, entry: Entry | None, data: bytes) -> Finding | Why:
        """A pointer stands for its key; it is never content."""
        key = parse_pointer(data)
        if key is None:
            return Why.REFUSED
        return self._found(source, entry, self._desk.commits.blob(format_pointer(key)), None)

    def _git_blob(
        self, source: Source, entry: Entry | None, attributes: Attributes, data: bytes | None
    ) -> Finding | Why:
        commits = self._desk.commits
        self._space.demand(source.st.st_size)
        if attributes.converts:
            whole = source.read() if data is None else data
            blob = self._convert(source.path, whole)
        elif data is None:
            os.lseek(source.fd, 0, os.SEEK_SET)
            with open(os.dup(source.fd), "rb") as file:
                try:
                    blob = commits.blob_of_file(file, source.st.st_size)
                except ValueError:
                    raise ChangedError from None
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

    def _into_annex(
        self,
        source: Source,
        entry: Entry | None,
        backend: HashBackend | bytes,
        data: bytes | None,
    ) -> Key:
        """Have the content in the annex; its key."""
        objects, size = self._desk.objects, source.st.st_size
        known = self._known_key(source, entry, data)
        if known is not None:
            return known
        if data is not None:
            key = self._key(source, backend, data)
            if not self._has(key) and (entry is None or objects.locate(key) is None):
                self._space.demand(size)
                with self._temporary(source) as (temporary, fd):
                    write_all(fd, data)
                    self._finish(source, fd)
                    self._desk.nameless.add(key, temporary)
            return key
        self._space.demand(size)
        with self._temporary(source) as (temporary, fd):
            key = self._keying.copy(source, backend, fd)
            self._finish(source, fd)
            source.check()
            self._desk.nameless.add(key, temporary)
        return key

    def _key(self, source: Source, backend: HashBackend | bytes, data: bytes) -> Key:
        if not isinstance(backend, HashBackend):
            return worm_key(source.path, len(data), int(source.st.st_mtime))
        hashing = backend.start()
        hashing.update(data)
        return backend.key(hashing.hexdigest(), len(data), source.path, self._limits)

    def _known_key(self, source: Source, entry: Entry | None, data: bytes | None) -> Key | None:
        """The key that a file has in the index, if that still is its content.

        It may be one that we would not make: ``git annex migrate`` and ``addurl`` make others.
        """
        if entry is None:
            return None
        key = self._desk.key_of(entry)
        if key is None or not _may_be_of(key, source.st):
            return None
        place = self._desk.objects.locate(key)
        if place is None:
            return None
        check = verifier(key)
        if check is None:
            return key if self._is_copy(source, place) else None
        for chunk in source.chunks(self._chunk(), self.breathe) if data is None else (data,):
            check.update(chunk)
        return key if check.matches() else None

    def _is_copy(self, source: Source, place: bytes) -> bool:
        """Whether the file has the same content as an object, and is not the object itself."""
        with contextlib.suppress(FileNotFoundError), open(place, "rb") as file:
            st = os.fstat(file.fileno())
            if st.st_size != source.st.st_size or os.path.samestat(st, source.st):
                return False
            return all(
                file.read(len(chunk)) == chunk
                for chunk in source.chunks(self._chunk(), self.breathe)
            )
        return False  # dropped just now

    def _as_known(self, source: Source, entry: Entry | None, data: bytes | None) -> Finding | None:
        """A file that has the content its entry says; git-annex stages without its stat data."""
        if entry is None or entry.mode == LINK:
            return None
        known = self._known_key(source, entry, data)
        return None if known is None else self._found(source, entry, entry.oid, None)

    def _chunk(self) -> bytearray:
        if self._buffer is None:
            self._buffer = bytearray(SMALL)
        return self._buffer

    @contextlib.contextmanager
    def _temporary(self, source: Source) -> Iterator[tuple[bytes, int]]:
        name = self._desk.temporary()
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
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
    def _finish(source: Source, fd: int) -> None:
        os.utime(fd, ns=(source.st.st_atime_ns, source.st.st_mtime_ns))

    def _found(
        self, source: Source, entry: Entry | None, blob: ObjectId, key: Key | None
    ) -> Finding:
        st, seen_ns = source.check()
        mode = mode_to_stage(st, entry, self._desk.conventions.stat)
        return Finding(source.path, Staged(mode, blob, StatData.of(st), seen_ns), st, key)

    def _has(self, key: Key) -> bool:
        return key in self._desk.nameless


def _may_be_of(key: Key, st: os.stat_result) -> bool:
    """Whether what a key says of its file fits; where git-annex looks at the mtime, so do we."""
    said = parts(key)
    return said.size in {None, st.st_size} and said.mtime in {None, int(st.st_mtime)}


def _needs_git_annex(desk: Desk) -> bool:
    """Whether content can only be added by git-annex here."""
    repository = desk.repository
    theirs = ("annex.thin", "annex.genmetadata")
    is_theirs = any(repository.settings.flag(name, default=False) for name in theirs)
    return is_theirs or repository.crippled or not repository.symlinks or desk.objects.hooked
