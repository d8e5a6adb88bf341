"""Whether a failure means that somebody must do something about keys, passwords or host keys.

Pure.  Trying again is of no use then until something has changed: an agent, ``~/.ssh``.

Source: OpenSSH's sshconnect.c and sshconnect2.c; git's credential.c; tried with OpenSSH 9.2.
"""

import re
from typing import Final

_NEEDED: Final = re.compile(
    r"Permission denied \((?!os error)|Host key verification failed|"
    r"REMOTE HOST IDENTIFICATION HAS CHANGED|No \S+ host key is known|"
    r"Too many authentication failures|No (?:more|supported) authentication methods|"
    r"agent refused operation|communication with agent failed|"
    r"incorrect passphrase|Load key .*: (?:bad permissions|invalid format)|"
    r"could not read (?:Username|Password)|terminal prompts disabled|"
    r"Authentication failed for|HTTP (?:Basic: Access denied|401)|returned error: 40[13]",
    re.IGNORECASE,
)


def are_needed(error: str) -> bool:
    """Whether what ssh, git or git-annex said asks for a person and their keys."""
    return _NEEDED.search(error) is not None
