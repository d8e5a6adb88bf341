"""``annexd doctor`` and ``annexd demo``."""

import os
import re
import time
from pathlib import Path

import pytest

from annexd.features import probe
from tests.processes import run_to_end, wait_until
from tests.system.conftest import CLI, Annexd


def test_all_is_well(annexd: Annexd) -> None:
    before = set(annexd.repo.path.rglob("*"))

    ended = annexd("doctor")

    assert ended.status == 0, ended
    assert b"WRONG" not in ended.stdout
    for word in (b"git-annex 10.", b"inotify watches: 257 needed", b"record locks", b"MB are free"):
        assert word in ended.stdout
    assert {path.name for path in set(annexd.repo.path.rglob("*")) - before} == {"annexd", "tmp"}


def test_whether_it_is_confined_is_told(annexd: Annexd) -> None:
    assert b"annexd has no sandbox" in annexd("doctor").stdout
    confined = ["setpriv", "--no-new-privs", *CLI, "start"]
    env = {"TINY_ROLES": "obey"}

    assert run_to_end(confined, cwd=annexd.repo.path, env=env).status == 0

    assert b"confined by what has started it: no new privileges" in annexd("doctor").stdout


@pytest.mark.parametrize("name", ["index.lock", "refs/heads/main.lock"])
def test_a_lock_that_a_killed_git_has_left_is_told_and_one_in_use_is_not(
    annexd: Annexd, name: str
) -> None:
    path = annexd.repo.path / ".git" / name
    path.touch()
    assert annexd("doctor").status == 0  # it is new
    os.utime(path, (time.time() - 1000, time.time() - 1000))

    ended = annexd("doctor")
    assert ended.status == 1
    assert f"mend it: rm {path}\n" in ended.stdout.decode()

    with path.open():
        assert annexd("doctor").status == 0


def test_the_assistant_in_the_way_is_told(annexd: Annexd) -> None:
    annexd.repo.annex("assistant")
    try:
        wait_until(annexd.runs)
        ended = annexd("doctor")
        assert ended.status == 1
        assert b"so annexd cannot\n      mend it: git annex assistant --stop" in ended.stdout
    finally:
        annexd.repo.annex("assistant", "--stop")
        wait_until(lambda: not annexd.runs())


def test_too_few_watches_are_told_with_the_command(annexd: Annexd) -> None:
    """In a user namespace of its own, where the limit can be lowered without harm."""
    for number in range(50):
        (annexd.repo.path / f"d{number}" / "below").mkdir(parents=True)
    (annexd.repo.path / "nested/.git").mkdir(parents=True)
    (annexd.repo.path / "nested/many").mkdir()
    limited = 'echo 200 >/proc/sys/user/max_inotify_watches && exec "$@"'
    inside = ("unshare", "-Ur", "sh", "-c", limited, "sh")
    if run_to_end((*inside, "true")).status:
        pytest.skip("user namespaces are not allowed on this machine")

    ended = run_to_end((*inside, *CLI, "doctor"), cwd=annexd.repo.path)

    needed = 256 + 1 + 100
    assert f"inotify watches: {needed} needed here" in ended.stdout.decode()


def test_outside_of_a_repository_the_machine_alone_is_looked_at(tmp_path: Path) -> None:
    ended = run_to_end((*CLI, "doctor", tmp_path))

    assert ended.status == 1
    assert b"ok    git-annex 10." in ended.stdout
    assert b"is not in a git repository" in ended.stdout
    assert ended.stderr == b""


def test_features_are_probed_without_leaving_anything(tmp_path: Path) -> None:
    features = {feature.name: feature for feature in probe(tmp_path)}

    assert features["record locks"].works
    assert features["inotify"].works
    assert os.listdir(tmp_path) == []


def test_the_demo_shows_a_file_on_its_way_and_leaves_nothing(tmp_path: Path) -> None:
    env = {"TINY_ROLES": "syncer", "TMPDIR": str(tmp_path), "HOME": str(tmp_path / "none")}

    ended = run_to_end((*CLI, "demo"), env=env)

    assert ended.status == 0, ended
    said = ended.stdout.decode()
    times = [float(at) for at in re.findall(r"^ +(\d+\.\d+) s  ", said, re.MULTILINE)]
    assert len(times) == 6, said
    assert times == sorted(times)
    assert "the location log says that both have it" in said
    assert said.endswith("Both are stopped, and everything is removed.\n")
    assert os.listdir(tmp_path) == []
