"""Questions that are left to git-annex, each kind answered by a process that stays open.

They return None when there is no answer: git-annex died of the question, or took too long (an
unusable glob in a preferred content expression makes it hang).  A process that failed is
replaced at the next question.

Source: git-annex-formats.md §10, tried with 10.20261026.
"""

from collections.abc import Sequence
from typing import Final, Self, final

from spool.transfer import UUID
from workers.annex.repository import Repository
from workers.annex.stream import AnnexEndedError, AnnexStream

TIMEOUT_S: Final = 60.0
"""For one answer; the first one may include merging the git-annex branch."""


@final
class Asked:
    """One kind of question, and the process that answers it."""

    def __init__(self, repository: Repository, *args: str | bytes) -> None:
        self._repository = repository
        self._args = args
        self._stream: AnnexStream | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def ask(self, question: bytes) -> bytes | None:
        """The answer's line; None if there is none."""
        try:
            if self._stream is None:
                self._stream = AnnexStream(self._repository, *self._args)
            return self._stream.ask(question, TIMEOUT_S)
        except AnnexEndedError:
            self.close()
            return None

    def close(self) -> None:
        """End the process; another is started when one is needed.

        To be called when settings change that git-annex reads only once.
        """
        if self._stream is not None:
            self._stream.close()
            self._stream = None


@final
class Wants:
    """Whether a repository wants files, for expressions that are not ours to read.

    Only for a repository that has an expression: one without wants everything, but is said here to
    want nothing.  git-annex cannot look up a path with a newline, so there is no answer for those.
    """

    def __init__(self, repository: Repository, uuid: UUID, *, is_here: bool) -> None:
        want = b"--want-get" if is_here else b"--want-get-by=" + uuid
        # Not -z: then git-annex answers a question only when it has the next one.
        self._asked = Asked(repository, "find", "--batch", "--json", want)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def any_of(self, paths: Sequence[bytes]) -> bool | None:
        """Whether it wants the content of one of these files; None if nobody knows."""
        answers = [self._one(path) for path in paths]
        return True if True in answers else None if None in answers else False

    def close(self) -> None:
        """End the process: preferences have changed, or nobody will ask for a while."""
        self._asked.close()

    def _one(self, path: bytes) -> bool | None:
        if b"\n" in path:
            return None
        answer = self._asked.ask(path + b"\n")
        return None if answer is None else answer != b""
