"""Names are bytes: whatever a file is called, it is synced, and the log stays readable."""

import os
import re

import pytest

from tests.daemons import Fleet
from tests.faults.seeds import CountTrials
from tests.processes import stays
from tests.repo import Repo
from tests.scenarios.forms import FORMS, adopt
from tests.scenarios.names import DEEP, HOSTILE
from tests.synced import synced

FEW = 20
"""As many deletions as are made without being held."""


def readable(log: str) -> bool:
    """Whether a log can be shown on a terminal: no control characters but newline and tab."""
    return not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", log)


@pytest.mark.parametrize("form", FORMS)
def test_files_of_every_name_are_added_edited_renamed_and_deleted(
    pair: tuple[Repo, Repo], fleet: Fleet, form: str, count_trials: CountTrials
) -> None:
    count_trials(4 * len(HOSTILE))
    adopt(form, *pair)
    a, b = pair
    fleet.serve(a, b)

    for name in HOSTILE:
        a.write(name, b"first " + name)
    synced(a, b)
    assert set(b.tree()) == set(HOSTILE)

    for name in HOSTILE:
        b.replace(name, b"second, from b " + name)
    synced(a, b)

    for name, other in zip(HOSTILE, HOSTILE[1:] + HOSTILE[:1], strict=True):
        a.rename(name, other + b".d/" + name if len(other) < 250 else b"long/" + name)
    synced(a, b)

    names = sorted(a.tree())
    while names:
        for name in names[:FEW]:
            b.remove(name)
        del names[:FEW]
        synced(a, b)
    assert a.tree() == {}
    fleet.settle()
    fleet.stop()
    for repo in pair:
        repo.check()
        assert not os.path.lexists(repo.path / "pwned")
    for each in fleet.daemons:
        assert readable(each.log())


EACH = [pytest.param((name,), id=repr(name), marks=pytest.mark.slow) for name in HOSTILE]


@pytest.mark.parametrize("names", [pytest.param(HOSTILE, id="all"), *EACH])
def test_directories_of_every_name(
    pair: tuple[Repo, Repo], fleet: Fleet, names: tuple[bytes, ...]
) -> None:
    """All at once; and one by one, so that a failure names the culprit."""
    a, b = pair
    fleet.serve(a, b)

    for name in names:
        a.write(name + b"/" + name, b"inside")
    synced(a, b)
    for name in names:
        a.rename(name, b"elsewhere/" + name)

    synced(a, b)
    assert set(b.tree()) == {b"elsewhere/" + name + b"/" + name for name in names}


def test_a_path_nearly_as_long_as_the_kernel_allows(pair: tuple[Repo, Repo], fleet: Fleet) -> None:
    a, b = pair
    fleet.serve(a, b)

    a.write(DEEP, b"deep")
    a.write("beside", b"ours")

    synced(a, b)
    assert b.read(DEEP) == b"deep"


@pytest.mark.parametrize("name", [b"git~1", b".git ", b".GIT/config", b"sub/.Git"])
def test_a_name_that_git_refuses_stops_nothing_else(
    pair: tuple[Repo, Repo], fleet: Fleet, name: bytes
) -> None:
    a, b = pair
    fleet.serve(a, b)

    a.write(name, b"git will not have it")
    a.write("beside", b"ours")

    synced(a, b, besides=[name, b".GIT"])
    a.write("afterwards", b"still alive")
    synced(a, b, besides=[name, b".GIT"])
    stays(lambda: name not in a.tree(), 2)


def test_what_is_no_file_is_left_alone(pair: tuple[Repo, Repo], fleet: Fleet) -> None:
    a, b = pair
    fleet.serve(a, b)

    os.mkfifo(a.path / "fifo")
    os.mknod(a.path / "socket", 0o140600)
    a.write("beside", b"ours")

    synced(a, b)
    assert set(a.tree()) == {b"beside"}
    assert (a.path / "fifo").is_fifo()
