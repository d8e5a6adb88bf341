"""Whether a path answers is asked by a child, which may hang."""

import os
import signal
from pathlib import Path

import pytest

from tests.hanging import hanging, needs_fuse
from tests.processes import alive, python, reap, run
from workers.probes import Probes

ASK = """
import sys
from contextlib import closing
from pathlib import Path
from workers.probes import Probes
with closing(Probes.of_command(0.5)) as probes:
    print(probes.answers(Path(sys.argv[1])))
"""


def descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


def children() -> set[int]:
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        return set(map(int, file.read().split()))


@needs_fuse
@pytest.mark.timeout(30)
def test_what_a_command_says_of_a_dead_disk_can_be_piped(tmp_path: Path) -> None:
    """Observed: ``annexd status | less`` never ended, for the child that hung had the pipe, too."""
    with hanging(tmp_path / "mnt"):
        assert run(python(ASK, tmp_path / "mnt"), timeout_s=10) == b"False\n"
    assert run(python(ASK, tmp_path)) == b"True\n"


@needs_fuse
@pytest.mark.timeout(30)
def test_nothing_stays_behind_of_what_is_not_asked_any_more(tmp_path: Path) -> None:
    """Observed: a descriptor and a zombie for each path that had not answered."""
    with hanging(tmp_path / "mnt"):
        before, others = descriptors(), children()
        probes = Probes.of_command(0.2)
        assert not probes.answers(tmp_path / "mnt")
        assert not probes.answers(tmp_path / "mnt")
        [hanging_on] = children() - others
        probes.close()
        assert descriptors() == before
    assert reap(hanging_on) == -signal.SIGKILL


def test_one_that_answers_late_is_ended_and_nobody_waits_for_it(tmp_path: Path) -> None:
    before, others = descriptors(), children()
    reading, writing = os.pipe()
    probes = Probes(0.1)
    assert probes.ask(tmp_path, lambda: os.read(reading, 1), {reading}) is None
    [late] = children() - others

    probes.close()

    assert not alive(late)
    os.close(reading)
    os.close(writing)
    assert descriptors() == before
