"""The paths whose turn it is, looked at: findings to commit, or another turn later.

What is missing is decided first: a new file that is one of those that are missing was renamed, and
is not read again; both halves go into one commit.
"""

import logging
import os
import stat
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, final

from spool.record import escape
from workers.annex.addpolicy import ALWAYS_GIT
from workers.git.index import Index
from workers.git.index_entry import FILE, LINK, Entry, StatData, is_racy
from workers.git.index_racy import Staged
from workers.git.trackable import is_trackable
from workers.watcher.agenda import RENAMED_S, Agenda, Why
from workers.watcher.byannex import add_by_git_annex
from workers.watcher.desk import Desk
from workers.watcher.examine import Look, look, mode_to_stage, same_file
from workers.watcher.finding import Finding
from workers.watcher.guard import Guard
from workers.watcher.ingest import Ingest
from workers.watcher.locking import Locking, lock_all
from workers.watcher.missing import Missing
from workers.watcher.relink import leads_astray, mend
from workers.watcher.worktree import WorkTree

log = logging.getLogger(__name__)

_REFUSED: Final = {
    Why.REFUSED: "it looks like a pointer, and is none",
    Why.TOO_LARGE: "no file so large may be written to .git/annex (ulimit -f, or its file system)",
}
"""For these only a person can do something; what the log says."""

_Identity = tuple[int, int, int, int]


_Found = tuple[bytes, os.stat_result, Entry | None]


@final
@dataclass(slots=True)
class _Sorted:
    """Paths, by what they are."""

    gone: list[Entry] = field(default_factory=list)
    links: list[_Found] = field(default_factory=list)
    files: list[_Found] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


