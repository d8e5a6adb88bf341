"""Everything that reads what somebody else has written, with good examples of each (class R).

A parser reads its input or refuses it with one of its own errors; it never raises anything else,
and never takes long.  Inputs are examples with some bytes changed, cut out, doubled or put in.
"""

import random
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from annexd.bulletin import Bulletin
from spool import key, limit, record, transfer
from spool.hold import says_when
from spool.info import Info
from spool.meter import Count
from spool.remotes import Exchange, Reach
from spool.state import State
from workers.annex import (
    datasize,
    expression,
    glob,
    location,
    maplog,
    p2p,
    pointer,
    presence,
    remoteurl,
    tcp,
    transferring,
    union,
    uuidlogs,
)
from workers.annex.hashdirs import Tuning
from workers.annex.stream import AnnexEndedError
from workers.git.commit import committer_time
from workers.git.index_format import UnsupportedIndexError, scan, version_and_count
from workers.git.objectid import ObjectFormat
from workers.git.refname import parse_ref_name
from workers.git.tree_object import TreeObject
from workers.routing.rates import Rates
from workers.shell.request import Request, RequestError

SLOW_S: Final = 0.5
"""One input."""

_UUID: Final = b"5a2e1f20-0000-0000-0000-000000000001"
_LOG: Final = b"1700000000.5s 1 %b\n1700000001s 0 %b\n" % (_UUID, _UUID[::-1])
_MAP: Final = b"%b name=x groups=a timestamp=1700000000.25s\n" % _UUID
_EXPRESSION: Final = (
    b"(include=*.mp3 or exclude=a/*) and not (copies=2 or inbacklog) largerthan=1mb"
)
_SHA1: Final = bytes(range(20))
_TREE: Final = b"100644 a\0" + _SHA1 + b"40000 d\0" + _SHA1 + b"120000 l\0" + _SHA1
_ENTRY: Final = (
    bytes(24) + (0o100644).to_bytes(4, "big") + bytes(12) + _SHA1 + b"\0\x03abc" + bytes(7)
)
_INDEX: Final = b"DIRC\0\0\0\2\0\0\0\2" + _ENTRY * 2 + bytes(20)


@final
@dataclass(frozen=True, slots=True)
class Parser:
    """One of them."""

    parse: Callable[[bytes], object]
    examples: tuple[bytes, ...]
    refuses: tuple[type[Exception], ...] = (ValueError,)


def _text(parse: Callable[[str], object]) -> Callable[[bytes], object]:
    return lambda data: parse(data.decode(errors="surrogateescape"))


def _index(data: bytes) -> object:
    _version, count = version_and_count(data)
    return scan(data, ObjectFormat.SHA1, count, 0)


def _limits(data: bytes) -> object:
    return [each.format() for each in limit.parse(None, data)]


def _url(data: bytes) -> object:
    return remoteurl.parse(
        data.decode(errors="surrogateescape"), top=Path("/top"), home=Path("/home/me")
    )


_SOCKET: Final = bytes(68) + struct.pack("=IHH", 7, 156, 2) + bytes(range(152))

