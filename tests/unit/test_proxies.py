"""Which remotes are behind others, as the logs of ``git annex updateproxy`` and clusters say."""

from pathlib import Path

from spool.transfer import UUID
from workers.annex import proxies
from workers.annex.remotes import Remote, parse
from workers.annex.settings import Settings

HERE, GATE, ONE, TWO, CLUSTER = (UUID(b"%d%d%d%d" % ((n,) * 4)) for n in range(5))
SETTINGS = {
    "remote.work.url": ("ssh://host/work",),
    "remote.work.annex-uuid": (GATE.decode(),),
    "remote.work.annex-ssh-options": ("-F x",),
    "remote.near.url": ("/somewhere",),
    "remote.near.annex-uuid": (ONE.decode(),),
}


def behind(proxy: bytes, cluster: bytes = b"", *more: str) -> list[Remote]:
    settings = SETTINGS | {f"remote.work.{name}": ("true",) for name in more}
    found = parse(Settings(settings), {}, top=Path("/top"), home=Path("/home"))
    logs = {proxies.PROXIES: proxy, proxies.CLUSTERS: cluster}
    return list(proxies.behind(found, logs, HERE))


def test_what_a_gateway_tells_is_reached_as_the_gateway_is() -> None:
    [usb, disk] = behind(b"12s %b %b:usb %b:disk\n" % (GATE, ONE, TWO))

    assert (usb.name, usb.uuid, usb.reached_as) == ("work-usb", ONE, "work")
    assert (disk.name, disk.uuid) == ("work-disk", TWO)
    [gateway] = [
        each
        for each in parse(Settings(SETTINGS), {}, top=Path("/"), home=Path("/"))
        if each.name == "work"
    ]
    assert usb.way == gateway.way
    assert usb.settings == gateway.settings
    assert usb.cost > gateway.cost
    assert usb.sends
    assert not usb.carries_git


def test_what_is_forbidden_for_the_gateway_is_for_them() -> None:
    [usb] = behind(b"12s %b %b:usb\n" % (GATE, ONE), b"", "annex-readonly")

    assert not usb.sends
    assert usb.fetches


def test_we_are_not_behind_anybody_nor_is_a_cluster_a_repository() -> None:
    proxy = b"12s %b %b:me %b:itself %b:big %b:node\n" % (GATE, HERE, GATE, CLUSTER, ONE)

    assert [each.uuid for each in behind(proxy, b"12s %b %b\n" % (CLUSTER, ONE))] == [ONE]


def test_nobody_is_behind_a_path_and_the_latest_word_counts() -> None:
    assert behind(b"12s %b %b:usb\n" % (ONE, TWO)) == []
    assert behind(b"12s %b %b:usb\n13s %b \n" % (GATE, ONE, GATE)) == []


def test_what_a_peer_has_made_up_is_left_out() -> None:
    words = b"nonsense :x ../../x:usb %b:a\tb %b" % (ONE, TWO)
    [odd] = behind(b"12s %b %b %b:fine" % (GATE, words, ONE))[-1:]

    assert odd.name == "work-fine"
    assert all("\t" not in each.name for each in behind(b"12s %b %b" % (GATE, words)))
    many = b" ".join(b"%b:n%d" % (ONE, number) for number in range(1000))
    assert len(behind(b"12s %b %b" % (GATE, many))) == proxies.MOST
