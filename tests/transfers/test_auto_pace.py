"""``annexd limit --up auto``: a narrow line with a large buffer stays free for others.

The line is a pair of virtual network interfaces and a token bucket: 8 Mbit a second, and 300 ms of
buffer, as behind many a home's router.  It takes root, and a kernel that has these.
"""

import os
import select
import shutil
import socket
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from spool import limit
from spool.key import Key
from spool.limit import Limit
from spool.transfer import Direction
from tests.processes import run, run_to_end, wait_until
from tests.repo import Repo
from tests.scenarios.sshd import Site, Sshd, needs_sshd, sshd
from tests.transfers.station import Station

BYTES_PER_S = 1_000_000
START_S = 6.0
MEASURE_S = 8.0

pytestmark = needs_sshd

_NETWORK = """\
ip link add {router} type veth peer name near netns {router}
ip -n {router} link add out type veth peer name far netns {far}
ip addr add {net}.1/30 dev {router}
ip -n {router} addr add {net}.2/30 dev near
ip -n {router} addr add {net}.5/30 dev out
ip -n {far} addr add {net}.6/30 dev far
ip link set {router} up
ip -n {router} link set near up
ip -n {router} link set out up
ip -n {far} link set far up
ip -n {far} link set lo up
ip route add {net}.4/30 via {net}.2 congctl reno
ip -n {far} route add default via {net}.5
ip netns exec {router} sysctl -q net.ipv4.ip_forward=1
"""
_NARROW = "tc -n {router} qdisc add dev out root tbf rate 8mbit burst 10kb latency 300ms"


@pytest.fixture
def line() -> Iterator[Site]:
    """A network of one host, behind a router with a narrow line to it."""
    if os.geteuid() or not (shutil.which("ip") and shutil.which("tc")):
        pytest.skip("takes root, ip and tc")
    router, far = f"r{os.getpid()}", f"f{os.getpid()}"
    net = f"10.{os.getpid() >> 8 & 255}.{os.getpid() & 255}"
    if any(run_to_end(["ip", "netns", "add", name]).status for name in (router, far)):
        pytest.skip("no network namespaces here")
    try:
        for command in _NETWORK.format(router=router, far=far, net=net).splitlines():
            run(command.split())
        # Our own queue would not do: the kernel lets no socket of its own fill it.
        if run_to_end(_NARROW.format(router=router).split()).status:
            pytest.skip("no token bucket filter in this kernel")
        yield Site(f"{net}.6", ("ip", "netns", "exec", far))
    finally:
        for name in (router, far):
            run_to_end(["ip", "netns", "del", name])


@pytest.fixture
def server(line: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sshd]:
    with sshd(tmp_path / "sshd", monkeypatch, site=line) as server:
        yield server


def round_trips_s(site: Site, port: int, during_s: float) -> list[float]:
    """How long it takes to be answered at the other end of the line, again and again."""
    found = []
    until = time.monotonic() + during_s
    while time.monotonic() < until:
        began = time.monotonic()
        with socket.create_connection((site.address, port), timeout=5):
            found.append(time.monotonic() - began)
        select.select((), (), (), 0.1)
    return found


def port_of(server: Sshd) -> int:
    config = (server.place / "sshd_config").read_text()
    return int(config.split()[1])


def test_the_line_stays_free_and_is_used(pair: tuple[Repo, Repo], server: Sshd, line: Site) -> None:
    a, b = map(Station, pair)
    a.repo.git("remote", "set-url", "b", server.url(b.repo.path))
    key = Key(a.repo.add("large", os.urandom(60 * BYTES_PER_S)))
    port = port_of(server)
    before_s = statistics.median(round_trips_s(line, port, 1))

    with a.working():
        a.queue(Direction.UPLOAD, b.repo, key)
        wait_until(lambda: b.tmp(key).exists() and b.tmp(key).stat().st_size > 0, 30)
        without_s = statistics.median(round_trips_s(line, port, 4)) - before_s
        now = time.time()
        limit.put(a.place.layout, Limit(None, Direction.UPLOAD, "auto"), now)
        round_trips_s(line, port, START_S)
        done, began = b.tmp(key).stat().st_size, time.monotonic()
        with_s = statistics.median(round_trips_s(line, port, MEASURE_S)) - before_s
        arrived = b.tmp(key).stat().st_size - done
        bytes_per_s = arrived / (time.monotonic() - began)

    assert without_s > 0.1
    assert with_s < 0.05
    assert bytes_per_s > 0.8 * BYTES_PER_S
