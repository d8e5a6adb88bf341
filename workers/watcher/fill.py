"""Contents that have arrived appear in the unlocked files that want them.

Whoever stores an object (a transferrer, ``git annex get``, ``git-annex-shell``, a person with cp)
may leave the files that point to it as they are.  Here, for each key that is heard of: the index
says which files are pointers to it; those that still are, are replaced by a copy of the object
(``workers.inplace``), the index learns their new stat data, so that nobody has to look at them
again, and git-annex's database learns that their content is known.

A file that somebody has open for writing is tried again later.  An object that is dropped at the
same moment takes its copies with it: the pointer is put back, as git-annex would do it.

Killed at any point: a file has the pointer or all of the content.  What the index was not told, the
next look at the file finds out.
"""

import contextlib
import logging
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Final, NamedTuple, final

from spool.key import Key, from_file
from spool.record import escape
from workers.annex import keysdb, smudge
from workers.annex.keysdb import Unlocked
from workers.annex.pointer import format_pointer
from workers.copying import UNFILLABLE, copy, finishing, write_all
from workers.descent import Descent
from workers.git.index_entry import EXECUTABLE, Entry, StatData
from workers.git.index_racy import Staged
from workers.git.permissions import umask
from workers.inplace import Done, Name, is_as_made, look, replace, swap
from workers.nearby import REFUSALS
from workers.pointing import Pointer, reach, read_key_at
from workers.wakeup import Event
from workers.watcher.desk import Desk
from workers.watcher.indexing import install
from workers.watcher.readjusting import Readjusting
from workers.watcher.space import Space
from workers.watcher.spent import Spent
from workers.watcher.tidings import Tidings
from workers.watcher.unfilled import CANONICAL_MAX, Unfilled

log = logging.getLogger(__name__)

FILES_MAX: Final = 512
BYTES_MAX: Final = 256 << 20
"""Files, and bytes, that are filled before the index is told."""

SWEEP_S: Final = 3600.0
"""How often every file is looked at, though nothing was heard: an object was put there with cp."""

RETRIES_S: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)

_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


class _Copied(NamedTuple):
    pointer: Pointer
    temporary: bytes
    seen: os.stat_result
    """The pointer file."""


