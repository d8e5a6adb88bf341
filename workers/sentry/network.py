"""The network: told when addresses and routes change, and whether something has been gained.

The kernel's route socket is only a hint.  It also speaks of what does not matter (a lease renewed,
the strength of a radio), so the routes themselves are compared.  Only a gain is news: a remote
that could not be reached may be reachable now.

Source: rtnetlink(7), proc_net(5) (``route``), the kernel's net/ipv6/route.c (``ipv6_route``).
"""

import logging
import math
import socket
import time
from pathlib import Path
from typing import Final, final

from workers.wakeup import Wakeup

log = logging.getLogger(__name__)

DEBOUNCE_S: Final = 1.0
"""An interface comes up with a burst of news; this long after the first the routes are compared."""

GROUPS: Final = 0x1 | 0x10 | 0x40 | 0x100 | 0x400
"""RTMGRP_LINK, _IPV4_IFADDR, _IPV4_ROUTE, _IPV6_IFADDR, _IPV6_ROUTE (linux/rtnetlink.h)."""

_IPV4: Final = Path("/proc/self/net/route")
_IPV6: Final = Path("/proc/self/net/ipv6_route")
_READS_MAX: Final = 256


@final
class Network:
    """This process's network namespace."""

    def __init__(self, wakeup: Wakeup) -> None:
        self.fd = -1
        self.due = math.inf
        """When to compare (monotonic clock); never, if there was no hint."""

        self.has_moved = False
        """Whether a way out into the world has gone: connections may be dead and not know it."""

        self._routes = routes()
        self._socket = _listen()
        if self._socket is not None:
            self.fd = self._socket.fileno()
            wakeup.attend(self.fd)

    def hear(self) -> None:
        """Take the hints; to be called when ``fd`` is ready."""
        if self._socket is not None:
            for _ in range(_READS_MAX):
                try:
                    self._socket.recv(1 << 16)
                except BlockingIOError:
                    break
                except OSError:  # ENOBUFS: there was more than fits, which is a hint as well
                    continue
        self.due = min(self.due, time.monotonic() + DEBOUNCE_S)

    def is_due(self) -> bool:
        """Whether there was a hint, long enough ago."""
        return time.monotonic() >= self.due

    def has_gained(self) -> bool:
        """Whether there is a route that was not there at the last look."""
        self.due = math.inf
        before, self._routes = self._routes, routes()
        self.has_moved |= any(_leads_everywhere(route) for route in before - self._routes)
        return not self._routes <= before


def routes() -> frozenset[tuple[bytes, ...]]:
    """Where packets can go beyond this machine: destination, gateway, interface."""
    found: set[tuple[bytes, ...]] = set()
    for line in _lines(_IPV4)[1:]:
        interface, destination, gateway, *_, mask, _mtu, _window, _irtt = line.split()
        found.add((destination, mask, gateway, interface))
    for line in _lines(_IPV6):
        destination, prefix, _, _, gateway, *_, interface = line.split()
        if interface != b"lo" and not destination.startswith((b"ff", b"fe80")):
            found.add((destination, prefix, gateway, interface))
    return frozenset(found)


def _leads_everywhere(route: tuple[bytes, ...]) -> bool:
    """Whether it is a default route: its destination and its mask, or prefix, are zero."""
    return not any(int(part, 16) for part in route[:2])


def _lines(path: Path) -> list[bytes]:
    try:
        return path.read_bytes().splitlines()
    except OSError:  # a kernel without IPv6, or without a network
        return []


def _listen() -> socket.socket | None:
    try:
        found = socket.socket(
            socket.AF_NETLINK,
            socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC,
            socket.NETLINK_ROUTE,
        )
        found.bind((0, GROUPS))
    except OSError as failure:
        log.warning("unaware of the network: %s", failure.strerror)
        return None
    return found
