"""How programs save files: the system calls of each, with pauses in between where it dawdles.

Recorded with strace, or reported by git-annex's users (pain P07).  Each leaves ``content`` under
``path`` and removes what it made besides, except for backups.
"""

import os
from collections.abc import Callable
from pathlib import Path

Dawdle = Callable[[], object]
Save = Callable[[Path, bytes, Dawdle], None]


def in_place(path: Path, content: bytes, dawdle: Dawdle) -> None:
    """A shell's redirection, nano: truncate and write."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        dawdle()


def vim(path: Path, content: bytes, dawdle: Dawdle) -> None:
    """Tries a probe file, renames the old one away, writes the new one, deletes the old."""
    probe, backup = path.with_name("4913"), path.with_name(path.name + "~")
    probe.touch()
    probe.unlink()
    if path.exists():
        path.rename(backup)
        dawdle()
    path.write_bytes(content)
    dawdle()
    backup.unlink(missing_ok=True)


def emacs(path: Path, content: bytes, dawdle: Dawdle) -> None:
    """A lock that is a dangling link; the first backup is a renamed original, and stays."""
    lock = path.with_name(".#" + path.name)
    lock.symlink_to("user@host.1234:5678")
    dawdle()
    backup = path.with_name(path.name + "~")
    if path.exists() and not backup.exists():
        path.rename(backup)
    path.write_bytes(content)
    lock.unlink()


def gtk(path: Path, content: bytes, dawdle: Dawdle) -> None:
    """GNOME and the like: a temporary file with a random name, renamed over the old one."""
    draft = path.with_name(f".goutputstream-{os.urandom(3).hex().upper()}")
    draft.write_bytes(content)
    dawdle()
    draft.rename(path)


def libreoffice(path: Path, content: bytes, dawdle: Dawdle) -> None:
    """A lock file while the document is open; the old one is copied, then written over in place."""
    lock = path.with_name(f".~lock.{path.name}#")
    lock.write_bytes(b",user,host,01.01.2026 12:00,file:///home/user;")
    dawdle()
    draft = path.with_name("lu12345abc.tmp")
    draft.write_bytes(content)
    dawdle()
    draft.rename(path)
    lock.unlink()


def msoffice(path: Path, content: bytes, dawdle: Dawdle) -> None:
    """Writes a new file, renames the old one away, the new one into its place, deletes the old."""
    new, old = path.with_name("AB12CD34.tmp"), path.with_name("EF56AB78.tmp")
    new.write_bytes(content)
    dawdle()
    if path.exists():
        path.rename(old)
        dawdle()
    new.rename(path)
    old.unlink(missing_ok=True)


def gnucash(path: Path, content: bytes, dawdle: Dawdle) -> None:
    """Hard-links the old one as a backup, and a lock as a link to it; then renames."""
    lock, link = path.with_name(path.name + ".LCK"), path.with_name(f"{path.name}.1.LNK")
    lock.touch()
    link.hardlink_to(lock)
    backup = path.with_name(path.name + ".backup")
    if path.exists():
        backup.unlink(missing_ok=True)
        backup.hardlink_to(path)
    dawdle()
    draft = path.with_name(path.name + ".tmp-Xy12Zz")
    draft.write_bytes(content)
    draft.rename(path)
    link.unlink()
    lock.unlink()


def delete_and_create(path: Path, content: bytes, dawdle: Dawdle) -> None:
    path.unlink(missing_ok=True)
    dawdle()
    path.write_bytes(content)


def write_then_append(path: Path, content: bytes, dawdle: Dawdle) -> None:
    """Closes the file in the middle, and goes on."""
    half = len(content) // 2
    path.write_bytes(content[:half])
    dawdle()
    with path.open("ab") as file:
        file.write(content[half:])


def create_empty_then_fill(path: Path, content: bytes, dawdle: Dawdle) -> None:
    path.write_bytes(b"")
    dawdle()
    path.write_bytes(content)


def rsync(path: Path, content: bytes, dawdle: Dawdle) -> None:
    """A dot file with a random suffix, written in blocks, its time set, then renamed."""
    draft = path.with_name(f".{path.name}.{os.urandom(3).hex()}")
    with draft.open("wb") as file:
        for at in range(0, len(content), 4096):
            file.write(content[at : at + 4096])
        dawdle()
    os.utime(draft, (1_700_000_000, 1_700_000_000))
    draft.rename(path)


def sqlite(path: Path, content: bytes, dawdle: Dawdle) -> None:
    """A journal beside the file comes first; pages are then written where they are."""
    journal = path.with_name(path.name + "-journal")
    journal.write_bytes(b"\xd9\xd5\x05\xf9 \xa1c\xd7" + bytes(504))
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    os.pwrite(fd, content, 0)
    dawdle()
    os.ftruncate(fd, len(content))
    os.fsync(fd)
    os.close(fd)
    journal.unlink()


SAVES: dict[str, Save] = {
    save.__name__: save
    for save in (
        in_place,
        vim,
        emacs,
        gtk,
        libreoffice,
        msoffice,
        gnucash,
        delete_and_create,
        write_then_append,
        create_empty_then_fill,
        rsync,
        sqlite,
    )
}
