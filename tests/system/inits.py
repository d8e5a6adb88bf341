"""Init systems, as the tests speak of them: each runs annexd by what ``contrib`` offers for it.

Real ones, started as ordinary processes below the test; what is not on this machine says so.
OpenRC wants root, ``/run`` and ``/lib/rc``: it gets them in a mount namespace of its own, laid over
what is there, so nothing outside of the test's directory changes.  ``ANNEXD_OPENRC`` is where
Debian's ``openrc``, ``librc1`` and ``libeinfo1`` have been unpacked.
"""

import itertools
import os
import shutil
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, final

from tests.processes import Ended, Process, run, run_to_end, start

CONTRIB = Path(__file__).parents[2] / "contrib"
OPENRC = "/usr/sbin/openrc-run /etc/init.d/annexd.test"
ALL_TO_STDERR = ("sh", "-c", 'exec "$@" >&2', "sh")


class Init(Protocol):
    """One that keeps annexd running in one directory; what anybody says is in files in ``home``."""

    home: Path

    def lacks(self) -> str | None:
        """What this machine has not; None if it can be tried here."""

    def supervise(self, directory: Path) -> Process:
        """Begin with everything: returns the process that supervises."""

    def reload(self) -> Ended:
        """Have annexd read its configuration again."""

    def stop(self) -> Ended:
        """Stop annexd for good; returns when it is down."""

    def says(self) -> str:
        """What it says of annexd."""


def missing(*programs: str) -> str | None:
    """Which of them is not there."""
    lacking = [each for each in programs if shutil.which(each) is None]
    return f"not installed: {', '.join(lacking)}" if lacking else None


@final
@dataclass(slots=True)
class S6:
    """s6-svscan, with the service directory of ``contrib/s6``."""

    home: Path

    @property
    def service(self) -> Path:
        return self.home / "scan/annexd"

    def lacks(self) -> str | None:
        return missing("s6-svscan", "s6-svc", "s6-notifyoncheck")

    def supervise(self, directory: Path) -> Process:
        shutil.copytree(CONTRIB / "s6", self.service)
        (self.service / "env").mkdir()
        (self.service / "env/ANNEXD_DIR").write_text(str(directory))
        return start([*ALL_TO_STDERR, "s6-svscan", self.service.parent], self.home / "log")

    def reload(self) -> Ended:
        return run_to_end(["s6-svc", "-h", self.service])

    def stop(self) -> Ended:
        return run_to_end(["s6-svc", "-wD", "-T", "10000", "-d", self.service])

    def says(self) -> str:
        return run_to_end(["s6-svstat", self.service]).stdout.decode()


@final
@dataclass(slots=True)
class Runit:
    """runsvdir, with the service directory of ``contrib/runit``."""

    home: Path

    @property
    def service(self) -> Path:
        return self.home / "services/annexd"

    def lacks(self) -> str | None:
        return missing("runsvdir", "runsv", "sv", "chpst")

    def supervise(self, directory: Path) -> Process:
        shutil.copytree(CONTRIB / "runit", self.service)
        (self.service / "env").mkdir()
        (self.service / "env/ANNEXD_DIR").write_text(str(directory))
        return start([*ALL_TO_STDERR, "runsvdir", self.service.parent], self.home / "log")

    def reload(self) -> Ended:
        return run_to_end(["sv", "hup", self.service])

    def stop(self) -> Ended:
        return run_to_end(["sv", "-w", "10", "stop", self.service])

    def says(self) -> str:
        return run_to_end(["sv", "status", self.service]).stdout.decode()


@final
@dataclass(slots=True)
class Supervisord:
    """supervisord, with the settings that ``contrib/README.md`` gives."""

    home: Path

    def lacks(self) -> str | None:
        return missing("supervisord", "supervisorctl")

    def supervise(self, directory: Path) -> Process:
        told = (CONTRIB / "README.md").read_text().partition("**supervisord.**")[2]
        settings = told.partition("\n\n")[0].split("`")[1::2]
        program = [each.replace("DIR", str(directory)) for each in settings if "=" in each]
        program = [each.replace('HOME="…"', f'HOME="{os.environ["HOME"]}"') for each in program]
        lines = [
            "[unix_http_server]",
            f"file={self.home}/socket",
            "[supervisord]",
            f"logfile={self.home}/log",
            f"pidfile={self.home}/pid",
            f"childlogdir={self.home}",
            "nodaemon=true",
            "[rpcinterface:supervisor]",
            "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
            "[supervisorctl]",
            f"serverurl=unix://{self.home}/socket",
            "[program:annexd]",
            *program,
        ]
        (self.home / "conf").write_text("\n".join(lines) + "\n")
        return start(["supervisord", "-c", self.home / "conf"], self.home / "stderr")

    def _ask(self, *args: str) -> Ended:
        return run_to_end(["supervisorctl", "-c", self.home / "conf", *args])

    def reload(self) -> Ended:
        return self._ask("signal", "HUP", "annexd")

    def stop(self) -> Ended:
        return self._ask("stop", "annexd")

    def says(self) -> str:
        return self._ask("status").stdout.decode()


