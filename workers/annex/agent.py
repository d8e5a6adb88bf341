"""The ssh agent: the one of our environment, or the one that came after it.

A daemon outlives logins, and each login may bring an agent of its own: the socket that was in our
environment when we started is gone, or nobody listens there.  Then it is looked for where agents
are: in ``$XDG_RUNTIME_DIR``, in ``~/.ssh/agent``, and in ``/tmp/ssh-*`` if it had been there.  Only
sockets of our own user's, in directories of theirs, count.

An agent that takes the connection and says nothing would make ssh wait for it for ever: it is left
out, and ssh has what it finds in files.

Source: ssh-agent(1); draft-miller-ssh-agent, "Requesting a list of keys".
"""

import contextlib
import glob
import os
import socket
import stat
from collections.abc import Iterator
from typing import Final

VARIABLE: Final = "SSH_AUTH_SOCK"
ANSWER_S: Final = 1.0

_IN_RUNTIME: Final = (
    *("ssh-agent.socket", "ssh-agent", "openssh_agent", "ssh-agent/socket", "gcr/ssh"),
    *("keyring/ssh", "keyring/.ssh", "gnupg/S.gpg-agent.ssh"),
)
_BY_LOGIN: Final = "/tmp/ssh-*/agent.*"  # noqa: S108 -- where sshd and ssh-agent put it
_LIST_KEYS: Final = b"\x00\x00\x00\x01\x0b"
_HEADER: Final = 9
"""Length, type, and number of keys."""

_configured: list[str | None] = []


def refresh() -> None:
    """Have what we start from now on find an agent, if there is one that answers."""
    if not _configured:
        _configured.append(os.environ.get(VARIABLE))
    found = find(_configured[0])
    if found is not None:
        os.environ[VARIABLE] = found
    else:
        os.environ.pop(VARIABLE, None)


def find(configured: str | None) -> str | None:
    """The socket of an agent that answers: the configured one, else one with keys, the newest."""
    if configured is not None and _keys(configured) is not None:
        return configured
    without_keys = None
    for path in sorted(_candidates(configured), key=_age):
        keys = _keys(path)
        if keys:
            return path
        if keys is not None and without_keys is None:
            without_keys = path
    return without_keys


def directories(configured: str | None) -> tuple[str, ...]:
    """Where it would be seen that an agent has come or gone."""
    runtime = _runtime()
    found = [runtime, os.path.dirname(runtime), os.path.join(_home(), ".ssh/agent")]
    found += {os.path.dirname(os.path.join(runtime, name)) for name in _IN_RUNTIME}
    if configured is not None:
        own = os.path.dirname(configured)
        found.append(own if os.path.isdir(own) or not _is_by_login(configured) else "/tmp")  # noqa: S108 -- as above
    return tuple(dict.fromkeys(found))


def _candidates(configured: str | None) -> Iterator[str]:
    yield from (os.path.join(_runtime(), name) for name in _IN_RUNTIME)
    yield from glob.iglob(os.path.join(glob.escape(_home()), ".ssh/agent/*"))
    if configured is not None and _is_by_login(configured):
        yield from glob.iglob(_BY_LOGIN)


def _is_by_login(path: str) -> bool:
    return path.startswith(_BY_LOGIN.partition("*")[0])


def _runtime() -> str:
    return os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.geteuid()}"


def _home() -> str:
    return os.path.expanduser("~")


def _age(path: str) -> float:
    """The newest first."""
    with contextlib.suppress(OSError):
        return -os.lstat(path).st_mtime
    return 0.0


def _keys(path: str) -> int | None:
    """How many keys an agent has; None if none answers there, or it is not ours."""
    with contextlib.suppress(OSError):
        status, above = os.stat(path), os.stat(os.path.dirname(path))
        mine = {status.st_uid, above.st_uid} <= {os.geteuid(), 0}
        if not (mine and stat.S_ISSOCK(status.st_mode)):
            return None
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as agent:
            agent.settimeout(ANSWER_S)
            agent.connect(path)
            agent.sendall(_LIST_KEYS)
            answer = b""
            while len(answer) < _HEADER and (more := agent.recv(_HEADER - len(answer))):
                answer += more
            return int.from_bytes(answer[5:9], "big") if len(answer) == _HEADER else 0
    return None
