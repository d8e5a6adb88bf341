"""Whether a failure means that somebody must do something about keys, passwords or host keys.

Pure.  Trying again is of no use then until something has changed: an agent, ``~/.ssh``, gpg's keys,
git-annex's ``creds``.

Source: OpenSSH's sshconnect.c and sshconnect2.c; git's credential.c; GnuPG's, S3's and WebDAV's
words as git-annex hands them on; tried with OpenSSH 9.2, GnuPG 2.2 and git-annex 10.20261026.
"""

import re
from typing import Final

NEEDED: Final = "needs credentials"
"""What ``are_needed`` takes for it in any case: to say it of words that are cut short."""

_NEEDED: Final = re.compile(
    rf"{NEEDED}|"
    # ssh's; in small letters it is a file's, as git-annex tells it
    r"(?-i:Permission denied \((?!os error))|Host key verification failed|"
    r"REMOTE HOST IDENTIFICATION HAS CHANGED|No \S+ host key is known|"
    r"Too many authentication failures|No (?:more|supported) authentication methods|"
    r"agent refused operation|communication with agent failed|"
    r"incorrect passphrase|Load key .*: (?:bad permissions|invalid format)|"
    r"could not read (?:Username|Password)|terminal prompts disabled|"
    r"Authentication failed for|HTTP (?:Basic: Access denied|401)|returned error: 40[13]|"
    # gpg
    r"No secret key|Inappropriate ioctl for device|Bad passphrase|No pinentry|Operation cancelled|"
    r"decryption failed|skipped: (?:No|Unusable) public key|"
    # S3, WebDAV, external special remotes
    r"Set both \S+ and \S+|No \S+ credentials|InvalidAccessKeyId|SignatureDoesNotMatch|"
    r"AccessDenied|ExpiredToken|statusCode = 40[13]|HTTP 40[13]|"
    r"(?:no|missing|invalid|wrong|needs?) (?:\w+ )?(?:credentials|password|passphrase|login)\b|"
    r"(?:credentials|password|passphrase|login) (?:\w+ )?"
    r"(?:needed|required|missing|invalid|expired|incorrect|wrong|not)\b",
    re.IGNORECASE,
)


def are_needed(error: str) -> bool:
    """Whether what ssh, git or git-annex said asks for a person and their keys."""
    return _NEEDED.search(error) is not None
