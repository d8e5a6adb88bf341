"""The journal: new contents of files of the git-annex branch that are not committed yet.

``annex/journal/NAME`` holds the *whole* new content of one file, and counts instead of what the
branch has.  It is written under ``journal.lck`` only (``write`` and ``remove`` need it held).
Files are made in ``othertmp`` and renamed into place: git-annex commits every file that it finds in
the journal, whatever its name.

A torn file would be committed over the lines of others, so contents are on the disk before they
are renamed.  If killed: a file left in othertmp, which git-annex's next clean-up removes.

``journal-private`` has the same form, holds what is never to be committed, and counts in addition.
Source: git-annex-formats.md §4.4.
"""

import os
from collections.abc import Mapping
from typing import Final, final

from workers.annex.lockfile import Hold, held
from workers.annex.repository import Repository

NAME_MAX: Final = 255


def to_name(path: bytes) -> bytes:
    """The journal file of a file in the branch."""
    return path.replace(b"_", b"__").replace(b"/", b"_")


def to_path(name: bytes) -> bytes:
    """The file in the branch that git-annex makes of a journal file."""
    return b"_".join(part.replace(b"_", b"/") for part in name.split(b"__"))


@final
class Journal:
    """The journal of one repository, or its private one."""

    def __init__(self, repository: Repository, directory: bytes) -> None:
        self._sharing = repository.sharing
        self._layout = repository.layout
        self._directory = directory + b"/"

    def paths(self) -> set[bytes]:
        """The branch files that have a journal file."""
        try:
            with os.scandir(self._directory) as entries:
                return {
                    to_path(entry.name) for entry in entries if entry.is_file(follow_symlinks=False)
                }
        except FileNotFoundError:
            return set()

    def read(self, path: bytes) -> bytes | None:
        """The content of a journal file; None if there is none.

        A line without its end is cut: with ``annex.alwayscompact=false`` git-annex may be
        appending to the file at this moment.
        """
        name = to_name(path)
        if len(name) > NAME_MAX:
            return None
        try:
            with open(self._directory + name, "rb") as file:
                content = file.read()
        except FileNotFoundError:
            return None
        return content[: content.rfind(b"\n") + 1]

    def fits(self, path: bytes) -> bool:
        """Whether a journal file can stand for that path; else it has to be committed at once.

        The name may be too long; and one with ``/_`` in it is taken for another one's.
        """
        name = to_name(path)
        return len(name) <= NAME_MAX and to_path(name) == path

    def write(self, contents: Mapping[bytes, bytes]) -> None:
        """Set the contents of branch files.  ``journal.lck`` must be held.

        The contents are on the disk before they get their names; the names are not synced: what a
        power cut takes of them was true, and is found out again.
        """
        if not contents:
            return
        with held(self._sharing, self._layout.othertmp_lock, Hold.SHARED):
            tmp = self._layout.othertmp + b"/"
            for directory in (tmp, self._directory):
                self._sharing.make_directory(directory)
            for path, content in contents.items():
                self._write_one(tmp, to_name(path), content)

    def remove(self, paths: set[bytes]) -> None:
        """Remove journal files whose content is in the branch.  ``journal.lck`` must be held."""
        for path in paths:
            os.unlink(self._directory + to_name(path))

    def _write_one(self, tmp: bytes, name: bytes, content: bytes) -> None:
        # Under journal.lck nobody else uses this name; what a killed writer left is replaced.
        fd = self._sharing.create(tmp + name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC)
        try:
            written = os.write(fd, content)
            while written < len(content):
                written += os.write(fd, content[written:])
            os.fdatasync(fd)
        finally:
            os.close(fd)
        os.rename(tmp + name, self._directory + name)
