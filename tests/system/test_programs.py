"""A daemon that becomes a newer program of itself."""

import signal
from pathlib import Path

import pytest

from tests.processes import python, running
from tests.repo import Repo

BECOME = """
import os, signal, sys
from pathlib import Path
from annexd.programs import become_new
from annexd.repository import find_place
early, directory, log = sys.argv[1:]
asked = []
signal.signal(signal.SIGTERM, lambda *_: asked.append(True))
execve = os.execve
def late(*args):
    os.kill(os.getpid(), signal.SIGTERM)
    execve(*args)
os.execve = late
if early == "early":
    os.kill(os.getpid(), signal.SIGTERM)
become_new(find_place(Path(directory)), Path(log), lambda: bool(asked))
"""


@pytest.mark.parametrize(("when", "status"), [("early", 0), ("late", -signal.SIGTERM)])
def test_who_is_to_stop_just_then_does_not_start_again(
    repo: Repo, tmp_path: Path, when: str, status: int
) -> None:
    """``annexd stop`` came between the last look and the new program, and was forgotten."""
    with running(python(BECOME, when, repo.path, tmp_path / "log"), repo.path) as process:
        assert process.wait(30) == status
    assert not (repo.path / ".git/annex/annexd/lock").exists()
