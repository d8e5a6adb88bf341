"""Remotes as the configuration describes them."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from spool.transfer import UUID
from workers.annex.remotes import (
    BITTORRENT,
    WEB,
    Remote,
    Special,
    Unusable,
    parse,
    routes,
    trust_levels,
)
from workers.annex.remoteurl import LocalPath
from workers.annex.settings import Settings
from workers.annex.uuidlogs import Trust

A, B = UUID(b"a-1"), UUID(b"b-2")
TOP = Path("/work/tree")


def remotes(
    values: Mapping[str, str], special: Mapping[UUID, Mapping[bytes, bytes]] | None = None
) -> dict[str, Remote]:
    settings = Settings({name: (value,) for name, value in values.items()})
    return {
        remote.name: remote
        for remote in parse(settings, special or {}, top=TOP, home=Path("/home/me"))
    }


def one(**values: str) -> Remote:
    """The remote ``r`` with these settings besides a url and a uuid."""
    named = {f"remote.r.annex-{name.replace('_', '-')}": value for name, value in values.items()}
    return remotes({"remote.r.url": "../r", "remote.r.annex-uuid": "a-1"} | named)["r"]


def test_a_plain_remote_takes_part_in_everything() -> None:
    remote = one()

    assert remote.way == LocalPath(Path("/work/r"))
    assert remote.uuid == A
    assert remote.cost == 100
    assert remote.sends
    assert remote.fetches
    assert remote.carries_git
    assert remote.native


@pytest.mark.parametrize(
    ("setting", "value", "sends", "fetches", "carries_git"),
    [
        ("ignore", "true", False, False, True),
        ("ignore", "no", True, True, True),
        ("ignore", "maybe", True, True, True),
        ("sync", "false", False, False, True),
        ("readonly", "true", False, True, True),
        ("push", "false", False, True, True),
        ("pull", "false", True, False, True),
    ],
)
def test_a_setting_gates_what_it_says(
    setting: str,
    value: str,
    sends: bool,  # noqa: FBT001 -- a case
    fetches: bool,  # noqa: FBT001
    carries_git: bool,  # noqa: FBT001
) -> None:
    remote = one(**{setting: value})
    for_all = remotes(
        {"remote.r.url": "../r", "remote.r.annex-uuid": "a-1", f"annex.{setting}": value}
    )["r"]

    assert (remote.sends, remote.fetches, remote.carries_git) == (sends, fetches, carries_git)
    assert (for_all.sends, for_all.fetches) == (sends, fetches)


def test_our_own_uuid_is_no_default_for_remotes() -> None:
    found = remotes({"annex.uuid": "a-1", "remote.r.url": "../r"})["r"]

    assert found.uuid is None
    assert not found.sends


def test_a_remote_is_found_by_its_url_or_its_uuid_whatever_its_name() -> None:
    found = remotes(
        {
            "remote.a.b.c.url": "../x",
            "remote.store.annex-uuid": "b-2",
            "remote.empty.fetch": "+refs/heads/*:refs/remotes/empty/*",
            "remote.pushdefault": "a.b.c",
        }
    )

    assert set(found) == {"a.b.c", "store", "web", "bittorrent"}
    assert isinstance(found["store"].way, Special)
    assert not found["store"].carries_git


@pytest.mark.parametrize(
    "values",
    [
        {"remote.-x.url": "../r"},
        {"remote.a\nb.url": "../r"},
        {"remote.r.url": "ext::sh -c x"},
        {"remote.r.url": "-x"},
        {"remote.r.url": "../r", "remote.r.annex-uuid": "../../x"},
    ],
)
def test_a_hostile_remote_is_left_alone_with_a_reason(values: dict[str, str]) -> None:
    (remote,) = (each for each in remotes(values).values() if each.uuid not in {WEB, BITTORRENT})

    assert isinstance(remote.way, Unusable)
    assert remote.way.reason
    assert (remote.sends, remote.fetches, remote.carries_git) == (False, False, False)


def test_nothing_is_sent_to_the_web_or_to_a_store_of_trees() -> None:
    found = remotes(
        {"remote.tree.annex-uuid": "a-1", "remote.keys.annex-uuid": "b-2"},
        {A: {b"type": b"directory", b"exporttree": b"yes"}, B: {b"type": b"S3"}},
    )

    assert not found["web"].sends
    assert found["web"].fetches
    assert not found["tree"].sends
    assert found["tree"].fetches
    assert found["keys"].sends


def test_git_reaches_a_special_remote_through_its_own_url() -> None:
    found = remotes(
        {"remote.s.url": "annex::a-1?encryption=none&type=rsync", "remote.s.annex-uuid": "a-1"}
    )["s"]

    assert isinstance(found.way, Special)
    assert found.carries_git
    assert not found.native


def test_contents_can_be_sent_over_http_only_to_git_annexs_own_server() -> None:
    plain = {"remote.r.url": "https://h/x", "remote.r.annex-uuid": "a-1"}
    served = plain | {"remote.r.annexurl": "annex+https://h/git-annex/a-1"}

    assert not remotes(plain)["r"].sends
    assert remotes(plain)["r"].fetches
    assert remotes(served)["r"].sends


def test_another_address_for_contents_is_left_to_git_annex() -> None:
    found = remotes(
        {
            "remote.r.url": "ssh://h/x",
            "remote.r.annex-uuid": "a-1",
            "remote.r.annexurl": "annex+http://h/x",
        }
    )["r"]

    assert not found.native


def test_ways_to_one_repository_are_ordered_by_cost() -> None:
    found = remotes(
        {
            "remote.slow.url": "h:x",
            "remote.slow.annex-uuid": "a-1",
            "remote.fast.url": "../x",
            "remote.fast.annex-uuid": "a-1",
            "remote.dear.url": "../x",
            "remote.dear.annex-uuid": "a-1",
            "remote.dear.annex-cost": "1000.5",
            "remote.new.url": "../y",
        }
    )

    ways = routes(found.values())

    assert [way.name for way in ways[A]] == ["fast", "slow", "dear"]
    assert set(ways) == {A, WEB, BITTORRENT}


def test_only_trust_levels_that_exist_count() -> None:
    found = remotes(
        {
            "remote.a.annex-uuid": "a-1",
            "remote.a.annex-trustlevel": "untrusted",
            "remote.b.annex-uuid": "b-2",
            "remote.b.annex-trustlevel": "very",
        }
    )

    assert trust_levels(found.values()) == {A: Trust.UNTRUSTED}


def test_settings_are_the_remotes_own_before_those_for_all() -> None:
    found = remotes(
        {
            "remote.r.url": "../r",
            "annex.bwlimit": "1MiB",
            "annex.retry": "3",
            "remote.r.annex-bwlimit": "2MiB",
        }
    )["r"]

    assert found.settings["bwlimit"] == "2MiB"
    assert found.settings["retry"] == "3"


def test_an_empty_setting_is_false_as_for_git() -> None:
    assert not one(ignore="").ignored
    assert not one(sync="").syncs
    assert not one(push="").pushes
