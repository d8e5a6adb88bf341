"""Recording which repositories have which keys: location logs written in batches.

A few keys go into the journal, as git-annex does it; many into one commit, because a file per key
and a commit of all of them costs ten times as much.  Either way under ``journal.lck``, with two
rules that keep others' lines (git-annex-formats.md §4.6 to §4.8):

* A file that is in the journal stays there, and gets the union of what the journal and the branch
  have; for git-annex commits the journal's version over whatever the branch says by then.
* The branch moves only from the commit that was read.  If a push has moved it, all is read again.

What git has lost of the branch is not written anew, without the lines that it had: that is said and
left out, as if it had not been asked for.  (Contents that no log speaks of cost time and no data.)

If killed: some keys are recorded and others not, and no line is lost.  Recording the same again
changes nothing.
"""

import contextlib
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Final

from spool.key import Key
from spool.transfer import UUID
from workers.annex import branchhooks, presence
from workers.annex.branch import Branch, Tip, value
from workers.annex.commit import BranchBusyError, Change, Signature, commit, identity
from workers.annex.journal import Journal
from workers.annex.location import log_path
from workers.annex.presence import Status

log = logging.getLogger(__name__)

JOURNAL_MAX: Final = 8
"""Up to so many keys go to the journal.  Measured: a commit costs as much as that many files."""

COMMIT_MAX: Final = 10_000
"""Keys in one commit: bounds the memory, and how long the journal is locked (a second or so)."""

ATTEMPTS: Final = 20
"""How often a push may get in before us."""

Update = Callable[[bytes, bytes], bytes]
"""(path, content) -> the content that it should have."""


class BranchMissingError(Exception):
    """There is no git-annex branch; ``git annex init`` makes one."""

    exit_status = 100


def record_locations(
    branch: Branch, keys: Iterable[Key], uuid: UUID, status: Status, now: float
) -> int:
    """Log that the repository ``uuid`` has, or has not, the keys; how many logs that changed.

    ``now`` is Unix time (s).  Keys that are logged so already are not touched.
    """
    paths = {log_path(key, branch.repository.tuning) for key in keys}
    return _record(branch, paths, uuid, _having(uuid, status, now), now)


def record_new(branch: Branch, keys: Collection[Key], uuid: UUID, now: float) -> int:
    """The same of keys whose files are about to be staged: in a commit, if there can be one.

    A ``git annex whereis`` that began when the journal was empty does not look into it, said that
    there were no copies of a file that came meanwhile, and failed.
    """
    if _commits_always(branch) and not is_private(branch, uuid):
        paths = sorted({log_path(key, branch.repository.tuning) for key in keys})
        with contextlib.suppress(BranchMissingError, BranchBusyError):
            return edit(branch, paths, _having(uuid, Status.PRESENT, now), now)
    return record_locations(branch, keys, uuid, Status.PRESENT, now)


def record_arrivals(branch: Branch, told: Mapping[bytes, bytes], uuid: UUID, now: float) -> int:
    """Log that the repository ``uuid`` has the keys with those logs; how many that changed.

    ``told`` is what another repository's logs say, by path: it is united with what ours say.
    """
    here = _having(uuid, Status.PRESENT, now)

    def update(path: bytes, log: bytes) -> bytes:
        return here(path, log if told[path] in {b"", log} else presence.merge((log, told[path])))

    return _record(branch, told, uuid, update, now)


def _having(uuid: UUID, status: Status, now: float) -> Update:
    known: dict[bytes, bytes] = {}  # of a burst, all logs say the same

    def update(_path: bytes, log: bytes) -> bytes:
        new = known.get(log)
        if new is None:
            changed = presence.change(log, uuid, status, now)
            new = known[log] = log if changed is None else changed
        return new

    return update


def _record(
    branch: Branch, changing: Iterable[bytes], uuid: UUID, update: Update, now: float
) -> int:
    paths = sorted(changing)
    if is_private(branch, uuid):
        return _journal(branch, branch.private, paths, update)
    always = _commits_always(branch)
    small = len(paths) <= JOURNAL_MAX or not always
    journalled = [path for path in paths if small and branch.journal.fits(path)]
    changed = _journal(branch, branch.journal, journalled, update)
    rest = [path for path in paths if not (small and branch.journal.fits(path))]
    return changed + edit(branch, rest, update, now)


