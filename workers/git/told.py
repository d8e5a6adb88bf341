"""What a program said on stderr, line by line, without what is for its programmers only.

git-annex follows an error that it did not expect by the calls that led there, many lines of them.
"""

import re
from typing import Final

_BACKTRACE: Final = re.compile(r"(?:HasCallStack backtrace|CallStack \(from HasCallStack\)):\s*\Z")


def told(stderr: bytes) -> list[str]:
    """The lines that say something."""
    lines = []
    is_backtrace = False
    for line in stderr.decode(errors="backslashreplace").splitlines():
        is_backtrace = bool(_BACKTRACE.match(line)) or (is_backtrace and line.startswith(" "))
        if not is_backtrace and line.strip():
            lines.append(line)
    return lines
