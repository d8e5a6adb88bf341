"""A keeper: the process below which everything of one daemon runs.

It starts commands on request, adopts what they leave in the background (PR_SET_CHILD_SUBREAPER),
reaps it, and ends all of it when its caller closes the connection or dies.  So a daemon cannot
escape from being counted, nor survive the benchmark; and no process is ever looked up by name.

It is forked long before the clock starts, so that a one-shot command costs its own start only.
"""

import ctypes
import itertools
import json
import os
import select
import signal
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, final

from benchmarks import proc

PR_SET_CHILD_SUBREAPER = 36
GRACE_S = 10.0
"""How long a daemon may take to end after SIGTERM."""

RUN_LIMIT_S = 3600.0
"""A command that takes longer than this is a failure of its peer."""


def become_subreaper() -> None:
    """Make this process the parent of every orphan below it (prctl(2))."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def keep_only(*kept: int) -> None:
    """Close all other descriptors above 2: a fork that held them would hide their end-of-file."""
    edges = [2, *sorted(kept), os.sysconf("SC_OPEN_MAX")]
    for low, high in itertools.pairwise(edges):
        os.closerange(low + 1, high)


@final
class Keeper:
    """A forked keeper, as its caller holds it."""

    def __init__(self, environment: dict[str, str], log: str) -> None:
        ours, theirs = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            keep_only(theirs.fileno())
            _serve(theirs, environment, log)
        theirs.close()
        ours.settimeout(RUN_LIMIT_S)
        self._link = ours.makefile("rwb", buffering=0)
        ours.close()

    def start(self, argv: Sequence[str], cwd: str) -> int:
        """Start a command in the foreground of nobody; returns its pid."""
        return self._ask(kind="start", argv=argv, cwd=cwd)

    def run(self, argv: Sequence[str], cwd: str) -> int:
        """Run a command to its end; returns its exit status.  What it daemonised stays.

        Raises ``TimeoutError`` if it does not end.
        """
        return self._ask(kind="run", argv=argv, cwd=cwd)

    def cost(self) -> proc.Cost:
        """What everything below has used so far."""
        return proc.cost(self.pid)

    def clear(self) -> None:
        """End everything below, and wait until it has ended."""
        self._ask(kind="clear")

    def close(self) -> None:
        """End everything below, and the keeper."""
        self._link.close()
        os.waitpid(self.pid, 0)

    def _ask(self, **request: object) -> int:
        self._link.write(json.dumps(request).encode() + b"\n")
        answer = self._link.readline()
        if not answer:
            raise RuntimeError(f"the keeper {self.pid} died")
        return int(answer)


def _serve(link: socket.socket, environment: dict[str, str], log: str) -> None:
    """The keeper's whole life; never returns."""
    try:
        become_subreaper()
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the caller, who then closes
        ended_r, ended_w = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(ended_w, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        awaited = 0
        with link.makefile("rb", buffering=0) as requests:
            while True:
                readable, _, _ = select.select([link.fileno(), ended_r], [], [])
                if ended_r in readable:
                    os.read(ended_r, 4096)
                    ended = _reap()
                    if awaited in ended:
                        link.sendall(b"%d\n" % ended[awaited])
                        awaited = 0
                if link.fileno() in readable:
                    line = requests.readline()
                    if not line:
                        break
                    request = json.loads(line)
                    if request["kind"] == "clear":
                        _end_all()
                        link.sendall(b"0\n")
                        continue
                    pid = _spawn(request, environment, output)
                    if request["kind"] == "run":
                        awaited = pid
                    else:
                        link.sendall(b"%d\n" % pid)
        _end_all()
    finally:
        os._exit(0)


def _spawn(request: dict[str, Any], environment: dict[str, str], output: int) -> int:
    """Start the command in a session of its own, as a shell with job control would."""
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        for changed in (signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ):  # two of them by Python
            signal.signal(changed, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        os.chdir(request["cwd"])
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.execvpe(request["argv"][0], request["argv"], environment)  # noqa: S606 -- that is its job
    finally:
        os._exit(127)


def _reap() -> dict[int, int]:
    """All children that have ended since: pid and exit status."""
    ended: dict[int, int] = {}
    with suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            ended[pid] = os.waitstatus_to_exitcode(status)
    return ended


def _end_all() -> None:
    """SIGTERM to everything below, and SIGKILL to what is left after the grace."""
    deadline = time.monotonic() + GRACE_S
    sent = signal.SIGTERM
    told: set[int] = set()
    while below := proc.descendants(os.getpid()):
        if sent is signal.SIGTERM and time.monotonic() > deadline:
            sent = signal.SIGKILL
            told.clear()
        for pid in below:
            if pid not in told:
                told.add(pid)
                with suppress(ProcessLookupError):
                    os.kill(pid, sent)
        _reap()
        time.sleep(0.01)
