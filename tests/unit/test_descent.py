"""Directories of the work tree, reached step by step."""

import errno
import os
from pathlib import Path

import pytest

from workers import descent
from workers.descent import BoundaryError, Descent, ObstacleError


def test_no_link_is_followed_and_no_other_repository_entered(tmp_path: Path) -> None:
    (tmp_path / "real/inner").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "nested/.git").mkdir(parents=True)

    with Descent(os.fsencode(tmp_path)) as at:
        assert at.open(b"real/inner") is not None
        assert at.open(b"real/missing") is None
        with pytest.raises(ObstacleError):
            at.open(b"link/inner")
        with pytest.raises(BoundaryError):
            at.open(b"nested")


def test_a_directory_that_may_not_be_searched_costs_no_descriptor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """O_PATH opens it, but what is in it cannot be asked: each attempt left one open."""
    (tmp_path / "closed").mkdir()

    def refuse(_fd: int) -> bool:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(descent, "_is_repository", refuse)
    with Descent(os.fsencode(tmp_path)) as at:
        before = len(os.listdir("/proc/self/fd"))

        with pytest.raises(PermissionError):
            at.open(b"closed")

        assert len(os.listdir("/proc/self/fd")) == before
