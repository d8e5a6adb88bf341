"""``git annex export`` and ``git annex import``: a special remote that holds a tree of files.

One process for each, which git-annex's own locks keep from another's way.  It is told to report
each file, and how far it is with it, and is killed when it has neither said nor done anything for a
while.  Killed at any moment, it leaves what the next one takes up: git-annex notes file by file
what has been exported, and an import moves its ref at the very end.

DIAGNOSTICS: ``AnnexEndedError`` with git-annex's words if it did not even begin (no credentials,
no such remote); ``AnnexTimeoutError``, one of those, when it was killed.  What could not be done
with single files is a value.
"""

import json
import os
from dataclasses import dataclass, field
from typing import Final, final

from workers.annex.activity import Activity
from workers.annex.repository import Repository
from workers.annex.stream import AnnexEndedError, AnnexStream, AnnexTimeoutError

LACKING: Final = "not available"
"""What git-annex notes of a file whose content is not in this repository."""

REFUSED_MAX: Final = 3
LACKING_MAX: Final = 1000
_LOOK_S: Final = 5.0
_END_S: Final = 60.0


@final
@dataclass(slots=True)
class Told:
    """What git-annex said of the files."""

    done: int = 0
    failures: int = 0
    refused: list[str] = field(default_factory=list)
    """The first of the failures, for a person."""

    lacking: list[bytes] = field(default_factory=list)
    """Files that could not be exported because their content is not here; the first of them."""

    def hear(self, line: bytes) -> None:
        """Take in one line of its output."""
        try:
            answer = json.loads(line.decode(errors="surrogateescape"))
            success, file = answer.get("success"), str(answer.get("file") or "")
            messages = [str(each) for each in answer.get("error-messages") or ()]
        except (ValueError, TypeError, AttributeError):
            return  # a word for people
        if success is True:
            self.done += 1
        elif success is False and answer.get("note") == LACKING:
            if len(self.lacking) < LACKING_MAX:
                self.lacking.append(os.fsencode(file))
        elif success is False:
            self.failures += 1
            if len(self.refused) < REFUSED_MAX:
                said = " / ".join(dict.fromkeys(messages)) or str(answer.get("note") or "")
                self.refused.append(f"{file}: {said or 'no reason given'}" if file else said)


def export_tree(repository: Repository, remote: str, tree: bytes, silence_s: float) -> Told:
    """Make ``remote`` hold what is wanted there of ``tree`` (``main``, ``main:sub``)."""
    return _run(repository, ("export", "--to", remote, tree), silence_s)


def import_tree(
    repository: Repository, remote: str, tree: bytes, silence_s: float, options: tuple[str, ...]
) -> Told:
    """Commit what ``remote`` holds to ``refs/remotes/REMOTE/BRANCH``, as a change of ``tree``."""
    return _run(repository, ("import", "--from", remote, *options, tree), silence_s)


def _run(repository: Repository, args: tuple[str | bytes, ...], silence_s: float) -> Told:
    told = Told()
    options = ("--json", "--json-progress", "--json-error-messages")
    with AnnexStream(repository, args[0], *options, *args[1:]) as stream:
        stream.finish()
        activity = Activity(stream.pid)
        while True:
            try:
                lines = stream.wait(min(_LOOK_S, silence_s))
            except AnnexEndedError:
                break
            for line in lines:
                told.hear(line)
                activity.heard()
            if not lines and activity.idle_s() > silence_s:
                stream.kill()
                raise AnnexTimeoutError(f"stalled: nothing happened for {silence_s:.0f} s")
        if stream.wait_for_end(_END_S) != 0 and not (told.failures or told.lacking):
            raise stream.ended()
    return told
