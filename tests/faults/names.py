"""What a stopped process is about to change, in words: read from its memory and descriptors."""

import os
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, final

from tests.faults.systemcalls import AT_FDCWD, FIRST_FD, OUT_FD, PATHS, machine

_PATH_MAX: Final = 4096
_PAGE: Final = 4096
_PLACE: Final = "~"
_LONGEST: Final = 1 << 20


@final
@dataclass(frozen=True, slots=True)
class Call:
    """One system call."""

    number: int
    """The first one that changes something is 1."""
    name: str
    targets: tuple[str, ...]
    """What it changes; paths begin with ``~`` for the place that is watched."""
    program: str
    pid: int

    @property
    def kind(self) -> str:
        """The same for the same change in another run: without what is random in the names."""
        return f"{self.program} {self.name} {' -> '.join(map(_plain, self.targets))}"

    @property
    def is_of_a_file(self) -> bool:
        """A pipe is never full of a disk's errors."""
        return any(target.startswith(f"{_PLACE}/") for target in self.targets)

    def __str__(self) -> str:
        return f"#{self.number} {self.program} {self.name}({', '.join(self.targets)})"


def describe(number: int, pid: int, call: int, arguments: list[int], place: Path) -> Call | None:
    """The call; None if it changes nothing below ``place``, and tells no child of its own to."""
    name = _names()[call]
    targets = tuple(_targets(name, pid, arguments))
    inside = f"{place}/"
    if name == "write" and targets[0].startswith("pipe:"):
        if not _is_command(_memory(pid, arguments[1], min(arguments[2], _LONGEST))):
            return None
    elif not any(each.startswith(inside) for each in targets):
        return None
    shown = tuple(each.replace(inside, f"{_PLACE}/", 1) for each in targets)
    if shown == (f"{_PLACE}/.said",):
        return None
    return Call(number, name, shown, _program(pid), pid)


def _is_command(data: bytes) -> bool:
    """Whether this has ``git update-ref`` or ``git fast-import`` do something."""
    return data.startswith((b"start\0", b"commit\0")) or data.endswith(b"done\n")


@cache
def _names() -> dict[int, str]:
    known = machine()
    return {} if known is None else {number: name for name, number in known.numbers.items()}


def _targets(name: str, pid: int, arguments: list[int]) -> list[str]:
    if name in FIRST_FD:
        return [_descriptor(pid, arguments[0])]
    if name in OUT_FD:
        return [_descriptor(pid, arguments[OUT_FD[name]])]
    found = []
    for directory, path in PATHS[name]:
        if not arguments[path]:  # futimens(3): of the descriptor itself
            found.append(_descriptor(pid, arguments[directory or 0]))
            continue
        text = os.fsdecode(_string(pid, arguments[path]))
        if not text.startswith("/"):
            text = os.path.join(_directory(pid, directory, arguments), text)
        found.append(os.path.normpath(text))
    return found


def _directory(pid: int, argument: int | None, arguments: list[int]) -> str:
    if argument is not None:
        fd = _signed(arguments[argument])
        if fd != AT_FDCWD:
            return _descriptor(pid, fd)
    return os.readlink(f"/proc/{pid}/cwd")


def _signed(value: int) -> int:
    return (value & 0xFFFFFFFF) - (1 << 32 if value & 0x80000000 else 0)


def _descriptor(pid: int, fd: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/fd/{_signed(fd)}")
    except OSError:
        return f"descriptor {_signed(fd)}"


def _string(pid: int, address: int) -> bytes:
    """A path in the memory of a process, which may end at the end of a page."""
    found = b""
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        while b"\0" not in found and len(found) < _PATH_MAX:
            memory.seek(address + len(found))
            found += memory.read(_PAGE - (address + len(found)) % _PAGE)
    return found.partition(b"\0")[0]


def _memory(pid: int, address: int, size: int) -> bytes:
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        memory.seek(address)
        return memory.read(size)


def _program(pid: int) -> str:
    try:
        name = Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "?"
    # What is kept was found by contrib/torture, and is tried by pytest, or by its workers.
    return "python" if re.fullmatch(r"python[\d.]*|pytest", name) else name


def _plain(target: str) -> str:
    """Without process ids, random names, keys and object names."""
    target = re.sub(r"pipe:\[\d+\]", "pipe", target)
    target = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "UUID", target)
    target = re.sub(
        r"(tmp_obj|tmp_idx|tmp_pack|bulk_fsync|bulk-fsync|neutral)[-_]\w+", r"\1", target
    )
    target = re.sub(r"/[0-9a-f]{2}(?=/|$)", "/XX", target)
    target = re.sub(r"annex/objects/\w\w(/\w\w)?", "annex/objects/XX", target)
    return re.sub(r"[0-9a-f]{10,}|\d+", "N", target)
