"""An ssh server of the program's own: loopback, its own keys and port, reached as host ``bench``.

Everything that runs ``ssh`` finds a wrapper first in PATH that passes our client configuration, so
that neither the user's configuration nor their keys are used or changed.
"""

import os
import pwd
import shutil
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import final

from benchmarks.arena import Arena, CommandError
from benchmarks.keeper import Keeper

SEPARATION = "/run/sshd"
"""An sshd of root's wants this empty directory."""

START_S = 10.0

SERVER = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {state}/host_key
AuthorizedKeysFile {state}/authorized_keys
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
MaxStartups 100
MaxSessions 100
PrintMotd no
SetEnv {environment}
"""

CLIENT = """\
Host bench
  HostName 127.0.0.1
  Port {port}
  User {user}
  IdentityFile {state}/user_key
  IdentitiesOnly yes
  IdentityAgent none
  UserKnownHostsFile {state}/known_hosts
  GlobalKnownHostsFile none
  StrictHostKeyChecking yes
  BatchMode yes
"""


def missing() -> str:
    """Why there can be no ssh here; empty if there can."""
    absent = [name for name in ("sshd", "ssh", "ssh-keygen") if _find(name) is None]
    return f"{', '.join(absent)} not installed" if absent else ""


def _find(name: str) -> str | None:
    return shutil.which(
        name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin"
    )


@final
class Sshd:
    """A running server, until it is closed."""

    def __init__(self, arena: Arena) -> None:
        state = arena.fresh("sshd")
        for key in ("host_key", "user_key"):
            arena.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", state / key])
        shutil.copy(state / "user_key.pub", state / "authorized_keys")
        port = _free_port()
        host_key = " ".join((state / "host_key.pub").read_text().split()[:2])
        (state / "known_hosts").write_text(f"[127.0.0.1]:{port} {host_key}\n")
        passed = ("PATH", "HOME", "PYTHONPATH", "GIT_CONFIG_NOSYSTEM", "LC_ALL")
        environment = " ".join(
            f'"{name}={arena.environment[name]}"' for name in passed if name in arena.environment
        )
        user = pwd.getpwuid(os.geteuid()).pw_name
        values = {"port": port, "state": state, "environment": environment, "user": user}
        (state / "sshd_config").write_text(SERVER.format(**values))
        (state / "ssh_config").write_text(CLIENT.format(**values))
        self._wrap(arena.bin / "ssh", state / "ssh_config")
        self._made = _make_separation()
        self.keeper = Keeper(arena.environment, str(state / "log"))
        server = str(_find("sshd"))
        self.keeper.start([server, "-D", "-e", "-f", str(state / "sshd_config")], cwd="/")
        self._wait(port, state)

    @staticmethod
    def _wrap(wrapper: Path, configuration: Path) -> None:
        wrapper.write_text(f'#!/bin/sh\nexec {_find("ssh")} -F {configuration} "$@"\n')
        os.chmod(wrapper, 0o755)  # noqa: S103 -- a program

    @staticmethod
    def _wait(port: int, state: Path) -> None:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
                return
            time.sleep(0.02)
        raise CommandError(f"sshd does not answer: {(state / 'log').read_text()[-1000:]}")

    def close(self) -> None:
        """Stop the server and its sessions."""
        self.keeper.close()
        if self._made:
            os.rmdir(SEPARATION)


def _make_separation() -> bool:
    """Make the directory where it is missing; returns whether that was so."""
    if os.geteuid() != 0 or os.path.isdir(SEPARATION):
        return False
    os.mkdir(SEPARATION, 0o755)
    return True


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
