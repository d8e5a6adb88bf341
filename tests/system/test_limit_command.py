"""``annexd limit``: what a person says, and what stands in the spool then."""

import json
import time
from pathlib import Path

import pytest

from annexd.repository import find_place
from spool import hold, limit
from tests.repo import Repo
from tests.system.conftest import Annexd


@pytest.fixture
def two(annexd: Annexd) -> Annexd:
    for name in ("usb", "nas"):
        annexd.repo.config(f"remote.{name}.annex-uuid", f"00000000-{name}")
    return annexd


def text(annexd: Annexd, *names: str) -> str:
    path = annexd.place.annex.joinpath("transfer", "limit", *names)
    return path.read_text() if path.exists() else ""


def test_limits_are_lines_that_a_person_can_read(two: Annexd) -> None:
    assert two("limit").stdout == b"no limits\n"

    assert two("limit", "--up", "1MB", "--down", "500 kB/s").status == 0
    assert two("limit", "--up", "none", "usb").status == 0
    assert two("limit", "--down", "2MiB", "nas", "--for", "1h").status == 0

    assert text(two, "all") == "up 1MB\ndown 500 kB/s\n"
    assert text(two, "remote", "00000000-usb") == "up none\n"
    word, rate, until, when = text(two, "remote", "00000000-nas").split()
    assert (word, rate, until) == ("down", "2MiB", "until")
    assert 3590 < int(when) - time.time() < 3610
    shown = two("limit").stdout.decode().splitlines()
    assert shown[0] == "up 1MB/s in all"
    assert set(shown[1:]) >= {"down 500 kB/s in all", "up not limited for usb"}
    assert any(line.startswith("down 2MiB/s for nas, for 59m") for line in shown) or (
        "down 2MiB/s for nas, for 1h" in shown
    )


def test_none_lifts_it_and_default_ends_what_was_said_of_a_remote(two: Annexd) -> None:
    two("limit", "--up", "1MB", "--down", "1MB")
    two("limit", "--up", "none", "usb")

    two("limit", "--up", "none")
    assert text(two, "all") == "down 1MB\n"
    two("limit", "--down", "none")
    two("limit", "--up", "default", "usb")

    assert text(two, "all") == text(two, "remote", "00000000-usb") == ""
    assert two("limit").stdout == b"no limits\n"


@pytest.mark.parametrize("rate", ["quick", "0", "-1MB", "", "1MB until 5"])
def test_what_is_no_speed_is_refused(two: Annexd, rate: str) -> None:
    two("limit", "--up", "1MB")

    ended = two("limit", f"--up={rate}")

    assert ended.status == 2
    assert b"is no speed" in ended.stderr
    assert text(two, "all") == "up 1MB\n"


def test_the_status_tells_of_limits(two: Annexd) -> None:
    two("limit", "--up", "1MB")

    assert b"limited: up 1MB/s in all (annexd limit)" in two("status").stdout
    [found] = json.loads(two("status", "--json").stdout)["limits"]
    assert found == {"uuid": None, "direction": "upload", "rate": "1MB", "until": None}


def test_one_that_cannot_be_read_is_told(two: Annexd) -> None:
    path = two.place.annex / "transfer/limit/all"
    path.parent.mkdir(parents=True)
    path.write_text("up quick\n")

    assert b"this is no speed: quick" in two("limit").stdout


def test_all_repositories_can_be_paused_and_limited_at_once(
    two: Annexd, tmp_path: Path, sealed_home: Path
) -> None:
    other = find_place(Repo.create(tmp_path / "other").path)
    listed = sealed_home / ".config/git-annex/autostart"
    listed.parent.mkdir(parents=True)
    listed.write_text(f"{two.repo.path}\n{tmp_path / 'not mounted'}\n{other.worktree}\n")

    assert two("pause", "--autostart", "--for", "1h").status == 0
    assert two("limit", "--autostart", "--up", "1MB").status == 0

    for place in (two.place, other):
        [pause] = hold.listing(place.layout, time.time())
        assert 3500 < pause.until - time.time() < 3601
        [found] = limit.listing(place.layout, time.time())
        assert found.rate == "1MB"
    assert two("limit", "--autostart").stdout.splitlines() == [b"up 1MB/s in all"] * 2
    assert two("resume", "--autostart").status == 0
    assert not hold.listing(other.layout, time.time())
