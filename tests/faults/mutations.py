"""Does anybody notice?  Promises of the code, broken on purpose, and the tests that should see it.

``contrib/mutations`` breaks them one by one in a copy.  A mutation whose text is not found any more
is a failure, too: the code has moved on, and this list has to follow.
"""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from tests.processes import run_to_end

BOUND_S: Final = 1200.0


@final
@dataclass(frozen=True, slots=True)
class Mutation:
    """One promise, broken."""

    what: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    """For pytest, as few as may see it."""


@final
@dataclass(frozen=True, slots=True)
class Seen:
    """What came of one."""

    what: str
    by: str | None
    """The first test that failed; None: nobody noticed."""


def _all() -> Iterator[Mutation]:
    yield from _of_spool()
    yield from _of_daemon_and_ingest()
    yield from _of_transfers()
    yield from _of_refs()


def _of_spool() -> Iterator[Mutation]:
    yield Mutation(
        "after locking, nobody looks whether the name still leads there",
        "spool/lock.py",
        "if status is not None and inode(status) == lock.inode:",
        "if status is not None:",
        ("tests/unit/test_lock.py",),
    )
    yield Mutation(
        "a claim removes whatever has its name now",
        "spool/claim.py",
        "if lock.still_named(self._name, self._held().inode, self._at.fd):\n            with",
        "if True:\n            with",
        ("tests/unit/test_claim.py",),
    )
    yield Mutation(
        "a job that was put off since it was listed is claimed",
        "spool/claim.py",
        "if not due(job.mtime):",
        "if False:",
        ("tests/unit/test_claim.py", "tests/unit/test_queue.py"),
    )
    yield Mutation(
        "directories of the spool are opened through links (no O_NOFOLLOW)",
        "spool/directory.py",
        "_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC",
        "_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC",
        ("tests/unit/test_transferlock.py", "tests/unit/test_hostile_spool.py"),
    )
    yield Mutation(
        "records are read through links, and FIFOs waited for",
        "spool/record.py",
        "os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)",
        "os.open(path, os.O_RDONLY | os.O_CLOEXEC)",
        ("tests/unit/test_record.py",),
    )
    yield Mutation(
        "giving up: off the queue before it is on the failed list",
        "spool/queue.py",
        "        try:\n            failed.record(",
        "        claim.remove()\n        try:\n            failed.record(",
        ("tests/faults/test_transactions.py -k failed",),
    )
    yield Mutation(
        "the error of a full disk while giving up is ignored",
        "spool/queue.py",
        "            claim.put_off(now + RETRY_MAX_S)",
        "            claim.remove()",
        ("tests/unit/test_queue.py", "tests/unit/test_failed.py"),
    )
    yield Mutation(
        "what is half done in queue/tmp is swept, too",
        "spool/queue.py",
        "if entry.stat(follow_symlinks=False).st_mtime > now - TMP_MAX_AGE_S:",
        "if False:",
        ("tests/unit/test_queue.py", "tests/unit/test_crash_points.py"),
    )
    yield Mutation(
        "of the two locks of a download only the first is taken",
        "spool/transferlock.py",
        "        for dir_fd in at.locks:\n            held",
        "        for dir_fd in at.locks[:1]:\n            held",
        ("tests/unit/test_transferlock.py",),
    )
    yield Mutation(
        "a lock is unlinked though somebody else has made it anew",
        "spool/transferlock.py",
        "if held.still_linked():",
        "if True:",
        ("tests/unit/test_transferlock.py",),
    )


