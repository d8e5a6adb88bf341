"""The system calls that change something, by number and by what they are given.

Numbers: <asm/unistd_64.h> of x86-64, and <asm-generic/unistd.h> of the others that are told apart
here.  ``program`` is a filter of seccomp(2) that stops a process at each of them.
"""

import errno
import fcntl
import os
import platform
import struct
from dataclasses import dataclass
from typing import Final, final

_X86_64: Final = {
    "write": 1,
    "open": 2,
    "pwrite64": 18,
    "writev": 20,
    "sendfile": 40,
    "fcntl": 72,
    "fsync": 74,
    "fdatasync": 75,
    "truncate": 76,
    "ftruncate": 77,
    "rename": 82,
    "mkdir": 83,
    "rmdir": 84,
    "creat": 85,
    "link": 86,
    "unlink": 87,
    "symlink": 88,
    "chmod": 90,
    "fchmod": 91,
    "openat": 257,
    "mkdirat": 258,
    "unlinkat": 263,
    "renameat": 264,
    "linkat": 265,
    "symlinkat": 266,
    "fchmodat": 268,
    "utimensat": 280,
    "fallocate": 285,
    "pwritev": 296,
    "syncfs": 306,
    "renameat2": 316,
    "copy_file_range": 326,
    "fchmodat2": 452,
}
_GENERIC: Final = {
    "fcntl": 25,
    "mkdirat": 34,
    "unlinkat": 35,
    "symlinkat": 36,
    "linkat": 37,
    "renameat": 38,
    "truncate": 45,
    "ftruncate": 46,
    "fallocate": 47,
    "fchmod": 52,
    "fchmodat": 53,
    "openat": 56,
    "write": 64,
    "writev": 66,
    "pwrite64": 68,
    "pwritev": 70,
    "sendfile": 71,
    "fsync": 82,
    "fdatasync": 83,
    "utimensat": 88,
    "syncfs": 267,
    "renameat2": 276,
    "copy_file_range": 285,
    "fchmodat2": 452,
}


@final
@dataclass(frozen=True, slots=True)
class Machine:
    """How one kind of processor names the calls."""

    audit: int
    """AUDIT_ARCH_*, <linux/audit.h>."""
    seccomp: int
    numbers: dict[str, int]


MACHINES: Final = {
    "x86_64": Machine(0xC000003E, 317, _X86_64),
    "aarch64": Machine(0xC00000B7, 277, _GENERIC),
}


def machine() -> Machine | None:
    """This one; None if its numbers are not known here."""
    return MACHINES.get(platform.machine())


# What stands where among a call's arguments.

FIRST_FD: Final = frozenset(
    {"write", "pwrite64", "writev", "pwritev", "sendfile", "fcntl", "fsync", "fdatasync"}
    | {"ftruncate", "fchmod", "fallocate", "syncfs"}
)
"""Calls whose first argument is the descriptor of what they change."""

PATHS: Final = {
    "open": ((None, 0),),
    "creat": ((None, 0),),
    "truncate": ((None, 0),),
    "rename": ((None, 0), (None, 1)),
    "mkdir": ((None, 0),),
    "rmdir": ((None, 0),),
    "link": ((None, 0), (None, 1)),
    "unlink": ((None, 0),),
    "symlink": ((None, 1),),
    "chmod": ((None, 0),),
    "openat": ((0, 1),),
    "mkdirat": ((0, 1),),
    "unlinkat": ((0, 1),),
    "renameat": ((0, 1), (2, 3)),
    "renameat2": ((0, 1), (2, 3)),
    "linkat": ((0, 1), (2, 3)),
    "symlinkat": ((1, 2),),
    "fchmodat": ((0, 1),),
    "fchmodat2": ((0, 1),),
    "utimensat": ((0, 1),),
}
"""Calls that name what they change: arguments with the directory's descriptor, and the name."""

OUT_FD: Final = {"copy_file_range": 2}

AT_FDCWD: Final = -100

_NO_SPACE: Final = (errno.ENOSPC, errno.EDQUOT, errno.EIO)
_NEW_NAME: Final = (*_NO_SPACE, errno.EROFS, errno.EACCES)
ERRORS: Final[dict[str, tuple[int, ...]]] = {
    **dict.fromkeys(("write", "pwrite64", "writev", "pwritev", "copy_file_range"), _NO_SPACE),
    **dict.fromkeys(("open", "openat", "creat"), (*_NEW_NAME, errno.EMFILE, errno.ENFILE)),
    **dict.fromkeys(("mkdir", "mkdirat", "symlink", "symlinkat"), _NEW_NAME),
    **dict.fromkeys(("link", "linkat", "rename", "renameat", "renameat2"), _NEW_NAME),
    **dict.fromkeys(("fsync", "fdatasync", "syncfs"), (errno.EIO, errno.ENOSPC)),
    **dict.fromkeys(("ftruncate", "truncate", "fallocate"), _NO_SPACE),
    **dict.fromkeys(("unlink", "unlinkat", "rmdir"), (errno.EIO, errno.EROFS)),
    **dict.fromkeys(("chmod", "fchmod", "fchmodat", "utimensat"), (errno.EROFS, errno.EIO)),
    "fcntl": (errno.ENOLCK, errno.EAGAIN),
}
"""What may go wrong with each."""

# The filter.

_STATEMENT: Final = struct.Struct("=HBBI")
_LOAD, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_ALLOW, _NOTIFY = 0x7FFF0000, 0x7FC00000
_NUMBER, _ARCH, _ARGS = 0, 4, 16
_CREATES: Final = os.O_CREAT | os.O_TRUNC
_LOCKS: Final = (fcntl.F_SETLK, fcntl.F_SETLKW, fcntl.F_OFD_SETLK, fcntl.F_OFD_SETLKW)


def program(of: Machine) -> bytes:
    """The filter: instructions of classic BPF over ``struct seccomp_data``."""
    made = [
        _statement(_LOAD, _ARCH),
        _statement(_EQUAL, of.audit, yes=1),
        _statement(_RETURN, _ALLOW),
        _statement(_LOAD, _NUMBER),
    ]
    for name, number in of.numbers.items():
        match name:
            case "open":
                made += _if_number(number, _if_bit(1))
            case "openat":
                made += _if_number(number, _if_bit(2))
            case "fcntl":
                made += _if_number(number, _if_one_of(1, _LOCKS))
            case _:
                made += _if_number(number, [_statement(_RETURN, _NOTIFY)])
    return b"".join([*made, _statement(_RETURN, _ALLOW)])


def _if_number(number: int, then: list[bytes]) -> list[bytes]:
    return [_statement(_EQUAL, number, no=len(then)), *then]


def _if_bit(argument: int) -> list[bytes]:
    return [
        _statement(_LOAD, _ARGS + 8 * argument),
        _statement(_ANY_BIT, _CREATES, no=1),
        _statement(_RETURN, _NOTIFY),
        _statement(_RETURN, _ALLOW),
    ]


def _if_one_of(argument: int, values: tuple[int, ...]) -> list[bytes]:
    tests = [_statement(_EQUAL, each, yes=len(values) - at) for at, each in enumerate(values)]
    return [
        _statement(_LOAD, _ARGS + 8 * argument),
        *tests,
        _statement(_RETURN, _ALLOW),
        _statement(_RETURN, _NOTIFY),
    ]


def _statement(code: int, value: int, *, yes: int = 0, no: int = 0) -> bytes:
    return _STATEMENT.pack(code, yes, no, value)
