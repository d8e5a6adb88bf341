"""A program at the other end of three pipes."""

import time
from pathlib import Path

import pytest

from tests.processes import alive
from workers.annex import pipes as module
from workers.annex.pipes import Pipes


def test_one_that_has_closed_its_stderr_is_waited_for_without_spinning(tmp_path: Path) -> None:
    """poll() says at once, and for ever, that the other end of a pipe is closed."""
    script = "exec 2>&-; read nothing; sleep 1"
    pipes = Pipes(("sh", "-c", script), cwd=tmp_path, silence_s=30)
    before = time.process_time()

    pipes.close()

    assert time.process_time() - before < 0.1


def test_one_that_has_closed_its_stdout_and_lives_on_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an ssh does whose command has: whoever hung up waited for its end for ever."""
    monkeypatch.setattr(module, "CLOSE_S", 0.5)
    pipes = Pipes(("sh", "-c", "exec >&-; exec sleep 1000"), cwd=tmp_path, silence_s=30)

    pipes.close()

    assert not alive(pipes.pid)
