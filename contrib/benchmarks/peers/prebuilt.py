"""git-annex repositories that have many files already, made in seconds.

What ``git annex add`` and ``git annex get`` would leave, without their 20 ms a file: objects,
unlocked work-tree files, one commit, location logs, an index with true stat data, and the rows of
the keys database, so that nobody has to look at the files again.  ``git status``, ``git annex
fsck`` and ``git annex whereis`` find such a repository in order (tried).
"""

import hashlib
import os
import sqlite3
import struct
from collections.abc import Iterator
from pathlib import Path

from benchmarks import keys
from benchmarks.peers.peer import Ground

Files = list[tuple[str, bytes]]
"""Paths and keys."""


def populate(ground: Ground) -> None:
    """Put the base into all repositories: present everywhere, and all of it known."""
    files: Files = []
    for batch in ground.base:
        files += zip(batch.paths(), batch.annex_keys(), strict=True)
    if not files:
        return
    arena = ground.arena
    first, *others = ground.nodes
    uuids = [arena.run(["git", "config", "annex.uuid"], node).strip() for node in ground.nodes]
    for node in ground.nodes:
        for batch in ground.base:
            batch.write(node)
        _store_objects(files, node)
    branch = arena.run(["git", "symbolic-ref", "HEAD"], first).strip()
    stream = b"".join(_commits(files, uuids, branch))
    arena.fed(["git", "fast-import", "--quiet"], first, stream)
    for node in others:
        wanted = [f"+{branch}:refs/bench/main", "+git-annex:refs/bench/annex"]
        arena.run(["git", "fetch", "-q", first, *wanted], node)
        for here, there in ((branch, "main"), ("refs/heads/git-annex", "annex")):
            arena.run(["git", "update-ref", here, f"refs/bench/{there}"], node)
            arena.run(["git", "update-ref", "-d", f"refs/bench/{there}"], node)
    for node in ground.nodes:
        _write_index(files, node)
        # It learns from the index which file has which key; no content is looked at.
        arena.run(["git", "annex", "smudge", "--update"], node)
        _know_contents(files, node)


def _store_objects(files: Files, node: Path) -> None:
    """Copy the work-tree files to where git-annex has its objects."""
    top = os.fspath(node)
    for path, key in files:
        target = f"{top}/{os.fsdecode(keys.object_path(key))}"
        os.makedirs(os.path.dirname(target))
        with open(f"{top}/{path}", "rb") as source, open(target, "wb") as copy:
            copy.write(source.read())
            os.fchmod(copy.fileno(), 0o444)
        os.chmod(os.path.dirname(target), 0o555)  # noqa: S103 -- as git-annex does


def _commits(files: Files, uuids: list[str], branch: str) -> Iterator[bytes]:
    """A stream for git fast-import: the files on the branch, their locations on git-annex's."""
    head = b"commit %s\ncommitter B <b@localhost> 1700000000 +0000\ndata 4\nbase\nfrom %s^0\n"
    yield head % (branch.encode(), branch.encode())
    for path, key in files:
        yield b"M 100644 inline %s\n" % os.fsencode(path) + _data(keys.pointer(key))
    yield head % (b"refs/heads/git-annex", b"refs/heads/git-annex")
    log = _data(b"".join(b"1700000000s 1 %s\n" % uuid.encode() for uuid in uuids))
    for _, key in files:
        yield b"M 100644 inline %s/%s.log\n" % (keys.lower(key), key) + log


def _data(content: bytes) -> bytes:
    return b"data %d\n%s\n" % (len(content), content)


def _write_index(files: Files, node: Path) -> None:
    """An index of version 2 (gitformat-index(5)) with the stat data of the work tree."""
    entries = []
    for path, key in files:
        text = keys.pointer(key)
        blob = hashlib.sha1(b"blob %d\0%s" % (len(text), text)).digest()  # noqa: S324 -- git's
        at = os.stat(node / path)
        name = os.fsencode(path)
        times = (*divmod(at.st_ctime_ns, 10**9), *divmod(at.st_mtime_ns, 10**9))
        numbers = (*times, at.st_dev, at.st_ino, 0o100644, at.st_uid, at.st_gid, at.st_size)
        entry = struct.pack(">10L", *(number & 0xFFFFFFFF for number in numbers))
        entry += blob + struct.pack(">H", len(name)) + name
        entries.append((name, entry + b"\0" * (8 - len(entry) % 8)))
    body = b"DIRC" + struct.pack(">LL", 2, len(entries))
    body += b"".join(entry for _, entry in sorted(entries))
    with open(node / ".git/index", "wb") as index:
        index.write(body + hashlib.sha1(body).digest())  # noqa: S324 -- git's


def _know_contents(files: Files, node: Path) -> None:
    """Tell git-annex's keys database that these files and objects are what their keys say."""
    rows = []
    for path, key in files:
        for file in (path, os.fsdecode(keys.object_path(key))):
            at = os.stat(node / file)
            seconds, rest = divmod(at.st_mtime_ns, 10**9)
            fraction = f"{rest:09}".rstrip("0")
            cache = f"{at.st_ino} {at.st_size} {seconds} {fraction}"
            rows.append((key, cache, str(at.st_size), seconds))
    database = sqlite3.connect(node / ".git/annex/keysdb/db")
    with database:
        database.executemany(
            "INSERT OR IGNORE INTO content (key, inodecache, filesize, mtime) VALUES (?, ?, ?, ?)",
            rows,
        )
    database.close()
