"""What the harness promises of itself: each class is there, and its lists follow the code."""

import re
import string
from pathlib import Path

import pytest

from tests.faults import series, transactions
from tests.faults.mutations import ALL, Mutation
from tests.faults.seeds import kept
from tests.faults.torture import CLASSES

TOP = Path(__file__).parents[2]
REPORT = """<?xml version="1.0" encoding="utf-8"?>
<testsuites><testsuite>
<testcase file="a.py" name="one"><properties><property name="trials" value="30"/></properties>
</testcase>
<testcase file="a.py" name="two"/>
<testcase file="a.py" name="three"><failure message="no">told</failure></testcase>
<testcase file="b.py" name="four"><error message="in a fixture">told</error></testcase>
<testcase file="b.py" name="five"><skipped message="not root"/></testcase>
</testsuite></testsuites>
"""


def test_every_class_of_faults_can_be_run_by_one_command() -> None:
    assert {*CLASSES, *series.ALL} == {*string.ascii_uppercase[: ord("T") - ord("A") + 1], "Y"}


@pytest.mark.parametrize("fault", series.ALL)
def test_the_tests_of_a_class_are_there(fault: str) -> None:
    one = series.ALL[fault]
    files = [TOP / "tests" / each.partition("::")[0] for each in one.tests]
    text = "".join(file.read_text() for file in files)

    for each in one.tests:
        assert f"def {each.partition('::')[2]}" in text
    for name in one.always:
        assert f"def {name.partition('[')[0]}" in text


def test_a_round_tells_its_trials_and_what_failed() -> None:
    played = series.read(REPORT)

    assert played.trials == 31
    assert played.failed == ("a.py::three", "b.py::four")
    assert played.skipped == ("b.py::five: not root",)


FLAKE = """
import os
from pathlib import Path

def test_that_passes_alone(request):
    assert "PYTEST_XDIST_WORKER" not in os.environ, "said by the test"

def test_that_never_passes():
    assert os.environ["ANNEXD_SEED"] != "7"

def test_that_counts(record_property):
    record_property("trials", 30)
"""


def test_what_fails_is_tried_again_alone_and_what_it_said_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "test_flake.py"
    file.write_text(FLAKE)
    monkeypatch.setitem(series.ALL, "C", series.Series("flakes", 1, "trials", (str(file),)))
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)  # we may be one ourselves

    played = series.play("C", 7, tmp_path / "home", jobs=2)

    assert played.trials == 30
    names = [name.partition("::")[2] for name in played.failed]
    assert sorted(names) == ["test_that_never_passes", "test_that_passes_alone"]
    assert [name.partition("::")[2] for name in played.again or ()] == ["test_that_never_passes"]
    assert len(played.slowest) == 3
    assert "said by the test" in (tmp_path / "home/all/pytest.txt").read_text()


def test_what_is_kept_is_of_a_class() -> None:
    assert {each.fault for each in kept()} <= {*CLASSES, *series.ALL}


@pytest.mark.parametrize("mutation", ALL, ids=lambda mutation: mutation.what)
def test_what_a_mutation_breaks_is_still_there(mutation: Mutation) -> None:
    assert (TOP / mutation.file).read_text().count(mutation.old) == 1
    for each in mutation.tests:
        file, _, chosen = each.partition(" -k ")
        names = re.findall(r"^def (test_\w+)", (TOP / file).read_text(), re.MULTILINE)
        assert not chosen or any(chosen in name for name in (*names, *transactions.ALL))
