"""What a client asks of ``annexd shell``, and what the account's owner allows it.

The words come from ``SSH_ORIGINAL_COMMAND`` or ``-c``, so from another machine.  They are taken
apart here, as a POSIX shell would quote them, and never reach a shell.

Pure.  Source: git-annex-shell(1); git-annex-formats.md §8.2.
"""

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self, final

from spool.transfer import UUID, parse_uuid

PROGRAMS: Final = frozenset(("git-annex-shell", "annexd"))
GIT_COMMANDS: Final = frozenset(("git-upload-pack", "git-receive-pack"))
_GIT_WORDS: Final = 2
_P2P_PARAMETERS: Final = 2
_END_OF_PARAMETERS: Final = "--"


class RequestError(Exception):
    """It cannot be done, or may not; the text goes to the client's stderr."""

    exit_status = 1


@final
@dataclass(frozen=True, slots=True)
class Request:
    """One command."""

    words: tuple[str, ...]
    """The command and all that follows, for the real git-annex-shell to read itself."""

    of_git: bool
    """It is git's (``git-upload-pack``…), and no command of git-annex-shell."""

    parameters: tuple[str, ...] = ()
    """Without the command, up to options and fields; the first is the repository."""

    uuid: str | None = None
    """``--uuid``: which repository the client means to find there."""

    @property
    def command(self) -> str:
        """Its first word."""
        return self.words[0]

    def client(self) -> UUID:
        """Of ``p2pstdio``: which repository asks."""
        if len(self.parameters) != _P2P_PARAMETERS:
            raise RequestError("missing UUID parameter")
        try:
            return parse_uuid(os.fsencode(self.parameters[1]))
        except ValueError as wrong:
            raise RequestError(str(wrong)) from wrong

    @classmethod
    def parse(cls, arguments: Sequence[str], original: str | None) -> Self:
        """From the command line, or else from ``SSH_ORIGINAL_COMMAND``."""
        if list(arguments[:1]) == ["-c"]:
            return cls._of_line(" ".join(arguments[1:]))
        if arguments:
            return cls._of_words(arguments)
        if original:
            return cls._of_line(original)
        raise RequestError("no command: it is for git-annex to call, by ssh; see docs/SHELL.md")

    @classmethod
    def _of_line(cls, line: str) -> Self:
        """A command line as ssh passes it on: a program and its arguments, or one of git's."""
        try:
            words = shlex.split(line)
        except ValueError as wrong:
            raise RequestError(f"bad quoting: {wrong}") from wrong
        if words and os.path.basename(words[0]) in PROGRAMS:
            named_shell = os.path.basename(words[0]) == "annexd" and words[1:2] == ["shell"]
            return cls._of_words(words[2 if named_shell else 1 :])
        if words[:1] == ["git"]:  # `git upload-pack` is what some clients say
            words = [f"git-{words[1]}", *words[2:]] if len(words) > 1 else words
        if not words:
            raise RequestError("no command")
        return cls._of_git(words)

    @classmethod
    def _of_git(cls, words: Sequence[str]) -> Self:
        if words[0] in GIT_COMMANDS and len(words) != _GIT_WORDS:
            raise RequestError("bad parameters")
        return cls(tuple(words), of_git=True, parameters=tuple(words[1:]))

    @classmethod
    def _of_words(cls, words: Sequence[str]) -> Self:
        if list(words[:1]) == ["-c"]:
            return cls._of_line(" ".join(words[1:]))
        if not words:
            raise RequestError("no command")
        if words[0] in GIT_COMMANDS:
            return cls._of_git(words)
        parameters: list[str] = []
        uuid = None
        rest = iter(words[1:])
        for word in rest:
            if word == _END_OF_PARAMETERS:
                break
            if word == "--uuid":
                uuid = next(rest, None)
            elif word.startswith("--uuid="):
                uuid = word.removeprefix("--uuid=")
            elif not word.startswith("--"):  # no other option means anything to what we serve
                parameters.append(word)
        return cls(tuple(words), of_git=False, parameters=tuple(parameters), uuid=uuid)


@final
@dataclass(frozen=True, slots=True)
class Allowance:
    """What the environment forbids; set by whoever wrote the line in ``authorized_keys``."""

    read_only: bool
    append_only: bool
    limited: bool
    directory: str | None
    """The only repository that may be asked for."""

    @classmethod
    def parse(cls, environ: Mapping[str, str]) -> Self:
        """From ``GIT_ANNEX_SHELL_*``: set, to anything but nothing, is yes (even to ``0``)."""
        return cls(
            read_only=bool(environ.get("GIT_ANNEX_SHELL_READONLY")),
            append_only=bool(environ.get("GIT_ANNEX_SHELL_APPENDONLY")),
            limited=bool(environ.get("GIT_ANNEX_SHELL_LIMITED")),
            directory=environ.get("GIT_ANNEX_SHELL_DIRECTORY") or None,
        )

    def check_git(self, request: Request) -> None:
        """Raise if a command of git's may not be run.

        The stock git-annex-shell lets a read-only client push, as it leaves git to git-shell.  We
        do not.
        """
        if self.limited:
            raise RequestError("Action blocked by GIT_ANNEX_SHELL_LIMITED")
        if self.read_only and request.command == "git-receive-pack":
            raise RequestError("Action blocked by GIT_ANNEX_SHELL_READONLY")

    def located(self, directory: str, home: str) -> str:
        """The absolute path that a client's directory means; raises if it is not allowed.

        With a restriction, links are resolved first and it is the resolved path that is used, so
        that what was checked is what is opened.
        """
        path = expand(directory, home)
        if self.directory is None:
            return path
        only = os.path.realpath(expand(self.directory, home))
        real = os.path.realpath(path)
        if real != only:
            raise RequestError(f"Only allowed to access {self.directory} not {directory}")
        return real


def expand(directory: str, home: str) -> str:
    """``~``, ``/~`` (as in ``ssh://host/~/annex``) and relative paths begin at home."""
    if directory.startswith("/~"):
        directory = directory[1:]
    if directory == "~" or directory.startswith("~/"):
        directory = home + directory[1:]
    return os.path.join(home, os.path.expanduser(directory))
