"""A program at the other end of three pipes."""

import time
from pathlib import Path

from workers.annex.pipes import Pipes


def test_one_that_has_closed_its_stderr_is_waited_for_without_spinning(tmp_path: Path) -> None:
    """poll() says at once, and for ever, that the other end of a pipe is closed."""
    script = "exec 2>&-; read nothing; sleep 1"
    pipes = Pipes(("sh", "-c", script), cwd=tmp_path, silence_s=30)
    before = time.process_time()

    pipes.close()

    assert time.process_time() - before < 0.1
