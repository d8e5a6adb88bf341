"""Whether a path answers is asked by a child, which may hang."""

from pathlib import Path

import pytest

from tests.hanging import hanging, needs_fuse
from tests.processes import python, run

ASK = """
import sys
from pathlib import Path
from annexd.answering import answers
print(answers(Path(sys.argv[1]), 0.5))
"""


@needs_fuse
@pytest.mark.timeout(30)
def test_what_a_command_says_of_a_dead_disk_can_be_piped(tmp_path: Path) -> None:
    """Observed: ``annexd status | less`` never ended, for the child that hung had the pipe, too."""
    with hanging(tmp_path / "mnt"):
        assert run(python(ASK, tmp_path / "mnt"), timeout_s=10) == b"False\n"
    assert run(python(ASK, tmp_path)) == b"True\n"