ALL: Final[dict[str, Parser]] = {
    "key": Parser(key.parse, (b"WORM-s3-m1700000000-S100-C2--a/b%c&d:e.tar.gz",)),
    "file name of a key": Parser(key.from_file, (b"SHA256E-s3--a%b&sc&ad&ce.verylongextension",)),
    "name in the spool": Parser(transfer.from_name, (b"SHA256E-s4096--0123456789abcdef.dat",)),
    "uuid": Parser(transfer.parse_uuid, (_UUID,)),
    "info": Parser(Info.parse, (b"1795345404.092631086s 131008\nphotos/a b.jpg\n",)),
    "record": Parser(record.parse_record, (b"name value\\n\\xff\nother \\u202e\n",)),
    "state": Parser(State.parse, (b"idle 57\npending 3\nheld a\\nb\n",)),
    "reach": Parser(Reach.parse, (b"reach here\nsince 1700000000.000\nwhy none\nuuid x\n",)),
    "exchange": Parser(
        Exchange.parse, (b"last_success 1.5\nfailing_since 2\nfailures 3\nlast_error x\n",)
    ),
    "rates": Parser(Rates.parse, (b"to-u-1 1000000 0.05 1700000000\n",)),
    "bulletin": Parser(
        Bulletin.parse, (b"pid 7\nstarted 1.5\ntoken abc\nready 2.5\nworker watcher 8 1.5 0 up\n",)
    ),
    "hold": Parser(says_when, (b"1700000000",)),
    "limit": Parser(_limits, (b"up 500kB until 1795361274.5\ndown none\n",)),
    "what is spent": Parser(Count.parse, (b"12345.678901 7000000 7250000\n",)),
    "location log": Parser(location.locations, (_LOG,)),
    "presence log": Parser(presence.parse, (_LOG,)),
    "path of a log": Parser(location.log_key, (b"1f8/2a0/SHA256E-s3--ab.c.log",)),
    "map log": Parser(maplog.by_uuid, (_MAP,)),
    "named map log": Parser(maplog.by_name, (b"1700000000s name value\n",)),
    "number log": Parser(maplog.number, (b"1700000000s 2\n",)),
    "uuid.log": Parser(uuidlogs.descriptions, (_MAP,)),
    "trust.log": Parser(uuidlogs.trust, (b"%b 1 timestamp=1700000000s\n" % _UUID,)),
    "group.log": Parser(uuidlogs.groups, (_MAP,)),
    "remote.log": Parser(uuidlogs.remote_settings, (_MAP + b"%b type=S3 a=&32;b\n" % _UUID,)),
    "union of logs": Parser(lambda data: union.merge(b"uuid.log", (data, _MAP)), (_MAP,)),
    "preferred content": Parser(_text(expression.parse), (_EXPRESSION,)),
    "glob": Parser(_text(glob.matcher), (b"a*[b-d]?[!x].{}(",)),
    "data size": Parser(_text(datasize.parse), (b"1.5 gigabytes", b"100kb")),
    "pointer": Parser(pointer.parse_pointer, (b"/annex/objects/SHA256E-s3--ab.c\n",)),
    "link": Parser(pointer.parse_link, (b"../.git/annex/objects/aa/bb/SHA256-s1--a/SHA256-s1--a",)),
    "relinked": Parser(
        lambda data: pointer.relink(data, b"d/file", Tuning()),
        (b"../.git/annex/objects/aa/bb/SHA256-s1--a/SHA256-s1--a",),
    ),
    "answer of the kernel's": Parser(lambda data: list(tcp.parse(data)), (_SOCKET,)),
    "p2p word": Parser(p2p.unescape, (b"a%20b%%c",)),
    "event of git-annex transferrer": Parser(
        transferring.parse, (b"om 3 text", b"op 4096", b"ops 4096", b"t"), (AnnexEndedError,)
    ),
    "remote's url": Parser(
        _url, (b"ssh://me@[::1]:22/~/a", b"host:dir", b"../x", b"file:///a%20b")
    ),
    "command of a client": Parser(
        lambda data: Request.parse(["-c", data.decode(errors="surrogateescape")], None),
        (b"git-annex-shell 'p2pstdio' '/~/dir' 'U' --uuid X", b"git-receive-pack 'a'"),
        (RequestError, ValueError),
    ),
    "ref name": Parser(parse_ref_name, (b"refs/heads/a-b/c.d@x",)),
    "tree": Parser(lambda data: TreeObject(data, ObjectFormat.SHA1).oids(), (_TREE,)),
    "committer": Parser(committer_time, (b"tree x\ncommitter a <b> 1700000000 +0000\n\nm\n",)),
    "index": Parser(_index, (_INDEX,), (ValueError, UnsupportedIndexError)),
}


def broken(luck: random.Random, data: bytes) -> bytes:
    """Something near ``data``: a few bytes changed, cut out, doubled or put in."""
    damaged = bytearray(data)
    for _ in range(luck.randint(1, 4)):
        at = luck.randint(0, len(damaged))
        match luck.randrange(5):
            case 0:
                damaged[at:at] = luck.choice(
                    (b"\n", b"\0", b"-", b"--", b"%", b"&", b".", b"/", b"s", b"(", b"not ")
                )
            case 1:
                del damaged[at : at + luck.randint(1, 8)]
            case 2:
                damaged[at:at] = damaged[at : at + luck.randint(1, 300)]
            case 3:
                damaged[at : at + 1] = luck.randbytes(1)
            case _:
                damaged[at:at] = b"9" * luck.randint(1, 400)
    return bytes(damaged)


def fuzz(name: str, count: int, seed: int) -> str | None:
    """Give it so many inputs; what is wrong, with the input, or None."""
    parser = ALL[name]
    luck = random.Random(f"{seed} R {name}")
    for number in range(count):
        data = broken(luck, parser.examples[number % len(parser.examples)])
        before = time.thread_time()
        try:
            parser.parse(data)
        except parser.refuses:
            pass
        except Exception as wrong:  # noqa: BLE001 -- that is what is looked for
            return f"{name}: {wrong!r} for {data!r}"
        took_s = time.thread_time() - before
        if took_s > SLOW_S:
            return f"{name}: {took_s:.1f} s for {data!r}"
    return None
