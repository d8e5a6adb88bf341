"""What an init system wants to hear: sd_notify(3), without its library.

The socket of ``NOTIFY_SOCKET`` gets datagrams of ``NAME=VALUE`` lines.  Its name is a path, or an
abstract one that begins with ``@``.  Nobody listening is no reason to fail.
"""

import contextlib
import math
import os
import socket
from dataclasses import dataclass
from typing import Protocol, final


class Starter(Protocol):
    """Who started us and wants to know how it goes."""

    @property
    def watchdog_s(self) -> float:
        """How often it wants to hear that the main loop turns; infinite if it does not."""
        ...

    def tell(self, *lines: str) -> None:
        """News, as sd_notify(3) spells it."""
        ...


@final
@dataclass(frozen=True, slots=True)
class Notify:
    """The init system that started us, if it listens."""

    address: bytes | None
    watchdog_s: float = math.inf
    """How often it wants WATCHDOG=1: half the time after which it would kill us."""

    @classmethod
    def from_environment(cls) -> "Notify":
        """As NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID say."""
        address = os.environb.get(b"NOTIFY_SOCKET")
        microseconds = os.environ.get("WATCHDOG_USEC", "")
        for_us = os.environ.get("WATCHDOG_PID", "") in {"", str(os.getpid())}
        watched = for_us and microseconds.isascii() and microseconds.isdigit()
        interval_s = int(microseconds) / 2e6 if watched else 0.0
        return cls(address, interval_s or math.inf)

    def tell(self, *lines: str) -> None:
        """Send one datagram."""
        if not self.address:
            return
        address = b"\0" + self.address[1:] if self.address.startswith(b"@") else self.address
        with (
            contextlib.suppress(OSError),  # it has stopped listening; or we have no descriptor left
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out,
        ):
            text = "\n".join(lines).encode(errors="surrogateescape")
            out.sendto(text, socket.MSG_DONTWAIT, address)
