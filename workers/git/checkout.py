"""Blobs as files of the work tree have them: line ends, encodings, filters of the user's.

Most files need no conversion, and are written as they are; whether one does, its attributes say.
git-annex's own filter is never run: what it would do is done by whoever calls this.

Sources: gitattributes(5); git-config(1), core.autocrlf; git-cat-file(1), --filters.
"""

from typing import Final, final

from workers.git.attributes import CheckAttributes
from workers.git.run import Git, run
from workers.git.settings import Settings
from workers.git.stream import ObjectId, StreamEndedError

TIMEOUT_S: Final = 600.0
"""For one file: a filter of the user's may fetch it.  Nothing else is done meanwhile."""

_ATTRIBUTES: Final = ("text", "eol", "crlf", "ident", "filter", "working-tree-encoding")
_IDLE: Final = frozenset((b"unset", b"unspecified"))
_ANNEX: Final = b"annex"
_WITHOUT_ANNEX: Final = (
    "filter.annex.smudge=",
    "filter.annex.clean=",
    "filter.annex.process=",
    "filter.annex.required=false",
)


@final
class Checkout:
    """Converts blobs of one repository, with its attributes as they are now.  ``close`` it."""

    def __init__(self, git: Git, settings: Settings) -> None:
        self._git = git
        autocrlf = (settings.get("core.autocrlf") or b"").lower()
        self._crlf = autocrlf not in (b"", b"input") and settings.flag("core.autocrlf") is not False
        self._native_crlf = (settings.get("core.eol") or b"").lower() == b"crlf"
        self._asked: CheckAttributes | None = None

    def close(self) -> None:
        """End the process that reads attributes."""
        if self._asked is not None:
            self._asked.close()
            self._asked = None

    def converts(self, path: bytes) -> bool:
        """Whether the file at a path differs from its blob, or may."""
        if self._asked is None:
            self._asked = CheckAttributes(self._git, *_ATTRIBUTES)
        try:
            return any(self._differs(values) for values in self._asked.ask((path,)))
        except StreamEndedError:  # a path that git cannot be asked about has no attributes
            self.close()
            return False

    def write_blob(self, oid: ObjectId, fd: int) -> None:
        """Write a blob as it is, however large."""
        self._write(self._git, fd, "cat-file", "blob", oid)

    def write_converted(self, oid: ObjectId, path: bytes, fd: int) -> None:
        """Write what ``git checkout`` would write to ``path``.  Raises ``GitError``.

        A filter that does not end in ``TIMEOUT_S`` is ended, and raises ``GitTimeoutError``.
        """
        git = Git(self._git.gitdir, self._git.worktree, _WITHOUT_ANNEX)
        self._write(git, fd, "cat-file", "--filters", b"--path=" + path, oid)

    def _differs(self, values: dict[str, bytes]) -> bool:
        if values["filter"] not in (_ANNEX, *_IDLE):
            return True
        if values["ident"] == b"set" or values["working-tree-encoding"] not in (*_IDLE, b"set"):
            return True
        text, eol = values["text"], values["eol"]
        if text == b"unset" or (text == b"unspecified" and values["crlf"] == b"unset"):
            return False
        if eol == b"crlf" or values["crlf"] == b"set":
            return True
        if eol == b"lf":
            return False
        return self._crlf or (self._native_crlf and text != b"unspecified")

    @staticmethod
    def _write(git: Git, fd: int, *args: str | bytes) -> None:
        run(git.argv(*args), cwd=git.worktree or git.gitdir, stdout=fd, timeout_s=TIMEOUT_S)
