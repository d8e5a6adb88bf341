"""Becoming the real git-annex-shell: for commands and repositories that are not ours to serve.

DIAGNOSTICS: ``RequestError`` if there is none.
"""

import os
import shutil
from typing import Final, NoReturn

from workers.shell.request import Request, RequestError

PROGRAM: Final = "git-annex-shell"
GUARD: Final = "ANNEXD_SHELL_HANDED_OVER"
"""Set for what we start: a ``git-annex-shell`` that is us by another name does so only once."""


def find() -> str:
    """Where it is; not a link to ourselves, and not asked for by one that is ourselves."""
    if os.environ.get(GUARD):
        raise RequestError(f"this needs {PROGRAM}, and the one that is installed is annexd's")
    for directory in os.get_exec_path():
        path = shutil.which(PROGRAM, path=directory)
        if path is not None and os.path.basename(os.path.realpath(path)) != "annexd":
            return path
    raise RequestError("this needs git-annex-shell, which is not installed here")


def hand_over(request: Request) -> NoReturn:
    """Become the real git-annex-shell; it checks the restrictions again, itself."""
    words = request.words
    argv = [PROGRAM, "-c", _quoted(words)] if request.of_git else [PROGRAM, *words]
    program = find()
    os.execve(program, argv, {**os.environ, GUARD: "1"})  # noqa: S606 -- no shell is the point


def _quoted(words: tuple[str, ...]) -> str:
    """As git quotes: the command bare, its arguments in single quotes."""
    return " ".join((words[0], *("'" + word.replace("'", "'\\''") + "'" for word in words[1:])))
