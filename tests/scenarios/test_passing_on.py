"""Whoever brings contents here, those who want them and know only us get them (A2)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemons import Fleet
from tests.processes import wait_until
from tests.scenarios.sshd import Sshd, needs_sshd, sshd
from tests.scenarios.topology import line
from tests.synced import synced


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sshd]:
    with sshd(tmp_path / "sshd", monkeypatch) as server:
        yield server


def test_what_a_user_gets_in_the_middle_goes_to_the_end(tmp_path: Path, fleet: Fleet) -> None:
    a, b, c = line(tmp_path, 3)
    b.annex("wanted", ".", "present")
    fleet.serve(b, c)
    synced(b, c)
    a.add("f", b"content")
    a.annex("sync", "-q", "--no-content", "b")
    wait_until(lambda: c.exists("f"))
    fleet.settle()
    assert not b.objects()

    b.annex("get", "-q", "f")

    wait_until(lambda: c.holds("f", b"content"), 20)


@needs_sshd
def test_what_arrives_by_git_annex_shell_goes_on(
    tmp_path: Path, server: Sshd, fleet: Fleet
) -> None:
    """From somebody who runs git-annex by hand, and whose repository is not reached from there."""
    _, b, c = line(tmp_path, 3)
    b.git("remote", "remove", "a")
    guest = b.clone(tmp_path / "guest")
    guest.git("remote", "set-url", "origin", server.url(b.path))
    fleet.serve(b, c)
    synced(b, c)
    guest.add("f", b"content")

    guest.annex("sync", "-q", "--no-content", "origin")
    wait_until(lambda: c.exists("f"))
    guest.annex("copy", "-q", "--to", "origin", "f")

    wait_until(lambda: c.holds("f", b"content"), 20)
    synced(b, c)