@final
@dataclass(slots=True)
class OpenRC:
    """OpenRC's own programs, with the init script of ``contrib/openrc``."""

    home: Path

    @property
    def unpacked(self) -> Path:
        return Path(os.environ.get("ANNEXD_OPENRC", "/nowhere"))

    def _roots(self) -> tuple[Path, Path]:
        """Where there may be a ``bin``, ``sbin`` and ``lib``: Debian 13 has them below ``/usr``."""
        return self.unpacked, self.unpacked / "usr"

    def lacks(self) -> str | None:
        if not any((each / "sbin/openrc-run").exists() for each in self._roots()):
            return "ANNEXD_OPENRC names no directory with OpenRC's packages, unpacked"
        return "not root" if os.geteuid() else missing("nsenter", "unshare")

    def supervise(self, directory: Path) -> Process:
        packages = self.home / "packages/usr"  # here /lib is a link to usr/lib
        for root, each in itertools.product(self._roots(), ("bin", "sbin", "lib")):
            if (root / each).exists():
                shutil.copytree(root / each, packages / each, symlinks=True, dirs_exist_ok=True)
        conf = self.home / "packages/etc/conf.d/annexd.test"
        conf.parent.mkdir(parents=True)
        annexd = shutil.which("annexd")
        conf.write_text(
            f"ANNEXD_DIR='{directory}'\ncommand='{annexd}'\nrespawn_delay=1\n"
            f"supervise_daemon_args=\"--env 'PATH={os.environ['PATH']}' "
            f"--env 'HOME={os.environ['HOME']}'\"\n"
            f"error_logger=\noutput_log={self.home}/log error_log={self.home}/log\n"
        )
        script = self.home / "packages/etc/init.d/annexd.test"
        script.parent.mkdir()
        shutil.copy(CONTRIB / "openrc/annexd", script)
        script.chmod(0o755)
        localmount = script.with_name("localmount")
        localmount.write_text("#!/sbin/openrc-run\nstart() { :; }\n")
        localmount.chmod(0o755)
        for each in ("rc.conf", "insserv.conf"):
            (self.home / "packages/etc" / each).touch()
        setup = textwrap.dedent(f"""\
            set -e
            for each in etc usr/lib usr/sbin usr/bin; do
                mkdir -p packages/$each
                mount -t overlay -o lowerdir=packages/$each:/$each none /$each
            done
            mount --bind packages/etc/init.d /etc/init.d
            mount -t tmpfs none /run
            for each in daemons exclusive failed options started starting stopping tmp; do
                mkdir -p /run/openrc/$each
            done
            touch /run/openrc/softlevel
            {OPENRC} start || echo refused
            exec sleep infinity
            """)
        self.process = start(
            [*ALL_TO_STDERR, "unshare", "--mount", "sh", "-c", setup],
            self.home / "stderr",
            cwd=self.home,
        )
        return self.process

    process: Process | None = None

    def _ask(self, *args: str) -> Ended:
        assert self.process is not None
        inside = ["nsenter", "-m", "-t", str(self.process.pid)]
        return run_to_end([*inside, *OPENRC.split(), *args])

    def reload(self) -> Ended:
        return self._ask("reload")

    def stop(self) -> Ended:
        return self._ask("stop")

    def says(self) -> str:
        said = self._ask("status")
        return (said.stdout + said.stderr).decode(errors="replace")


def as_cron_does(command: str, home: Path) -> bytes:
    """Run a command as cron does at the start of the machine: no terminal, hardly an environment.

    Returns what it has printed, which cron would mail.
    """
    few = {"HOME": str(home), "LOGNAME": "root", "SHELL": "/bin/sh", "PATH": "/usr/bin:/bin"}
    settings = [f"{name}={value}" for name, value in few.items()]
    return run(["setsid", "-w", "env", "-i", *settings, "/bin/sh", "-c", command], cwd=home)
