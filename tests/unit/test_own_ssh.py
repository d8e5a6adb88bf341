"""The user's own way to call ssh: when options may be added to it."""

from pathlib import Path

import pytest

from workers.annex.ownssh import OwnSsh

SHARING = ("-o", "ControlMaster=auto", "-S", "sockets/%C")
TIMEOUTS = ("ConnectTimeout=20", "ServerAliveInterval=10", "ServerAliveCountMax=3")


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    file = tmp_path / "configuration"
    file.write_text("Host far\n    ControlPath /run/mine\nHost *\n    ServerAliveInterval 7\n")
    return file


def shared(text: str, destination: str = "near") -> OwnSsh | None:
    return OwnSsh(text).shared((destination,), Path("/"), SHARING, TIMEOUTS)


@pytest.mark.parametrize(
    "text",
    [
        "ssh",
        "/usr/bin/ssh",
        "ssh -i ~/.ssh/key -p 2222",
        "ssh -4Cp2222 -oUser=x",
        "ssh -o 'ProxyCommand=nc %h %p' -J jump",
    ],
)
def test_ssh_with_options_can_share_connections(text: str) -> None:
    assert OwnSsh(text).is_shareable()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "plink -batch",
        "sshpass -f file ssh",
        "KEY=x ssh",
        "ssh gateway ssh",
        "ssh $OPTIONS",
        "ssh --",
        "ssh -o",
        "ssh -i key; true",
        "ssh -i 'key",
        "ssh -S none",
        "ssh -M",
        "ssh -W far:22",
        "ssh -v",
        "ssh -o ControlPath=none",
        "ssh -ocontrolmaster=no",
    ],
)
def test_what_is_more_or_other_than_that_is_left_alone(text: str) -> None:
    assert not OwnSsh(text).is_shareable()


def test_what_the_user_has_set_stays(configuration: Path) -> None:
    text = f"ssh -F {configuration} -o ConnectTimeout=3"
    sharing = "-o ControlMaster=auto -S sockets/%C"

    assert shared(text) == OwnSsh(f"{text} {sharing}")
    assert shared(f"ssh -F {configuration}") == OwnSsh(
        f"ssh -F {configuration} {sharing} -o ConnectTimeout=20"
    )
    assert shared(text, "far") is None


def test_a_program_that_is_only_called_ssh_is_left_alone(tmp_path: Path) -> None:
    other = tmp_path / "ssh"
    other.write_text("#!/bin/sh\necho unknown option >&2\nexit 1\n")
    other.chmod(0o755)

    assert shared(str(other)) is None
    assert shared(str(tmp_path / "gone/ssh")) is None