@final
class Fill:
    """Fills the files of one repository.  ``breathe`` is called now and then."""

    def __init__(self, desk: Desk, breathe: Callable[[], None]) -> None:
        self._desk = desk
        self._breathe = breathe
        self._tidings = Tidings(desk)
        self._unfilled = Unfilled(desk, breathe)
        self._keys: dict[Key, None] = {}
        self._paths: set[bytes] = set()
        self._made: dict[bytes, Key] = {}
        """Files that have just been taken in, and their keys."""
        self._waiting: dict[Key, None] = {}
        self._tries = 0
        self._again = math.inf
        self._must_sweep = True
        self._swept = -math.inf
        self._spent = Spent()
        self._readjusting = Readjusting(desk, breathe)
        self._readjusting.hear()  # nobody has listened until now
        self.filled = 0
        """Files, since the start."""

    def __len__(self) -> int:
        readjusting = self._readjusting.due() < math.inf
        return len(self._keys) + len(self._waiting) + readjusting

    def listen(self) -> None:
        """Watch where contents arrive; to be called before each turn."""
        self._tidings.listen()

    def take(self, events: Iterable[Event]) -> None:
        """Note what events are about."""
        self._tidings.take(events)

    def hint(self, names: Iterable[bytes]) -> None:
        """The contents of these keys (as file names) may have arrived."""
        for name in names:
            with contextlib.suppress(ValueError):  # a name of somebody's, but no key
                self._keys[from_file(name)] = None

    def made(self, files: Mapping[bytes, Key]) -> None:
        """Contents have been made of these files: others may have waited for them as pointers."""
        self._made.update(files)

    def look_at(self, paths: Iterable[bytes]) -> None:
        """These files may be pointers now, to contents that were here before."""
        self._paths.update(paths)

    def resume(self) -> None:
        """Complete what may have been left half-way.  Raises as ``turn``."""
        self._readjusting.resume()

    def sweep(self) -> None:
        """Have every file looked at: hints may have been lost."""
        self._must_sweep = True

    def leave(self) -> None:
        """Leave nothing that the next process would not know of."""
        self._spent.clear()

    def due(self) -> float:
        """When to call ``turn`` (monotonic clock)."""
        if self._keys or self._paths or self._made or self._must_sweep:
            return -math.inf
        return min(self._again, self._swept + SWEEP_S, self._readjusting.due())

    def turn(self) -> None:
        """Fill what can be filled now.

        Raises ``OSError`` (a full disk), ``GitError``; then the rest is still to do.
        """
        heard = self._tidings.take_keys()
        if heard:
            self._readjusting.hear()
        self.hint(heard)
        now = time.monotonic()
        self._must_sweep |= self._tidings.missed or now >= self._swept + SWEEP_S
        self._tidings.missed = False
        if now >= self._again:
            self._keys.update(self._waiting)
            self._waiting.clear()
            self._again = math.inf
        if self._must_sweep:
            self._fill(self._unfilled.among(self._desk.index()))
            self._must_sweep, self._swept = False, now
        self.fill_noted()
        if self._made:
            made = dict(self._made)
            self._fill(self._unfilled.of_keys(made.values(), besides=made))
            for path in made:
                self._made.pop(path, None)
        while self._keys:
            keys = list(islice(self._keys, FILES_MAX))
            self._fill(self._unfilled.of_keys(keys))
            for key in keys:
                self._keys.pop(key, None)
        if not self._waiting:
            self._tries = 0
        self._readjusting.turn()

    def fill_noted(self) -> None:
        """Fill those that ``look_at`` was told of.  Raises as ``turn``."""
        if self._paths:
            index, paths = self._desk.index(), sorted(self._paths)
            entries = (index.get(path) for path in paths)
            self._fill(self._unfilled.among(entry for entry in entries if entry is not None))
            self._paths.difference_update(paths)

    def _fill(self, pointers: Iterator[Pointer]) -> None:
        settings = self._desk.repository.settings
        if settings.flag("annex.thin", default=False) or self._desk.objects.hooked:
            files = [(each.key, each.entry.path) for each in pointers]
            self.filled += smudge.fill(self._desk.repository, files)
            return
        batch: list[Pointer] = []
        size = 0
        for each in pointers:
            batch.append(each)
            size += each.size
            if len(batch) >= FILES_MAX or size >= BYTES_MAX:
                self._fill_batch(batch)
                batch, size = [], 0
        if batch:
            self._fill_batch(batch)

    def _fill_batch(self, batch: list[Pointer]) -> None:
        Space(self._desk).demand(sum(each.size for each in batch))
        copies: list[_Copied] = []
        staged: dict[bytes, Staged | None] = {}
        known: list[Unlocked] = []
        with Descent(self._desk.top) as descent:
            try:
                for pointer in batch:
                    copied = self._try_copy(pointer, descent)
                    if copied is not None:
                        copies.append(copied)
                    self._breathe()
                if copies:
                    self._desk.sync()
                for copied in copies:
                    self._place(copied, descent, staged, known)
            finally:
                for copied in copies:
                    if copied.pointer.entry.path not in staged:
                        with contextlib.suppress(FileNotFoundError):  # it has its name now
                            os.unlink(copied.temporary)
        if staged:
            self.filled += len(staged)
            install(self._desk, {path: at for path, at in staged.items() if self._holds(path, at)})
            keysdb.record(self._desk.repository, known)

    def _holds(self, path: bytes, staged: Staged | None) -> bool:
        """Whether the index still says what it said when the copying began."""
        entry = self._desk.index().get(path)
        return (
            entry is not None
            and staged is not None
            and (entry.mode, entry.oid) == (staged.mode, staged.oid)
        )

    def _try_copy(self, pointer: Pointer, descent: Descent) -> _Copied | None:
        try:
            return self._copy(pointer, descent)
        except FileNotFoundError:  # dropped just now
            return None
        except OSError as failure:
            if failure.errno not in UNFILLABLE:
                raise
            log.warning("skip %s: %s", _shown(pointer.entry.path), failure.strerror)
            return None

    def _copy(self, pointer: Pointer, descent: Descent) -> _Copied | None:
        name = reach(pointer.entry.path, descent)
        seen = None if name is None else look(name)
        if name is None or seen is None or seen.st_size > CANONICAL_MAX:
            return None
        if read_key_at(name, seen) != pointer.key:
            return None
        mode = 0o777 if pointer.entry.mode == EXECUTABLE else 0o666
        source = os.open(pointer.content, os.O_RDONLY | os.O_CLOEXEC)
        try:
            temporary, fd = self._make(mode & ~umask())
            with finishing(temporary, fd):
                copy(source, fd, self._breathe)
                os.ftruncate(fd, os.fstat(source).st_size)
        finally:
            os.close(source)
        return _Copied(pointer, temporary, seen)

    def _make(self, mode: int) -> tuple[bytes, int]:
        """A file for a copy, open for writing."""
        used = self._spent.take(mode)
        if used is not None:
            return used
        temporary = self._desk.temporary()
        return temporary, os.open(temporary, _NEW, mode)

    def _place(
        self,
        copied: _Copied,
        descent: Descent,
        staged: dict[bytes, Staged | None],
        known: list[Unlocked],
    ) -> None:
        path, key = copied.pointer.entry.path, copied.pointer.key
        name = reach(path, descent)
        if name is None:
            return
        made = os.lstat(copied.temporary)
        try:
            done = swap(copied.temporary, name, copied.seen)
        except OSError as failure:
            if failure.errno not in REFUSALS:
                raise
            log.warning("skip %s: %s", _shown(path), failure.strerror)
            return
        if done is Done.WRITER:
            self._wait_for(key)
        if done is not Done.YES:
            return
        self._spent.add(copied.temporary)
        seen_ns = time.time_ns()
        st, entry = look(name), copied.pointer.entry
        if st is None or not is_as_made(st, made):  # edited at once
            return
        try:
            content = os.lstat(copied.pointer.content)
        except FileNotFoundError:
            self._take_back(name, key, st, entry)
            return
        staged[path] = Staged(entry.mode, entry.oid, StatData.of(st), seen_ns)
        known.append(Unlocked(key, path, st, content))

    def _take_back(self, name: Name, key: Key, st: os.stat_result, entry: Entry) -> None:
        """The object was dropped while it was copied: so is the copy."""
        temporary = self._desk.temporary()
        mode = 0o777 if entry.mode == EXECUTABLE else 0o666
        fd = os.open(temporary, _NEW, mode & ~umask())
        with finishing(temporary, fd):
            write_all(fd, format_pointer(key))
        if replace(temporary, name, st) is not Done.YES:
            os.unlink(temporary)

    def _wait_for(self, key: Key) -> None:
        if not self._waiting:
            pause_s = RETRIES_S[min(self._tries, len(RETRIES_S) - 1)]
            self._tries += 1
            self._again = time.monotonic() + pause_s
        self._waiting[key] = None


def _shown(path: bytes) -> str:
    return escape(os.fsdecode(path))
