"""A broken cache is none; and never another one.  Of parsers: tests/faults/test_parsers.py.

``ANNEXD_FUZZ=1000000`` tries more.
"""

import os
import random
from pathlib import Path

from spool import cache
from tests.faults.parsers import broken

ROUNDS = int(os.environ.get("ANNEXD_FUZZ", "10000"))
SEED = 20261122


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
