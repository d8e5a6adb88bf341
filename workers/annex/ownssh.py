"""The user's own way to call ssh: for git, for contents, for news; and what may be added to it.

It is called as it is, but for one case: where it is OpenSSH with options, connections are shared.
ssh is asked first what holds for the destination, and what the user has chosen stays: a socket of
his own means that nothing is shared here, and of timeouts only those are added that he has not set.

Source: git-config(1), "core.sshCommand"; ssh(1), "-G"; ssh_config(5), whose first value counts.
"""

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self, final

from workers.annex.repository import Repository
from workers.git.run import GitError, environment, run

ASK_S: Final = 5.0
"""A configuration may run programs (``Match exec``)."""

_OF_A_SHELL: Final = frozenset(";&|<>()`\n")
"""With these it is more than one command, or not for us to understand."""

_OPTIONS: Final = re.compile(r"-[46AaCgKkqTtXxYy]*([BbcEeFIiJlmoPp]?)(.*)", re.DOTALL)
"""Those without values, then perhaps one that has: in the same word, or in the next.

Only what says how to connect: not ``-S``, ``-M``, ``-W``…; and not ``-v``, with which a master
keeps the stderr of who started it, who then waits for its end.
"""

_UNSET: Final = {"connecttimeout": "none", "serveraliveinterval": "0"}


@final
@dataclass(frozen=True, slots=True)
class OwnSsh:
    """A command, as a shell reads it."""

    text: str

    @classmethod
    def of(cls, here: Repository) -> Self | None:
        """What git would call, in git's order; None if that is just ssh."""
        known = environment()
        command = known.get("GIT_SSH_COMMAND") or here.settings.get("core.sshcommand")
        if command:
            return cls(command)
        program = known.get("GIT_SSH")
        return cls(shlex.quote(program)) if program else None

    def argv(self, *args: str) -> tuple[str, ...]:
        """The command line to run; ``args`` are the destination and what comes after it."""
        return ("sh", "-c", f'{self.text} "$@"', "ssh", *args)

    def but(self, options: Sequence[str]) -> Self:
        """The same command with options appended; what it sets itself comes first, and counts."""
        return type(self)(f"{self.text} {shlex.join(options)}")

    def is_shareable(self) -> bool:
        """Whether it is ssh with options and nothing else, of which none is about sharing."""
        if _OF_A_SHELL & set(self.text):
            return False
        try:
            program, *words = shlex.split(self.text)
        except ValueError:  # a quote is open, or nothing is there
            return False
        return os.path.basename(program) == "ssh" and _are_options(words)

    def settings(self, destination: Sequence[str], cwd: Path) -> Mapping[str, str]:
        """What ssh says holds for a destination, by names in lower case; nothing if it is none."""
        try:
            said = run(self.argv("-G", *destination), cwd=cwd, timeout_s=ASK_S)
        except GitError:
            return {}
        lines = (line.partition(" ") for line in said.decode(errors="replace").splitlines())
        return {name: value for name, _, value in lines}

    def shared(
        self, destination: Sequence[str], cwd: Path, sharing: Sequence[str], timeouts: Sequence[str]
    ) -> Self | None:
        """The same with shared connections, and timeouts as far as he has set none.

        None if it is to be called as it is.
        """
        if not self.is_shareable():
            return None
        held = self.settings(destination, cwd)
        if not _UNSET.keys() <= held.keys():  # it has ssh's name, and is another program
            return None
        if held.get("controlpath", "none") != "none":
            return None
        wanted = [each for each in timeouts if _is_unset(each, held)]
        return self.but([*sharing, *(word for each in wanted for word in ("-o", each))])


def _are_options(words: Sequence[str]) -> bool:
    """Whether no word is a destination, and none is about sharing."""
    rest = iter(words)
    for word in rest:
        said = _OPTIONS.fullmatch(word)
        if said is None or word == "-" or (said[2] and not said[1]):
            return False
        value = said[2] or (next(rest, None) if said[1] else "")
        if value is None or value.lower().startswith("control"):
            return False
    return True


def _is_unset(option: str, held: Mapping[str, str]) -> bool:
    """``ServerAliveCountMax`` goes with the interval: without, it means nothing."""
    name = option.partition("=")[0].lower()
    asked = "serveraliveinterval" if name.startswith("serveralive") else name
    return held.get(asked) == _UNSET.get(asked, "")