@final
class Looker:
    """Looks at paths, for one ``Agenda``."""

    def __init__(
        self,
        desk: Desk,
        agenda: Agenda,
        guard: Guard,
        tree: WorkTree,
        ingest: Ingest,
    ) -> None:
        self._desk = desk
        self._agenda = agenda
        self._guard = guard
        self._tree = tree
        self._ingest = ingest
        self._rules = ingest.rules
        self._delay_s = float(desk.repository.settings.number("annex.delayadd", 0))
        self._seen_ns = 0
        """When this look began: no later than any lstat of it."""
        self._lost: dict[_Identity, bytes] = {}
        """Files that are missing, by what would be known of them under another name."""
        self._renamed: dict[bytes, bytes] = {}
        """Those of them whose files have turned up under another name, and that name."""
        self._linked: set[tuple[int, int]] = set()
        """Inodes and ctimes of files with several names, all of which are looked at."""
        self._asked: dict[bytes, None] = {}
        self._looked_again: set[bytes] = set()
        """What git-annex has been asked to add, and is not in the index as it is."""
        self._missing = Missing(desk, agenda, guard, tree)

    def ask_git_annex(self) -> bool:
        """Have git-annex add what only it can; whether it was asked to."""
        if not self._asked:
            return False
        paths, began = list(self._asked), time.monotonic()
        self._asked.clear()
        failed, uncertain = add_by_git_annex(
            self._desk.repository, paths, self._rules, self._ingest.breathe
        )
        now = time.monotonic()
        told: set[str] = set()
        for path, reason in failed.items():  # it may have changed meanwhile
            if reason not in told and not self._agenda.has_failed(path):
                log.warning("skip %s: %s", _shown(path), reason)
                told.add(reason)
            self._agenda.put_off(path, now, Why.FAILED)
        for path in uncertain:
            self._agenda.put_off(path, now, Why.UNSTABLE)
        for path in set(paths).difference(failed, uncertain):
            if self._agenda.heard(path) > began:
                continue
            if path not in self._looked_again and self._has_another_mode(path):
                self._looked_again.add(path)
                self._agenda.look(path, now)
            else:
                self._looked_again.discard(path)
                self._agenda.settle(path)
        return True

    def _has_another_mode(self, path: bytes) -> bool:
        """Whether only the executable bit may be missing: git-annex adds no unlocked file with it.

        Nor does it see to it when it is asked once more.
        """
        st, entry = self._desk.lstat(path), self._desk.index().get(path)
        if st is None or entry is None or not stat.S_ISREG(st.st_mode):
            return False
        mode = mode_to_stage(st, entry, self._desk.conventions.stat)
        return entry.mode not in (LINK, mode)

    def look(self, paths: Sequence[bytes], now: float) -> list[Finding]:
        """Look at these paths now; those with no finding are settled, or put off."""
        index = self._desk.index()
        self._seen_ns = time.time_ns()
        paths = self._as_known(paths, index)
        found = self._sort(paths, index)
        links, files, gone, findings = found.links, found.files, found.gone, found.findings
        looked_at = frozenset(paths)
        self._lost.update((_identity(entry), entry.path) for entry in gone)
        files = [each for each in files if each[2] is not None or not self._waits(each[0], now)]
        ignored = self._ignored([path for path, _, entry in links + files if entry is None])
        reads: list[tuple[bytes, Entry | None]] = []
        for path, st, entry in links + files:
            if path in ignored:
                continue
            old = self._old_name(st, index) if entry is None else None
            if old is not None:
                if not self._is_renamed(old, path, now):
                    continue
                if old.path not in looked_at:
                    gone.append(old)  # both halves together
            if stat.S_ISLNK(st.st_mode):
                self._look_at_link(path, st, findings)
            elif old is not None and not is_racy(old.stat, index.mtime_ns):
                findings.append(self._as_it_is(path, st, old))
            else:
                reads.append((path, entry))
        self._look_at_other_names([st for _, st, _ in files], index, now)
        if not len(self._agenda):
            self._lost.clear()
            self._renamed.clear()
            self._linked.clear()
        findings += self._missing.decide(gone, index, now, self._renamed, looked_at)
        self._read(reads, now, findings)
        return findings

    def _is_renamed(self, old: Entry, path: bytes, now: float) -> bool:
        """Note a file's new name; False if its old one has not been missing for long enough."""
        self._renamed[old.path] = path
        if self._agenda.missing(old.path, now, RENAMED_S, Why.RENAMED):
            return True
        self._agenda.wait_until(path, now + RENAMED_S, Why.NEW)
        self._agenda.wait_until(old.path, now + RENAMED_S, Why.RENAMED)
        return False

    def _as_known(self, paths: Sequence[bytes], index: Index) -> Sequence[bytes]:
        """The paths, by the names that the index has where case makes no difference."""
        if self._desk.casefold is None:
            return paths
        names = self._desk.casefold.names_of(paths, index)
        for path in names.keys() - names.values():
            self._agenda.settle(path)
        return list(dict.fromkeys(names.values()))

    def _sort(self, paths: Sequence[bytes], index: Index) -> "_Sorted":
        """What each path is, by its lstat."""
        written_ns, settings = index.mtime_ns, self._desk.conventions.stat
        found = _Sorted()
        at = 0
        for path in sorted(paths):  # in order, they are found sooner
            if self._tree.boundaries and self._tree.is_elsewhere(path):
                self._agenda.settle(path)
                continue
            at, end = index.span(path, at)
            entries = [index[number] for number in range(at, end)]
            st = self._desk.lstat(path)
            entry = entries[0] if entries else None
            seen = look(st, entries, settings, written_ns)
            casefold = self._desk.casefold
            if seen is not Look.CLEAN and casefold and casefold.is_shared(path):
                self._refuse(path, "another file's name differs by case only, and is the same here")
                continue
            if seen is Look.GONE and entry is not None:
                found.gone.append(entry)
                continue
            self._agenda.present(path)
            if seen is Look.CLEAN and st is not None and leads_astray(self._desk, path, st):
                found.links.append((path, st, entry))
            elif st is None or seen in (Look.CLEAN, Look.CONFLICT):
                self._agenda.settle(path)
            elif seen is Look.MODE and entry is not None:
                found.findings.append(self._as_it_is(path, st, entry))
            else:
                (found.links if seen is Look.LINK else found.files).append((path, st, entry))
        return found

    def _as_it_is(self, path: bytes, st: os.stat_result, entry: Entry) -> Finding:
        """A file with the content of an entry that is known already."""
        mode = mode_to_stage(st, entry, self._desk.conventions.stat)
        staged = Staged(mode, entry.oid, StatData.of(st), self._seen_ns)
        return Finding(path, staged, st)

    def _ignored(self, paths: list[bytes]) -> set[bytes]:
        """Those of the new paths that are not to be added; they are settled."""
        if not paths:
            return set()
        ignored = self._rules.ignored(paths)
        refused: set[bytes] = set()
        for path in paths:
            if path not in ignored and not is_trackable(path, self._mode_at_most(path)):
                self._refuse(path, "git refuses such a name")
                refused.add(path)
        for path in ignored:
            self._agenda.settle(path)
        return ignored | refused

    def _mode_at_most(self, path: bytes) -> int:
        """How a new path is tracked: as a link, if annexed and locked; what is git's, as it is."""
        is_gits = path.rpartition(b"/")[2] in ALWAYS_GIT
        return FILE if is_gits and not os.path.islink(self._desk.full(path)) else LINK

    def _waits(self, path: bytes, now: float) -> bool:
        """Put a new file off for as long as ``annex.delayadd`` says; whether that is so."""
        if not self._delay_s:
            return False
        until = self._agenda.heard(path) + self._delay_s
        if until <= now:
            return False
        self._agenda.wait_until(path, until, Why.NEW)
        return True

    def _look_at_link(
        self,
        path: bytes,
        st: os.stat_result,
        findings: list[Finding],
    ) -> None:
        mended = mend(self._desk, path, st)
        if mended is None:
            self._agenda.put_off(path, time.monotonic(), Why.UNSTABLE)
            return
        target, now = mended
        seen_ns = time.time_ns()
        after = self._desk.lstat(path)
        if after is None or (after.st_ino, after.st_ctime_ns) != (now.st_ino, now.st_ctime_ns):
            self._agenda.put_off(path, time.monotonic(), Why.UNSTABLE)
            return
        blob = self._desk.commits.blob(target)
        findings.append(Finding(path, Staged(LINK, blob, StatData.of(now), seen_ns), now))

    def _look_at_other_names(
        self, files: Sequence[os.stat_result], index: Index, now: float
    ) -> None:
        """Have hard links looked at: a write is heard of only under the name it was done by."""
        linked = {(st.st_ino, st.st_ctime_ns) for st in files if st.st_nlink > 1} - self._linked
        if not linked:
            return
        self._linked |= linked
        for entry in index.with_inodes(frozenset(inode for inode, _ctime in linked)):
            self._agenda.look(entry.path, now)

    def _old_name(self, st: os.stat_result, index: Index) -> Entry | None:
        """The missing file that this one was, under its old name."""
        path = self._lost.get(_identity_of(st))
        old = None if path is None else index.get(path)
        if old is None or not same_file(old, st) or self._desk.lstat(old.path) is not None:
            return None
        return old

    def _read(
        self,
        reads: Sequence[tuple[bytes, Entry | None]],
        now: float,
        findings: list[Finding],
    ) -> None:
        attributes = self._rules.attributes([path for path, _entry in reads])
        to_lock: list[Locking] = []
        for (path, entry), attribute in zip(reads, attributes, strict=True):
            self._ingest.breathe()
            found = self._ingest.take(path, entry, attribute)
            if isinstance(found, Finding):
                self._looked_again.discard(path)
                findings.append(found)
            elif isinstance(found, Locking):
                to_lock.append(found)
            elif isinstance(found, Why) and found in _REFUSED:
                self._refuse(path, _REFUSED[found], found)
            elif isinstance(found, Why):
                self._agenda.put_off(path, now, found)
            elif found is not None:
                self._asked[path] = None
            elif self._agenda.heard(path) <= now:  # else that may have been its end
                self._agenda.settle(path)
        for path, locked in lock_all(self._desk, to_lock):
            if locked is None:
                self._agenda.put_off(path, now, Why.UNSTABLE)
            else:
                findings.append(locked)

    def _refuse(self, path: bytes, said: str, why: Why = Why.REFUSED) -> None:
        """It cannot be committed as it is; only a person can change that."""
        if not self._agenda.needs_person(path):
            log.warning("skip %s: %s", _shown(path), said)
        self._agenda.put_off(path, time.monotonic(), why)


def _identity(entry: Entry) -> _Identity:
    st = entry.stat
    return st.ino, st.size, st.mtime_s, st.mtime_ns


def _identity_of(st: os.stat_result) -> _Identity:
    now = StatData.of(st)
    return now.ino, now.size, now.mtime_s, now.mtime_ns


def _shown(path: bytes) -> str:
    return escape(os.fsdecode(path))
