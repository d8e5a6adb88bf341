"""A real sshd on 127.0.0.1: own host key, own port, own users' keys; and an ssh that finds it.

``ssh`` does not look into $HOME but into the password database's idea of it, so a wrapper that is
first on the PATH gives it our configuration.
"""

import getpass
import os
import shutil
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import final

import pytest

from tests.processes import alive, kill, run, run_to_end, running, wait_until
from tests.procfs import family

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")

needs_sshd = pytest.mark.skipif(SSHD is None, reason="no sshd on this machine")

CLIENT = """\
Host {host}
    HostName {address}
    Port {port}
    User {user}
    IdentityFile {place}/user
    IdentitiesOnly yes
    UserKnownHostsFile {place}/known_hosts
    StrictHostKeyChecking yes
"""

SERVER = """\
Port {port}
ListenAddress {address}
HostKey {place}/host
PidFile {place}/pid
AuthorizedKeysFile {place}/user.pub
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
StrictModes no
UsePAM no
LogLevel VERBOSE
MaxStartups 100
SetEnv PATH={path} HOME={home} GIT_CONFIG_NOSYSTEM=1 PYTHONPATH={python}
"""


@final
@dataclass(frozen=True, slots=True)
class Site:
    """Where a server runs."""

    address: str = "127.0.0.1"
    enter: tuple[str, ...] = ()
    """The words before a command that is to run there."""


_HERE = Site()


@final
@dataclass(frozen=True, slots=True)
class Sshd:
    """A server that runs."""

    host: str
    place: Path
    pid: int

    def url(self, path: Path) -> str:
        """How a repository on this machine is reached through it."""
        return f"ssh://{self.host}{path}"

    def sessions(self) -> int:
        """How many times somebody has logged in."""
        return (self.place / "log").read_text().count("Accepted publickey")

    @staticmethod
    def masters(top: Path) -> list[int]:
        """The ssh processes that hold shared connections of the repository at ``top``."""
        return [
            pid
            for pid in map(int, filter(str.isdigit, os.listdir("/proc")))
            if _read(pid, "cmdline").rstrip(b"\0 ").endswith(b"[mux]") and _cwd(pid) == top
        ]

    @contextmanager
    def asleep(self) -> Iterator[None]:
        """Stopped dead, connections and all, as a suspended laptop is."""
        everybody = family(self.pid)
        for pid in everybody:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in everybody:
                if alive(pid):
                    os.kill(pid, signal.SIGCONT)


@contextmanager
def pretended_master(top: Path, place: Path) -> Iterator[int]:
    """What looks like an ssh in the background that has a shared connection, and does nothing."""
    sockets = top / ".git/annex/annexd/ssh"
    sockets.mkdir(parents=True, exist_ok=True)
    (sockets / "abc").touch()
    title = f"ssh: {sockets.relative_to(top)}/abc [mux]"
    os.mkfifo(place / "fifo")
    script = 'exec -a "$0" cat <>"$1"'  # it waits for ever, and has its title for all arguments
    with running(["bash", "-c", script, title, place / "fifo"], cwd=top) as master:
        yield master.pid


@contextmanager
def sshd(
    place: Path, monkeypatch: pytest.MonkeyPatch, host: str = "elsewhere", site: Site = _HERE
) -> Iterator[Sshd]:
    """Run one, as long as the block lasts; at the end nobody is logged in any more."""
    assert SSHD is not None
    place.mkdir()
    for key in ("host", "user"):
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", place / key])
    names = {
        "host": host,
        "address": site.address,
        "port": str(_free_port()),
        "user": getpass.getuser(),
        "place": str(place),
        "path": os.environ["PATH"],
        "home": os.environ["HOME"],
        "python": os.environ.get("PYTHONPATH", ""),
    }
    (place / "config").write_text(CLIENT.format(**names))
    (place / "sshd_config").write_text(SERVER.format(**names))
    key = (place / "host.pub").read_text()
    (place / "known_hosts").write_text(f"[{site.address}]:{names['port']} {key}")
    _wrap_ssh(place, monkeypatch)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # sshd insists on it for privilege separation
    command: list[str | bytes | Path] = [*site.enter, SSHD, "-D", "-e", "-f", place / "sshd_config"]
    with running(command, output=place / "log") as server:
        wait_until(
            lambda: run_to_end(["ssh", host, "true"]).status == 0,
            20,
            lambda: (place / "log").read_text() + run_to_end(["ssh", host, "true"]).stderr.decode(),
        )
        yield Sshd(host, place, server.pid)
        for pid in family(server.pid):
            kill(pid)


def _read(pid: int, file: str) -> bytes:
    try:
        return Path("/proc", str(pid), file).read_bytes()
    except OSError:  # it has just ended
        return b""


def _cwd(pid: int) -> Path | None:
    try:
        return Path(os.readlink(f"/proc/{pid}/cwd"))
    except OSError:
        return None


def _wrap_ssh(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put an ``ssh`` with our configuration first on the PATH."""
    programs = place / "programs"
    programs.mkdir()
    ssh = programs / "ssh"
    ssh.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {place}/config "$@"\n')
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")


def _free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
