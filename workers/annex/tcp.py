"""What the kernel knows of the TCP connections of some processes: round trip, and bytes delivered.

Asked over netlink, as ``ss -ti`` does; nothing is sent to anybody.

Source: sock_diag(7); linux/inet_diag.h; struct tcp_info in linux/tcp.h, whose beginning never
changes.
"""

import contextlib
import os
import socket
import struct
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, final

_SOCK_DIAG: Final = 4  # NETLINK_SOCK_DIAG
_BY_FAMILY: Final = 20  # SOCK_DIAG_BY_FAMILY
_DUMP: Final = 0x301  # NLM_F_REQUEST | NLM_F_ROOT | NLM_F_MATCH
_DONE: Final = 3
_ERROR: Final = 2
_INFO: Final = 2  # INET_DIAG_INFO
_ESTABLISHED: Final = 1 << 1
_TIMEOUT_S: Final = 1.0
_RECEIVE: Final = 1 << 16

_HEADER: Final = struct.Struct("=IHHII")  # nlmsghdr
_REQUEST: Final = struct.Struct("=BBBxI48x")  # inet_diag_req_v2, of any connection
_MESSAGE: Final = 72  # inet_diag_msg
_INODE_AT: Final = 68
_ATTRIBUTE: Final = struct.Struct("=HH")
_RTT_AT: Final = 68
_ACKED_AT: Final = 120
_SHORTEST_AT: Final = 148
_INFO_LEAST: Final = 152


@final
@dataclass(frozen=True, slots=True)
class Sample:
    """One connection, at one moment."""

    rtt_s: float
    """Smoothed."""

    shortest_s: float
    """The shortest of the last minutes, as the kernel has seen them."""

    acked: int
    """Bytes that the other side has, since the connection was made."""


def sockets_of(pids: Iterable[int]) -> frozenset[int]:
    """The inodes of the sockets that these processes have open."""
    found = set()
    for pid in pids:
        with contextlib.suppress(OSError):  # it has ended, or is not ours to look into
            for fd in os.listdir(f"/proc/{pid}/fd"):
                with contextlib.suppress(OSError):
                    target = os.readlink(f"/proc/{pid}/fd/{fd}")
                    if target.startswith("socket:["):
                        found.add(int(target[8:-1]))
    return frozenset(found)


def samples(inodes: Collection[int]) -> list[Sample]:
    """Those of the sockets that are established TCP connections."""
    found: list[Sample] = []
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _SOCK_DIAG) as ask:
        ask.settimeout(_TIMEOUT_S)
        for family in (socket.AF_INET, socket.AF_INET6):
            body = _REQUEST.pack(family, socket.IPPROTO_TCP, 1 << (_INFO - 1), _ESTABLISHED)
            ask.send(_HEADER.pack(_HEADER.size + len(body), _BY_FAMILY, _DUMP, 0, 0) + body)
            found += (sample for inode, sample in _answers(ask) if inode in inodes)
    return found


def _answers(ask: socket.socket) -> Iterator[tuple[int, Sample]]:
    while True:
        data = ask.recv(_RECEIVE)
        while len(data) >= _HEADER.size:
            size, kind, _, _, _ = _HEADER.unpack_from(data)
            if kind in {_DONE, _ERROR} or size < _HEADER.size:
                return
            yield from parse(data[_HEADER.size : size])
            data = data[_aligned(size) :]


def parse(message: bytes) -> Iterator[tuple[int, Sample]]:
    """The socket's inode and what is known of it, from one answer; nothing if it tells nothing."""
    if len(message) < _MESSAGE:
        return
    (inode,) = struct.unpack_from("=I", message, _INODE_AT)
    at = _MESSAGE
    while at + _ATTRIBUTE.size <= len(message):
        size, kind = _ATTRIBUTE.unpack_from(message, at)
        if size < _ATTRIBUTE.size:
            return
        info = message[at + _ATTRIBUTE.size : at + size]
        if kind == _INFO and len(info) >= _INFO_LEAST:
            (rtt_us,) = struct.unpack_from("=I", info, _RTT_AT)
            (acked,) = struct.unpack_from("=Q", info, _ACKED_AT)
            (shortest_us,) = struct.unpack_from("=I", info, _SHORTEST_AT)
            yield inode, Sample(rtt_us / 1e6, min(rtt_us, shortest_us) / 1e6, acked)
        at += _aligned(size)


def _aligned(size: int) -> int:
    return (size + 3) & ~3
