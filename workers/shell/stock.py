"""The real git-annex-shell as a child, within a connection, spoken to as any client would.

It removes contents, and judges keys that only git-annex knows.

DIAGNOSTICS: ``RequestError`` if there is none, or if it does not serve us.
"""

import os
from typing import Final, final

from spool.key import Key
from spool.record import escape
from spool.transfer import UUID
from workers.annex.p2p import Peer, RefusedError, Sent
from workers.annex.pipes import EndedError, Pipes
from workers.annex.repository import Repository
from workers.shell.handover import GUARD, find
from workers.shell.request import RequestError

SILENCE_S: Final = 3600.0
"""It hashes a whole content without a word."""


@final
class Stock:
    """A child that serves the same repository; started when it is first needed."""

    def __init__(self, repository: Repository, client: UUID) -> None:
        self._repository = repository
        self._client = client
        self._peer: Peer | None = None

    def close(self) -> None:
        """End it, and wait until it has committed its journal."""
        if self._peer is not None:
            self._peer.close()
            self._peer = None

    def remove(self, key: Key, before: int | None) -> bool:
        """Drop a content, as far as nobody relies on it; whether it is gone."""
        peer = self._started()
        try:
            return peer.remove(key, before)
        except (RefusedError, EndedError) as failed:  # it ends when the content is locked
            self._give_up(failed)
            return False

    def finish_put(self, key: Key, name: bytes) -> bool:
        """Have the tmp object of a key judged and stored; whether it was."""
        temporary = self._repository.layout.tmp_object(key)
        peer = self._started()
        try:
            with open(temporary, "rb") as file:
                content = _Complete(file.fileno(), os.fstat(file.fileno()).st_size)
                return peer.put(key, name, content).sent is not Sent.REJECTED
        except (RefusedError, EndedError) as failed:
            self._give_up(failed)
            return False

    def _give_up(self, failed: Exception) -> None:
        """The next time another one is started; the client shows its user why."""
        os.write(2, f"annexd: {escape(str(failed))}\n".encode())
        if self._peer is not None:
            self._peer.kill()
            self._peer = None

    def _started(self) -> Peer:
        if self._peer is None:
            top = os.fsencode(self._repository.top)
            ours = self._repository.uuid
            argv = (find(), "p2pstdio", top, self._client, "--uuid", ours)
            try:
                pipes = Pipes(argv, cwd=self._repository.top, silence_s=SILENCE_S, env={GUARD: "1"})
                self._peer = Peer(pipes, ours)
            except EndedError as ended:
                raise RequestError(str(ended)) from ended
        return self._peer


@final
class _Complete:
    """A content that is here already, so that nothing is left to send."""

    def __init__(self, fd: int, size: int) -> None:
        self.fd = fd
        self.size = size

    def piece(self) -> int:
        """As much as there is."""
        return self.size

    def resume(self, there: int) -> None:
        """Nothing is sent."""

    def advance(self, done: int) -> None:
        """Nobody looks."""

    def unchanged(self) -> bool:
        """Nobody else has the lock under which it is written."""
        return True
