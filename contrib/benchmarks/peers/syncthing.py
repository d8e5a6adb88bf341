"""syncthing on loopback: no discovery, no relays, no NAT traversal, no reports, no upgrades."""

import json
import socket
import time
import urllib.error
import urllib.request
from typing import Any, ClassVar, final
from xml.sax.saxutils import quoteattr

from benchmarks.arena import Arena, CommandError
from benchmarks.peers.peer import Ground, Peer, populate

API_KEY = "bench"
START_S = 60.0
COMPLETE = 100
"""Per cent."""

OFF = """\
    <globalAnnounceEnabled>false</globalAnnounceEnabled>
    <localAnnounceEnabled>false</localAnnounceEnabled>
    <relaysEnabled>false</relaysEnabled>
    <natEnabled>false</natEnabled>
    <startBrowser>false</startBrowser>
    <urAccepted>-1</urAccepted>
    <autoUpgradeIntervalH>0</autoUpgradeIntervalH>
    <crashReportingEnabled>false</crashReportingEnabled>
    <stunServer></stunServer>
    <reconnectionIntervalS>1</reconnectionIntervalS>
"""


class Syncthing(Peer):
    """As it comes: it waits 10 s for more changes before it looks at any, and is niced."""

    name = "syncthing"
    needs = ("syncthing",)
    delay_s: ClassVar[str] = "10"
    is_niced: ClassVar[str] = "true"

    def __init__(self, ground: Ground) -> None:
        super().__init__(ground)
        self.homes = [ground.state / str(node) for node in range(len(ground.nodes))]
        self.devices: list[str] = []
        self.api_ports: list[int] = []

    @staticmethod
    def version(arena: Arena) -> str:
        return arena.run(["syncthing", "--version"]).split()[1]

    def setup(self) -> None:
        populate(self.ground)
        run = self.ground.arena.run
        for home in self.homes:
            run(["syncthing", "generate", f"--home={home}", "--no-default-folder"])
            self.devices.append(run(["syncthing", f"--home={home}", "--device-id"]).strip())
        ports = _free_ports(2 * len(self.homes))
        self.api_ports, sync_ports = ports[: len(self.homes)], ports[len(self.homes) :]
        for node, home in enumerate(self.homes):
            (home / "config.xml").write_text(self._configuration(node, sync_ports))

    def start(self) -> None:
        for node, home in enumerate(self.homes):
            argv = ["syncthing", "serve", f"--home={home}", "--no-browser"]
            self.ground.start(node, argv)
        deadline = time.monotonic() + START_S
        while not self._is_connected():
            if time.monotonic() > deadline:
                raise CommandError(f"syncthing: not connected within {START_S:.0f} s")
            time.sleep(0.05)

    def _is_connected(self) -> bool:
        """Whether every edge has its connection."""
        try:
            here = [self._ask(node, "system/connections") for node in range(len(self.homes))]
        except (urllib.error.URLError, ConnectionError):
            return False
        return all(here[a]["connections"][self.devices[b]]["connected"] for a, b in self._pairs())

    def is_synced(self) -> bool:
        for a, b in self._pairs():
            done = self._ask(a, f"db/completion?folder=f&device={self.devices[b]}")
            if done["completion"] < COMPLETE:
                return False
        nodes = range(len(self.homes))
        return all(self._ask(node, "db/status?folder=f")["state"] == "idle" for node in nodes)

    def _pairs(self) -> list[tuple[int, int]]:
        return [*self.ground.edges, *((b, a) for a, b in self.ground.edges)]

    def _ask(self, node: int, what: str) -> dict[str, Any]:
        request = urllib.request.Request(f"http://127.0.0.1:{self.api_ports[node]}/rest/{what}")
        request.add_header("X-API-Key", API_KEY)
        # No proxy from the environment: this is loopback.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=10) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def _configuration(self, node: int, sync_ports: list[int]) -> str:
        others = {b for a, b in self._pairs() if a == node}
        shared = "".join(f'<device id="{self.devices[n]}"/>' for n in (node, *sorted(others)))
        devices = "".join(
            f'  <device id="{self.devices[n]}" name="{n}" compression="metadata">'
            f"<address>tcp://127.0.0.1:{sync_ports[n]}</address></device>\n"
            for n in (node, *sorted(others))
        )
        return f"""<configuration version="36">
  <folder id="f" path={quoteattr(str(self.ground.nodes[node]))} type="sendreceive"
   rescanIntervalS="3600" fsWatcherEnabled="true" fsWatcherDelayS="{self.delay_s}">
  {shared}</folder>
{devices}  <gui enabled="true" tls="false"><address>127.0.0.1:{self.api_ports[node]}</address>
    <apikey>{API_KEY}</apikey></gui>
  <options>
    <listenAddress>tcp://127.0.0.1:{sync_ports[node]}</listenAddress>
    <setLowPriority>{self.is_niced}</setLowPriority>
{OFF}  </options>
</configuration>
"""


@final
class SyncthingTuned(Syncthing):
    """With the shortest delay that it accepts, and at normal priority."""

    name = "syncthing-tuned"
    delay_s = "1"
    is_niced = "false"

    @staticmethod
    def version(arena: Arena) -> str:
        return f"{Syncthing.version(arena)}, fsWatcherDelayS {SyncthingTuned.delay_s}"


def _free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody has just now."""
    listening = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(server.getsockname()[1]) for server in listening]
    for server in listening:
        server.close()
    return ports