def _of_daemon_and_ingest() -> Iterator[Mutation]:
    yield Mutation(
        "the daemon's second lock is not taken",
        "annexd/instance.py",
        "self._take(path) and self._take(new)",
        "self._take(new)",
        ("tests/unit/test_instance.py",),
    )
    yield Mutation(
        "daemon.pid has its name before its content (two steps swapped)",
        "annexd/instance.py",
        "        os.ftruncate(fd, 0)\n        os.write(fd, str(os.getpid()).encode())\n"
        "        os.rename(new, path)",
        "        os.rename(new, path)\n        os.ftruncate(fd, 0)\n"
        "        os.write(fd, str(os.getpid()).encode())",
        ("tests/unit/test_instance.py",),
    )
    yield Mutation(
        "a worker does not end with its supervisor",
        "workers/process.py",
        "    lifeline.hang_on(read_end)\n",
        "",
        ("tests/system/test_supervisor.py -k killing_the_supervisor",),
    )
    yield Mutation(
        "a file that somebody has open for writing is added",
        "workers/watcher/source.py",
        "if grant is Grant.WRITER or (grant is Grant.NONE and has_writer(st)):",
        "if False:",
        ("tests/annex/test_watching.py",),
    )
    yield Mutation(
        "whether a file has changed while it was read is not looked at",
        "workers/watcher/source.py",
        "        if st is None or not is_same(st, self.st):\n            raise ChangedError",
        "        if st is None:\n            raise ChangedError",
        ("tests/annex/test_source.py",),
    )
    yield Mutation(
        "contents are opened through links (no O_NOFOLLOW)",
        "workers/lease.py",
        "os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK",
        "os.O_RDONLY | os.O_NONBLOCK",
        ("tests/annex/test_source.py",),
    )
    yield Mutation(
        "contents get their names before they are synced",
        "workers/watcher/desk.py",
        "sync_file_system(",
        "str(",
        ("tests/faults/test_power_cuts.py",),
    )
    yield Mutation(
        "a location is logged before the content has its name (two steps swapped)",
        "workers/watcher/stage.py",
        "        if tree is None:\n            self._make_durable(prepared)\n        else:\n"
        "            commit = self._make(tree, head.oid, message)\n"
        "            if not desk.commits.are_safe(staging.published):\n"
        "                return Outcome.BUSY  # tried again when they are, or are seen to be gone\n"
        "        self._log(finding.key for finding in findings if finding.key is not None)\n",
        "        self._log(finding.key for finding in findings if finding.key is not None)\n"
        "        if tree is None:\n            self._make_durable(prepared)\n        else:\n"
        "            commit = self._make(tree, head.oid, message)\n"
        "            if not desk.commits.are_safe(staging.published):\n"
        "                return Outcome.BUSY"
        "  # tried again when they are, or are seen to be gone\n",
        ("tests/faults/test_transactions.py -k ingest", "tests/faults/test_power_cuts.py"),
    )
    yield Mutation(
        "a new index replaces one that somebody has changed meanwhile",
        "workers/git/index_install.py",
        "    if identify(private) == old:\n        return None",
        "    return None",
        ("tests/annex/test_index_races.py",),
    )
    yield Mutation(
        "index.lock of somebody else is not respected",
        "workers/git/index_install.py",
        "        if os.path.lexists(index + LOCK):\n            return Refusal.BUSY\n"
        "        if old is not None:",
        "        if old is not None:",
        ("tests/annex/test_index_races.py",),
    )
    yield Mutation(
        "directories of the work tree are entered through links",
        "workers/descent.py",
        "os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC",
        "os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC",
        ("tests/unit/test_descent.py",),
    )


def _of_transfers() -> Iterator[Mutation]:
    yield Mutation(
        "what arrives is not checked against its key",
        "workers/annex/acceptance.py",
        "verifier if verify else None",
        "None",
        ("tests/transfers/test_safety.py -k wrong_content",),
    )
    yield Mutation(
        "whether it still is the same remote is not asked before objects are stored",
        "workers/transferrer/native.py",
        "        if not self._far.is_same():\n            raise FileNotFoundError(errno.ENOENT,",
        "        if False:\n            raise FileNotFoundError(errno.ENOENT,",
        ("tests/transfers/test_safety.py -k another_repository_has_begun",),
    )
    yield Mutation(
        "a transfer's contents are not synced before they get names",
        "workers/transferrer/native.py",
        "        sync_file_system(annex)\n        if not self._far.is_same():",
        "        if not self._far.is_same():",
        ("tests/faults/test_power_cuts.py -k upload",),
    )
    yield Mutation(
        "the names of objects are not synced before they are logged (a directory sync)",
        "workers/transferrer/native.py",
        "            self._heed.get_on()\n        sync_file_system(annex)\n",
        "            self._heed.get_on()\n",
        ("tests/faults/test_power_cuts.py -k under_its_name",),
    )
    yield Mutation(
        "a transfer is logged before its object has a name",
        "workers/transferrer/native.py",
        "            self._publish([one for one in staged if one.temporary is not None])\n"
        "            self._record("
        "{one.claim.transfer.key: one.claim.info.associated_file for one in staged})",
        "            self._record("
        "{one.claim.transfer.key: one.claim.info.associated_file for one in staged})\n"
        "            self._publish([one for one in staged if one.temporary is not None])",
        ("tests/transfers/test_safety.py -k killed_before",),
    )
    yield Mutation(
        "an upload goes on though the other side's lock is taken",
        "workers/transferrer/native.py",
        "        elif self._upload:\n            raise AttemptEndedError(End.BUSY)\n",
        "",
        ("tests/transfers/test_safety.py -k somebody_else_brings",),
    )
    yield Mutation(
        "a tmp object that is another file's second name is written to",
        "workers/annex/copying.py",
        "if stat.S_ISREG(status.st_mode) and status.st_nlink == 1:",
        "if stat.S_ISREG(status.st_mode):",
        ("tests/transfers/test_safety.py -k tmp_object",),
    )
    yield Mutation(
        "what an earlier attempt left is believed",
        "workers/annex/copying.py",
        "            if there <= done or os.pread(target, size, done) != chunk:",
        "            if there <= done:",
        ("tests/transfers/test_safety.py -k earlier_attempt",),
    )


