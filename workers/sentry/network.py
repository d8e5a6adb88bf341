"""The network: told when addresses and routes change, and whether something has been gained.

The kernel's route socket is only a hint.  It also speaks of what does not matter (a lease renewed,
the strength of a radio), so routes and addresses themselves are compared.  Only a gain is news: a
remote that could not be reached may be reachable now.

An address may change and no route: another lease, or another house whose router hands out the same
network.  What was connected from the old one is dead then, and would wait to be told so.

Source: rtnetlink(7), proc_net(5) (``route``, ``fib_trie``, ``if_inet6``), the kernel's
net/ipv6/route.c (``ipv6_route``).
"""

import logging
import math
import socket
import sys
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
_OWN_IPV4: Final = Path("/proc/self/net/fib_trie")
_OWN_IPV6: Final = Path("/proc/self/net/if_inet6")
_GLOBAL: Final = b"00"
"""An IPv6 address that is good beyond its link."""

_BITS_IPV6: Final = 128
_READS_MAX: Final = 256


Address = tuple[int, int]
"""How many bits it has, and their number."""


@final
class Network:
    """This process's network namespace."""

    def __init__(self, wakeup: Wakeup) -> None:
        self.fd = -1
        self.due = math.inf
        """When to compare (monotonic clock); never, if there was no hint."""

        self.has_moved = False
        """Whether a way out into the world has gone: connections may be dead and not know it.

        Or an address of ours, of a network that we are still, or again, in."""

        self._routes = routes()
        self._addresses = addresses()
        self._lost = frozenset[Address]()
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
        """Whether there is a route, or an address, that was not there at the last look."""
        self.due = math.inf
        before, self._routes = self._routes, routes()
        had, self._addresses = self._addresses, addresses()
        self.has_moved |= any(_leads_everywhere(route) for route in before - self._routes)
        self._lost = (self._lost | had) - self._addresses
        if self._routes <= before and self._addresses <= had:
            return False
        # The network goes with its address, and is back with the next one.
        lost, self._lost = self._lost, frozenset()
        self.has_moved |= any(_covers(route, one) for route in self._routes for one in lost)
        return True


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


def addresses() -> frozenset[Address]:
    """This machine's own, on networks beyond itself."""
    found: set[Address] = set()
    last = b""
    for line in _lines(_OWN_IPV4):
        words = line.split()
        if words[0] == b"|--":
            last = words[1]
        elif words[1:] == [b"host", b"LOCAL"] and not last.startswith(b"127."):
            # As the routes are printed: the bytes of the network in this machine's order.
            packed = socket.inet_aton(last.decode())
            found.add((32, int.from_bytes(packed, sys.byteorder)))
    for line in _lines(_OWN_IPV6):
        address, _index, _prefix, scope, *_ = line.split()
        if scope == _GLOBAL:
            found.add((_BITS_IPV6, int(address, 16)))
    return frozenset(found)


def _covers(route: tuple[bytes, ...], address: Address) -> bool:
    """Whether the address is of the network that this route leads to, which is not the world."""
    (network, prefix), (bits, number) = route[:2], address
    if len(network) * 4 != bits or _leads_everywhere(route):
        return False
    if bits == _BITS_IPV6:
        shift = bits - int(prefix, 16)
        return number >> shift == int(network, 16) >> shift
    return number & int(prefix, 16) == int(network, 16)


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
