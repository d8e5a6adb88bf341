"""A file system that does not answer: its server, or its drive, has gone."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.processes import python, running, wait_until

needs_fuse = pytest.mark.skipif(
    os.geteuid() != 0 or not os.path.exists("/dev/fuse"), reason="only root can mount"
)

GONE = """
import ctypes, os, struct, sys
device = os.open("/dev/fuse", os.O_RDWR)
options = f"fd={device},rootmode=40000,user_id=0,group_id=0".encode()
libc = ctypes.CDLL(None, use_errno=True)
assert libc.mount(b"gone", os.fsencode(sys.argv[1]), os.fsencode(sys.argv[2]), 0, options) == 0
(unique,) = struct.unpack_from("=Q", os.read(device, 1 << 17), 8)
answer = struct.pack("=IIIIHHIIHHI28x", 7, 31, 4096, 0, 12, 10, 4096, 1, 0, 0, 0)
os.write(device, struct.pack("=IiQ", 16 + len(answer), 0, unique) + answer)
print("ready", flush=True)
while True:
    os.read(device, 1 << 17)
"""
"""Answers the kernel's first question (linux/fuse.h, FUSE_INIT), and no other, as sshfs may."""


@contextmanager
def hanging(path: Path, kind: str = "fuse.sshfs") -> Iterator[None]:
    """One at that path; who looks there cannot be killed before it has ended.

    ``kind`` is what the mount table calls it.
    """
    path.mkdir()
    said = path.with_name("gone")
    try:
        with running(python(GONE, path, kind), output=said):
            wait_until(lambda: said.exists() and b"ready" in said.read_bytes())
            yield
    finally:
        ctypes.CDLL(None).umount2(os.fsencode(path), 2)  # MNT_DETACH