def _of_refs() -> Iterator[Mutation]:
    yield Mutation(
        "nobody asks whether the histories are related",
        "workers/pusher/exchange.py",
        "                if not bases:\n                    return True",
        "                if False:\n                    return True",
        ("tests/system/test_pusher.py -k unrelated",),
    )
    yield Mutation(
        "a push that was refused counts as made (an error ignored)",
        "workers/pusher/exchange.py",
        "        if refused:\n            raise ValueError(quote(refused))\n",
        "",
        ("tests/system/test_pusher.py -k hook_over_there",),
    )
    yield Mutation(
        "refs are pushed though they are no fast-forward",
        "workers/pusher/exchange.py",
        "if old is None or self.ancestry.contains(oid, old):\n                    updates.append(",
        "if True:\n                    updates.append(",
        ("tests/system/test_pusher.py -k left_there",),
    )
    yield Mutation(
        "others' files are not waited for before ours are pushed",
        "workers/pusher/exchange.py",
        "                if self.is_ahead(name, oid):",
        "                if False:",
        ("tests/system/test_pusher.py -k would_have_to_merge",),
    )
    yield Mutation(
        "refs and loose objects that git makes for us are not synced",
        "workers/git/run.py",
        '("core.fsync=committed,loose-object,reference", "core.fsyncMethod=batch")',
        '("core.fsync=none",)',
        ("tests/faults/test_power_cuts.py -k whole",),
    )
    yield Mutation(
        "what a ref is moved to without git is not synced",
        "workers/git/swap.py",
        "        os.fsync(draft)\n",
        "",
        ("tests/faults/test_power_cuts.py -k whole",),
    )
    yield Mutation(
        "an exchange that says nothing is never ended",
        "workers/pusher/errand.py",
        "            os.killpg(self._child.pid, signal.SIGKILL)",
        "            os.killpg(self._child.pid, 0)",
        ("tests/unit/test_pusher_errand.py",),
    )


ALL: Final = tuple(_all())


def apply(mutation: Mutation, tree: Path) -> str | None:
    """Break it in a copy of the sources; what was there, or None if it is not found once."""
    file = tree / mutation.file
    text = file.read_text()
    if text.count(mutation.old) != 1:
        return None
    file.write_text(text.replace(mutation.old, mutation.new))
    return text


def try_one(mutation: Mutation, tree: Path) -> Seen:
    """Break it, run the tests, mend it; who fails then, too (a busy machine) has seen nothing."""
    for each in mutation.tests:
        before = apply(mutation, tree)
        if before is None:
            break
        try:
            test = first_failure(each, tree)
        finally:
            (tree / mutation.file).write_text(before)
        if test is not None and first_failure(test, tree) is None:
            return Seen(mutation.what, test)
    return Seen(mutation.what, None)


def first_failure(tests: str, tree: Path) -> str | None:
    """The first test that fails in that copy."""
    file, _, chosen = tests.partition(" -k ")
    argv = [sys.executable, "-P", "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", file]
    argv += ["-k", chosen] if chosen else []
    env = {"PYTHONPATH": os.fspath(tree), "ANNEXD_SCENARIOS": "1"}
    ended = run_to_end(argv, tree, env, timeout_s=BOUND_S)
    if not ended.status:
        return None
    assert ended.status == 1, (tests, ended.status, ended.stdout[-2000:], ended.stderr[-2000:])
    lines = ended.stdout.decode(errors="replace").splitlines()
    failed = [line for line in lines if line.startswith(("FAILED ", "ERROR "))]
    return failed[0].partition(" ")[2].partition(" - ")[0]
