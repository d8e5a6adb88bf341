"""How git-annex is told of limits, and when it is worth beginning a transfer anew."""

from pathlib import Path

import pytest

from spool.transfer import Direction
from workers.annex.remotes import Remote, parse
from workers.annex.settings import Settings
from workers.transferrer.easing import begins_anew, is_deaf, settings

UP, DOWN = Direction.UPLOAD, Direction.DOWNLOAD


def remote(**given: str) -> Remote:
    values = {f"remote.s.annex-{name.replace('_', '-')}": (value,) for name, value in given.items()}
    values["remote.s.annex-uuid"] = ("00000000-s",)
    found = parse(Settings(values), {}, top=Path("/top"), home=Path("/home/me"))
    return next(each for each in found if each.name == "s")


def test_no_limit_is_no_setting_and_a_stricter_one_of_the_remote_s_stays() -> None:
    assert settings(remote(directory="/d"), UP, None) == ()
    assert settings(remote(directory="/d", bwlimit="1KiB"), UP, 2000) == ()
    assert settings(remote(directory="/d", bwlimit="1KiB"), UP, 1000) != ()


def test_every_spelling_of_the_limit_is_overridden() -> None:
    """git-annex 10.20261026 has downloads obey the limit of uploads."""
    said = settings(remote(directory="/d", bwlimit_upload="1GB"), UP, 5000)

    assert set(said) == {
        "-c",
        "remote.s.annex-bwlimit=5000B",
        "remote.s.annex-bwlimit-upload=5000B",
        "remote.s.annex-bwlimit-download=5000B",
    }


def test_rsync_is_told_behind_its_own_options() -> None:
    store = remote(rsyncurl="host:/d", rsync_upload_options="-4 --bwlimit=9")

    assert settings(store, UP, 100 << 10)[-1] == (
        "remote.s.annex-rsync-upload-options=-4 --bwlimit=9 --bwlimit=100"
    )
    assert settings(store, DOWN, 10)[-1] == "remote.s.annex-rsync-download-options=--bwlimit=1"


def test_programs_of_special_remotes_are_deaf() -> None:
    assert is_deaf(remote(externaltype="rclone"))
    assert not is_deaf(remote(directory="/d"))


@pytest.mark.parametrize(
    ("left", "told", "now", "anew"),
    [
        (10_000, 1000, None, "yes"),
        (10_000, 1000, 5000, "yes"),
        (None, 1000, None, "yes"),
        (1000, 1000, None, "no"),  # a second more
        (10_000, 1000, 1500, "no"),  # not worth it
        (10_000, 1000, 500, "no"),  # it is stopped now and then instead
        (10_000, None, 500, "no"),
        (10_000, None, None, "no"),
    ],
)
def test_it_begins_anew_only_where_that_saves_seconds(
    left: int | None, told: int | None, now: int | None, anew: str
) -> None:
    assert ("yes" if begins_anew(left, told, now) else "no") == anew
