"""A git-annex over ssh that says when refs of its repository have changed.

``git-annex-shell notifychanges DIR`` says ``READY``, then ``CHANGED SHA…`` at once for all refs and
after each change.  What it says is a hint, and never believed.  It ends when its stdin is closed.

Source: git-annex-formats.md §8.2.
"""

import contextlib
import os
import re
import subprocess
from collections.abc import Mapping
from typing import Final, final

from workers.annex import ssh
from workers.annex.p2p import quote
from workers.annex.remoteurl import Ssh
from workers.annex.repository import Repository
from workers.git.run import environment
from workers.git.stream import ObjectId

CHUNK: Final = 1 << 16
READ_MAX: Final = 16
"""Chunks at once: a real one says some bytes for each change; who never stops is hung up on."""

_CHANGED: Final = re.compile(rb"^CHANGED((?: [0-9a-f]{40,64})+)\r?$", re.MULTILINE)


@final
class Notifications:
    """One connection; it belongs to the process that made it."""

    def __init__(self, here: Repository, options: Mapping[str, str], way: Ssh) -> None:
        program = options.get("shell", "git-annex-shell").encode(errors="surrogateescape")
        command = b"%b 'notifychanges' %b" % (program, quote(way.path))
        self._process = subprocess.Popen(
            ssh.to_run(here, options, way, command),
            cwd=here.top,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self._process.stdin is not None  # noqa: S101 -- for mypy: we asked for pipes
        assert self._process.stdout is not None  # noqa: S101
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        self.fd = self._stdout.fileno()
        """Readable when it has something to say, or has ended."""
        os.set_blocking(self.fd, False)
        self._rest = b""

    def read(self) -> set[ObjectId] | None:
        """The objects that it says refs point to now; None when it has ended, or does not stop."""
        found: set[ObjectId] = set()
        for _ in range(READ_MAX):
            try:
                chunk = os.read(self.fd, CHUNK)
            except BlockingIOError:
                return found
            if not chunk:
                return None
            whole, _, self._rest = (self._rest + chunk)[-CHUNK:].rpartition(b"\n")
            for shas in _CHANGED.findall(whole):
                found |= {ObjectId(sha.decode()) for sha in shas.split()}
        return None

    def close(self) -> None:
        """End it."""
        with contextlib.suppress(BrokenPipeError):
            self._stdin.close()
        self._process.kill()
        self._process.wait()
        self._stdout.close()
