r"""The text of a transfer-info file, byte for byte as git-annex writes it.

``1795345404.092631086s 131008\nphotos/a.jpg\n``: when it was started (or queued), Unix time with an
``s`` after it; a space and the bytes done, once known; a newline; the associated file, any bytes,
newlines among them; a newline (Logs/Transfer.hs, writeTransferInfo).  Either number may be missing;
without an associated file the second line is empty.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Self, final

TEXT_MAX_BYTES = 65536
"""Sixteen times PATH_MAX; what is longer was not written by git-annex or by us."""

_FIRST_LINE = re.compile(rb"(?:(-?[0-9]{1,15}(?:\.[0-9]{1,18})?)s?)?(?: ([0-9]{1,19}))?")


@final
@dataclass(frozen=True, slots=True)
class Info:
    """What is known about a waiting, running or failed transfer."""

    started: Decimal | None = None
    """Unix time, s, exact: git-annex writes nanoseconds, a float would lose them."""
    bytes_done: int | None = None
    associated_file: bytes | None = None
    """Relative to the top of the work tree; never empty."""

    @classmethod
    def begun(cls, now: float, associated_file: bytes | None = None) -> Self:
        """A transfer that is queued, or starts, at ``now``."""
        return cls(Decimal(f"{now:.6f}"), None, associated_file or None)

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read the text; ``ValueError`` if it is too long or its first line is something else.

        An empty file is an Info that knows nothing: so ``touch`` makes a job.
        """
        line, _, rest = data.partition(b"\n")
        match = _FIRST_LINE.fullmatch(line) if len(data) <= TEXT_MAX_BYTES else None
        if match is None:
            raise ValueError(f"not a transfer info: {line[:80]!r}")
        started, bytes_done = match.groups()
        return cls(
            None if started is None else Decimal(started.decode()),
            None if bytes_done is None else int(bytes_done),
            rest.removesuffix(b"\n") or None,
        )

    def format(self) -> bytes:
        """The text; ``parse`` gives it back.  At most ``TEXT_MAX_BYTES``, else ``ValueError``."""
        line = b"" if self.started is None else _seconds(self.started)
        if self.bytes_done is not None:
            line += b" %d" % self.bytes_done
        text = b"%s\n%s\n" % (line, self.associated_file or b"")
        if len(text) > TEXT_MAX_BYTES:
            raise ValueError(f"associated file too long: {len(text)} bytes")
        return text


def _seconds(time: Decimal) -> bytes:
    """As git-annex shows a POSIXTime: no exponent, no trailing zeros, an ``s``."""
    text = format(time, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return text.encode() + b"s"