def told_by(branch: Branch, keys: Iterable[Key]) -> dict[bytes, bytes]:
    """What a repository's logs of the keys say, by path, but for what is private to it."""
    return branch.read_public({log_path(key, branch.repository.tuning) for key in keys})


def edit(branch: Branch, paths: list[bytes], update: Update, now: float) -> int:
    """Commit changes to files of the branch; how many there were.

    Files that the journal has are changed there instead.
    """
    changed = sum(_commit(branch, part, update, now) for part in _parts(paths))
    if changed:
        branchhooks.announce(branch.repository)
    return changed


def is_private(branch: Branch, uuid: UUID) -> bool:
    """Whether nothing about that repository is ever to be committed."""
    repository = branch.repository
    settings = repository.settings
    if uuid == repository.uuid:
        return settings.flag("annex.private", default=False)
    return any(
        name.endswith(".annex-private")
        and settings.flag(f"remote.{name}", default=False)
        and settings.get(f"remote.{name.removesuffix('private')}uuid") == uuid.decode()
        for name, _value in settings.below("remote")
    )


def _commits_always(branch: Branch) -> bool:
    return branch.repository.settings.flag("annex.alwayscommit", default=True)


def _journal(branch: Branch, journal: Journal, paths: list[bytes], update: Update) -> int:
    """Write the changes into a journal; how many there were."""
    if not paths:
        return 0
    with branch.locked():
        # Read under the lock: the branch may have been committed while we waited for it.
        tip = None if journal is branch.private else branch.base()
        return _write_journal(branch, journal, tip, paths, update)


def _write_journal(
    branch: Branch, journal: Journal, tip: Tip | None, paths: list[bytes], update: Update
) -> int:
    lost: set[bytes] = set()
    committed = {} if tip is None else branch.committed(tip, paths, lost)
    contents = {}
    for path in _kept(branch, paths, lost):
        known = journal.read(path)
        content = update(path, value(path, known, committed.get(path)))
        if content != (committed.get(path, b"") if known is None else known):
            contents[path] = content
    journal.write(contents)
    return len(contents)


def _commit(branch: Branch, paths: list[bytes], update: Update, now: float) -> int:
    """Commit the changes, but for the files that the journal has; how many there were."""
    repository = branch.repository
    message = branchhooks.message(repository)
    signature = Signature(identity(repository.git), int(now))
    for _attempt in range(ATTEMPTS):
        with branch.locked() as lock:
            tip = branch.base()
            if tip is None:
                raise BranchMissingError(f"{repository.top}: there is no git-annex branch")
            in_journal = branch.journal.paths().intersection(paths)
            journalled = _write_journal(branch, branch.journal, tip, sorted(in_journal), update)
            changes = _changes(branch, tip, [p for p in paths if p not in in_journal], update)
            if not changes or commit(
                branch, lock, [tip.commit], changes, signature=signature, message=message
            ):
                return journalled + len(changes)
    raise BranchBusyError(f"{repository.top}: the git-annex branch does not hold still")


def _changes(branch: Branch, tip: Tip, paths: list[bytes], update: Update) -> list[Change]:
    lost: set[bytes] = set()
    committed = branch.committed(tip, paths, lost)
    contents = ((path, committed.get(path, b"")) for path in _kept(branch, paths, lost))
    updated = ((path, content, update(path, content)) for path, content in contents)
    return [Change(path, new) for path, old, new in updated if new != old]


def _kept(branch: Branch, paths: list[bytes], lost: set[bytes]) -> list[bytes]:
    """The paths without those that are lost, which are told."""
    if lost:
        log.warning("left unsaid: %s", branch.describe_lost(lost))
    return [path for path in paths if path not in lost]


def _parts(paths: list[bytes]) -> Iterator[list[bytes]]:
    for start in range(0, len(paths), COMMIT_MAX):
        yield paths[start : start + COMMIT_MAX]
