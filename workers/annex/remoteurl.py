"""A remote's url: what kind of way it is, and where it leads.

git's own rules: ``url.BASE.insteadOf`` rewrites the beginning; ``scheme://`` is a url,
``HOST:PATH`` with no slash before the colon is ssh, ``NAME::ADDRESS`` is for a helper program, and
everything else is a path, which is relative to the top of the work tree.

A url is refused, with a reason, when it could be taken for something else by the programs that it
is given to: a host, user or path that begins with a dash, control characters, and helpers that run
commands (``ext::``, ``fd::``).  Plain paths may have any character.

Pure.  Source: git-clone(1), "GIT URLS"; ``git ls-remote --get-url`` is the oracle of insteadOf.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final
from urllib.parse import unquote_to_bytes


@final
@dataclass(frozen=True, slots=True)
class LocalPath:
    """A repository on this machine: where git begins to look for it."""

    path: Path
    """Absolute."""


@final
@dataclass(frozen=True, slots=True)
class Ssh:
    """A repository behind ssh."""

    host: str
    path: bytes
    """As git passes it on: ``/srv/x``, ``~/x``, ``~user/x``, or relative to the home there."""

    user: str | None = None
    port: int | None = None

    @property
    def destination(self) -> str:
        """What ssh is told to connect to."""
        return self.host if self.user is None else f"{self.user}@{self.host}"


@final
@dataclass(frozen=True, slots=True)
class Web:
    """A url that git and git-annex fetch from over http; nothing can be sent there."""


@final
@dataclass(frozen=True, slots=True)
class Helper:
    """Any other way: ``git://``, ``annex+http://``, or a ``git-remote-NAME`` program."""

    name: str


Address = LocalPath | Ssh | Web | Helper

SSH_SCHEMES: Final = frozenset(("ssh", "git+ssh", "ssh+git"))
WEB_SCHEMES: Final = frozenset(("http", "https"))
COMMAND_HELPERS: Final = frozenset(("ext", "fd"))

_SCHEME: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_HELPER: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9.+-]*)::", re.DOTALL)
_AUTHORITY: Final = re.compile(
    r"(?:(?P<user>[^@/]*)@)?(?P<host>\[[0-9A-Fa-f:.]+\]|[^:/\[\]]+)(?::(?P<port>[0-9]{0,5}))?"
)
_SCP: Final = re.compile(
    r"(?:(?P<user>[^@/:]*)@)?(?P<host>\[[^\[\]/]+\]|[^:/\[\]]+):(?P<path>.*)", re.DOTALL
)
_CONTROL: Final = re.compile("[\0-\x1f\x7f]")
_PORT_MAX: Final = 65535
_PATHS: Final = ("/", "./", "../")
"""A url that begins like this is a path, whatever else it has."""


def rewrite(url: str, settings: Mapping[str, Sequence[str]]) -> str:
    """Apply ``url.BASE.insteadOf``: the longest beginning that matches is replaced."""
    best, base = "", None
    for name, values in settings.items():
        if name.startswith("url.") and name.endswith(".insteadof"):
            for value in values:
                if (base is None or len(value) > len(best)) and url.startswith(value):
                    best, base = value, name[len("url.") : -len(".insteadof")]
    return url if base is None else base + url[len(best) :]


def parse(url: str, *, top: Path, home: Path) -> Address:
    """What a url (already rewritten) leads to; ``ValueError`` says why it is refused."""
    if (
        url.startswith(_PATHS) and "\0" not in url
    ):  # which no program but git takes apart, and may have any byte
        return _from_path(url, top, home)
    if not url or _CONTROL.search(url):
        raise ValueError("the url is empty or has control characters")
    if url.startswith("-"):
        raise ValueError("the url begins with a dash")
    if helper := _HELPER.match(url):
        if helper[1] in COMMAND_HELPERS:
            raise ValueError(f"{helper[1]}:: runs commands")
        return Helper(helper[1])
    if scheme := _SCHEME.fullmatch(url):
        return _from_scheme(scheme[1].lower(), scheme[2])
    before_colon, colon, _ = url.partition(":")
    if colon and "/" not in before_colon:
        return _from_scp(url)
    return _from_path(url, top, home)


def _from_scheme(scheme: str, rest: str) -> Address:
    if scheme == "file":
        # To git, file://HOST/PATH is the path //HOST/PATH.
        path = os.fsdecode(unquote_to_bytes(os.fsencode(rest)))
        return LocalPath(Path(path if path.startswith("/") else "//" + path))
    if scheme in WEB_SCHEMES:
        return Web()
    if scheme not in SSH_SCHEMES:
        return Helper(scheme)
    authority, slash, path = rest.partition("/")
    match = _AUTHORITY.fullmatch(authority)
    if match is None or not slash:
        raise ValueError("the ssh url has no host, or no path")
    raw = unquote_to_bytes(os.fsencode(path))
    port = int(match["port"]) if match["port"] else None
    # ssh://host/~/x means the home directory there, not a directory of that name.
    return _ssh(match["host"], match["user"], port, raw if raw[:1] == b"~" else b"/" + raw)


def _from_scp(url: str) -> Address:
    match = _SCP.fullmatch(url)
    if match is None or not match["path"]:
        raise ValueError("neither a path nor HOST:PATH")
    host, port = match["host"], None
    if host.startswith("[") and host.count(":") == 1:  # [host:port]:path
        name, _, digits = host[1:-1].partition(":")
        if digits.isdigit():
            host, port = name, int(digits)
    return _ssh(host, match["user"], port, os.fsencode(match["path"]))


def _ssh(host: str, user: str | None, port: int | None, path: bytes) -> Ssh:
    host = host.strip("[]")
    if not host or host.startswith("-") or (user or "").startswith("-") or user == "":
        raise ValueError("the host or user is empty or begins with a dash")
    if path.startswith(b"-") or _CONTROL.search(os.fsdecode(path)):
        raise ValueError("the path begins with a dash or has control characters")
    if port is not None and not 0 < port <= _PORT_MAX:
        raise ValueError("no such port")
    return Ssh(host, path, user, port)


def _from_path(url: str, top: Path, home: Path) -> LocalPath:
    if url == "~" or url.startswith("~/"):
        return LocalPath(home / url[2:])
    # Normalised without following links: "../b" is beside the work tree that we were told of.
    return LocalPath(Path(os.path.normpath(top / url)))
