"""git's hooks around a commit, for users who have some of their own.

git-annex's own ``pre-commit`` is not run: what it does for links that were moved is done already.

DIAGNOSTICS: ``HookRefusedError`` when one of them says no, with the last of what it said.
"""

import logging
import os
from typing import Final, final

from workers.git.run import GitError, run
from workers.watcher.desk import Desk

log = logging.getLogger(__name__)

TIMEOUT_S: Final = 60.0
"""How long a hook may take."""
_STOCK: Final = b"#!/bin/sh\n# automatically configured by git-annex\ngit annex pre-commit .\n"
_BEFORE: Final = ("pre-commit", "prepare-commit-msg", "commit-msg")
AFTER: Final = "post-commit"


class HookRefusedError(Exception):
    """A hook does not want this commit."""


@final
class Hooks:
    """The hooks of one repository, as they are now."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    @property
    def any_before(self) -> bool:
        """Whether a commit has to be shown to a hook first."""
        return any(map(self._is_own, _BEFORE))

    def ask(self, message: bytes) -> bytes:
        """Show a commit, staged in the index, to the hooks; the message as they leave it."""
        file = os.path.join(self._desk.gitdir, b"COMMIT_EDITMSG")
        with open(file, "wb") as out:
            out.write(message)
        self._run("pre-commit")
        self._run("prepare-commit-msg", os.fsdecode(file), "message")
        self._run("commit-msg", os.fsdecode(file))
        with open(file, "rb") as edited:
            return edited.read()

    def tell(self) -> None:
        """Tell the hook that wants to know of commits."""
        try:
            self._run(AFTER)
        except HookRefusedError as failure:
            log.warning("hook %s failed: %s", AFTER, failure)

    def _run(self, name: str, *args: str) -> None:
        if not self._is_own(name):
            return
        rest = ("--", *args) if args else ()
        try:
            run(
                (*self._git(), "hook", "run", "--ignore-missing", name, *rest),
                cwd=self._desk.place.worktree,
                timeout_s=TIMEOUT_S,
            )
        except GitError as failure:
            said = failure.stderr.decode(errors="backslashreplace").strip().splitlines()
            raise HookRefusedError(f"{name}: {said[-1] if said else failure.status}") from failure

    def _git(self) -> tuple[str | bytes, ...]:
        """Told of no repository, if it finds this one by itself.

        What it is told it tells its hooks (GIT_DIR), and a ``git`` in one that has gone to another
        repository would work on ours.  ``git commit``, where it is run by hand, does not.
        """
        desk = self._desk
        finds = os.path.lexists(desk.full(b".git")) and desk.settings.get("core.worktree") is None
        return ("git",) if finds else desk.git.argv()

    def _is_own(self, name: str) -> bool:
        path = self._desk.repository.hook(name)
        if path is None:
            return False
        try:
            return path.read_bytes() != _STOCK
        except OSError:  # gone since, or not readable: git will say
            return True
