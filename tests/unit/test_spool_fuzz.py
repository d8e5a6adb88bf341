"""Ten thousand broken inputs for each parser: read, or refused with ValueError, and never slowly.

``ANNEXD_FUZZ=1000000`` runs a million each, as before a release.
"""

import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from spool import cache, key, transfer
from spool.info import Info

ROUNDS = int(os.environ.get("ANNEXD_FUZZ", "10000"))
SEED = 20261122

PARSERS: dict[str, tuple[Callable[[bytes], object], bytes]] = {
    "key": (key.parse, b"WORM-s3-m1700000000-S100-C2--a/b%c&d:e.tar.gz"),
    "file name of a key": (key.from_file, b"SHA256E-s3--a%b&sc&ad&ce.verylongextension"),
    "name in the spool": (transfer.from_name, b"SHA256E-s4096--0123456789abcdef.dat"),
    "uuid": (transfer.parse_uuid, b"5a2e1f20-0000-0000-0000-000000000001"),
    "info": (Info.parse, b"1795345404.092631086s 131008\nphotos/a b.jpg\n"),
}


def broken(luck: random.Random, data: bytes) -> bytes:
    """Something near ``data``: a few bytes changed, cut out, doubled or put in."""
    damaged = bytearray(data)
    for _ in range(luck.randint(1, 4)):
        at = luck.randint(0, len(damaged))
        match luck.randrange(5):
            case 0:
                damaged[at:at] = luck.choice(
                    (b"\n", b"\0", b"-", b"--", b"%", b"&", b".", b"/", b"s")
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


@pytest.mark.parametrize("what", PARSERS)
def test_broken_input_is_read_or_refused(what: str) -> None:
    parse, good = PARSERS[what]
    luck = random.Random(SEED)  # noqa: S311 -- a seed to repeat a failure with
    slowest_s = 0.0
    refused = 0
    for _ in range(ROUNDS):
        data = broken(luck, good)
        before = time.thread_time()
        try:
            parse(data)
        except ValueError:
            refused += 1
        slowest_s = max(slowest_s, time.thread_time() - before)

    assert 0 < refused < ROUNDS
    assert slowest_s < 0.1


def test_a_broken_cache_is_none_or_what_was_stored(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path / "cache")
    value = {b"key": [1, 2.5, None, "text"], "more": {b"\xff": b"x" * 50}}
    cache.store(path, 1, value)
    good = Path(os.fsdecode(path)).read_bytes()
    luck = random.Random(SEED)  # noqa: S311 -- a seed to repeat a failure with

    for _ in range(ROUNDS // 50):
        data = broken(luck, good)
        Path(os.fsdecode(path)).write_bytes(data)
        assert cache.load(path, 1) == (value if data == good else None)
