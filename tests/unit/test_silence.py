"""Who does not answer, and who is only at work."""

import os
import signal
from pathlib import Path

from annexd.silence import ANSWERS_S, Poke, silence
from spool.state import Activity, State
from tests.processes import forked, wait_until
from tests.spool import NOW, TO, Spool, some_key


def test_who_is_at_a_transfer_answers_when_that_is_done(spool: Spool, tmp_path: Path) -> None:
    """A content may take hours, by a slow line or under a limit."""
    spool.queue.add_many(TO, [(some_key(n), None) for n in range(3)], NOW)
    claimed, late = tmp_path / "claimed", Poke(2, ANSWERS_S + 1)

    def claim_and_wait() -> None:
        with spool.queue.claim(TO, spool.queue.look(NOW).due[TO], NOW, at_most=1):
            claimed.touch()
            signal.pause()

    word = State(Activity.IDLE, 1)
    with forked(claim_and_wait) as worker:
        wait_until(claimed.exists)
        assert silence(worker, word, late, spool.paths) == ""
        assert "does not answer" in silence(os.getpid(), word, late, spool.paths)
