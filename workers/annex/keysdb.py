"""git-annex's database of unlocked files: which files have which key, and what they looked like.

``associated`` lists the files of each key; ``content`` says that a file with that inode, size and
mtime is known to have the key's content, so that git-annex need not hash it again.  Both are only
ever a help: what is missing git-annex finds out at a cost, and so there is nothing to be done when
there is no database, and none is made here.  If killed: a transaction is all there, or not at all.
Source: git-annex-formats.md §3.4, §3.5.

A git-annex that has just made the database fills it in the belief that it is empty.  A row that is
there already makes it fail and try again for minutes, so nothing is written without the lock that
it holds meanwhile.

DIAGNOSTICS: a database that is locked, damaged, of another version, or not for us to write is as
good as none.
"""

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from spool import lock
from spool.key import Key
from workers.annex.repository import Repository

BUSY_S: Final = 1.0
"""How long to wait for a git-annex that is writing, or reconciling."""

KEYS_MAX: Final = 500
"""Keys in one question: SQLite allows 999 parameters, at the least."""


class Unlocked(NamedTuple):
    """An unlocked file whose content is right, and the object it is a copy of."""

    key: Key
    path: bytes
    """From the top of the work tree."""

    file: os.stat_result
    content: os.stat_result
    """Of the object."""


def database(repository: Repository) -> Path:
    """Where the database is, if there is one."""
    elsewhere = repository.settings.get("annex.dbdir")
    if elsewhere is None:
        return Path(os.fsdecode(repository.layout.keysdb))
    return repository.top / elsewhere / repository.uuid.decode() / "keysdb" / "db"


def inode_cache(stat: os.stat_result) -> str:
    """What git-annex calls an inode cache: inode, size, mtime to the last digit."""
    seconds, nanoseconds = divmod(stat.st_mtime_ns, 10**9)
    fraction = f"{nanoseconds:09d}".rstrip("0")
    return f"{stat.st_ino} {stat.st_size} {seconds} {fraction}"


def associated_files(repository: Repository, keys: Iterable[Key]) -> dict[Key, list[bytes]]:
    """The files of the index that have those keys, locked ones too, as git-annex last saw it."""
    wanted = list(keys)
    files: dict[Key, list[bytes]] = {}
    with suppress(sqlite3.Error), _opened(repository) as connection:
        if connection is None:
            return files
        for start in range(0, len(wanted), KEYS_MAX):
            part = wanted[start : start + KEYS_MAX]
            marks = ",".join("?" * len(part))
            rows = connection.execute(
                f"SELECT key, file FROM associated WHERE key IN ({marks})",  # noqa: S608 -- only ?
                part,
            )
            for key, file in rows:
                files.setdefault(Key(key), []).append(file)
    return files


def damage(repository: Repository) -> str:
    """What SQLite finds wrong with the database; empty if nothing, or if it is busy."""
    try:
        with _opened(repository) as connection:
            if connection is None:
                return ""
            found = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError:  # somebody is writing for a long time
        return ""
    except sqlite3.DatabaseError as problem:
        return str(problem)
    return "" if found is None or found[0] == "ok" else str(found[0])


def record(repository: Repository, unlocked: Iterable[Unlocked]) -> bool:
    """Note unlocked files, in one transaction; False if there is no database to note them in."""
    lock_file = os.fsencode(database(repository).parent) + b".lck"
    if not os.path.exists(lock_file):  # git-annex makes it first
        return False
    try:
        with lock.held(lock_file, within_s=BUSY_S), _opened(repository) as connection:
            if connection is None:
                return False
            with connection:
                for each in unlocked:
                    _record_one(connection.cursor(), each)
    except (lock.LockBusyError, lock.NotAFileError, OSError, sqlite3.Error):
        return False
    return True


def _record_one(cursor: sqlite3.Cursor, each: Unlocked) -> None:
    # A file has one key: what it had before is no longer its own.
    cursor.execute("DELETE FROM associated WHERE file=? AND key<>?", (each.path, each.key))
    cursor.execute(
        "INSERT OR IGNORE INTO associated (key, file) VALUES (?, ?)", (each.key, each.path)
    )
    cursor.executemany(
        "INSERT OR IGNORE INTO content (key, inodecache, filesize, mtime) VALUES (?, ?, ?, ?)",
        [
            (each.key, inode_cache(stat), str(stat.st_size), stat.st_mtime_ns // 10**9)
            for stat in (each.content, each.file)
        ],
    )


@contextmanager
def _opened(repository: Repository) -> Iterator[sqlite3.Connection | None]:
    path = database(repository)
    if not path.exists():
        yield None
        return
    uri = path.as_uri() + "?mode=rw"  # never create one
    with closing(sqlite3.connect(uri, uri=True, timeout=BUSY_S)) as connection:
        yield connection
