"""What the sentry watches on the way to a path: never what is on a file system that may hang."""

import os
from pathlib import Path

import pytest

from workers.sentry import trail


@pytest.fixture
def share(tmp_path: Path) -> Path:
    """As good as a mount point of a distant file system, with a repository on it."""
    point = tmp_path / "share"
    (point / "repo" / ".git").mkdir(parents=True)
    return point


def _ways(path: Path, share: Path) -> set[bytes]:
    at, distant = os.fsencode(path), {os.fsencode(share)}
    steps = (
        *trail.guard(at, distant),
        *trail.seek(at, distant),
        *trail.seek_directory(at, distant),
    )
    return {step.path for step in steps}


def test_what_is_distant_is_not_touched(share: Path) -> None:
    ways = _ways(share / "repo", share)

    assert os.fsencode(share.parent) in ways
    assert not [way for way in ways if way.startswith(os.fsencode(share))]


@pytest.mark.parametrize("target", ["share", "../{}/share", "{}/share/", "other", "./share/repo"])
def test_what_a_link_leads_to_is_not_touched_if_it_is_distant(share: Path, target: str) -> None:
    top = share.parent
    (top / "other").symlink_to(share)
    at = str(top) if not target.startswith("..") else top.name
    (top / "link").symlink_to(target.format(at))

    ways = _ways(top / "link" / "repo", share)

    assert os.fsencode(top) in ways
    assert not [way for way in ways if way.startswith(os.fsencode(top / "link"))]


def test_a_link_to_what_is_near_is_followed(share: Path) -> None:
    top = share.parent
    (top / "near" / "repo" / ".git").mkdir(parents=True)
    (top / "near" / "out").symlink_to(share)
    (top / "link").symlink_to("near")

    assert os.fsencode(top / "link" / "repo" / ".git") in _ways(top / "link" / "repo", share)
    assert os.fsencode(top / "link" / "out") not in _ways(top / "link" / "out" / "repo", share)


def test_links_that_lead_nowhere_are_what_is_missing(share: Path) -> None:
    top = share.parent
    (top / "a").symlink_to("b")
    (top / "b").symlink_to("a")
    (top / "gone").symlink_to("nothing/at/all")

    for name in ("a", "gone"):
        sought = [
            step
            for step in trail.seek_directory(os.fsencode(top / name / "repo"), {os.fsencode(share)})
            if step.names
        ]
        assert [(step.path, step.names) for step in sought] == [
            (os.fsencode(top), frozenset((os.fsencode(name),)))
        ]


def test_links_that_lead_to_many_others_are_followed_only_so_far(share: Path) -> None:
    top = share.parent
    for number in range(30):
        (top / f"{number}").symlink_to(f"{number + 1}/../" * 100 + ".")
    (top / "30").mkdir()

    assert os.fsencode(top) in _ways(top / "0" / "repo", share)
