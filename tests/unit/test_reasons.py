"""What a failed exchange is said to have failed by."""

from workers.git.run import GitError
from workers.pusher.reasons import explain


def test_of_what_git_said_the_reason_is_left() -> None:
    """Progress, advice, and that a signature is good, are none."""
    said = b"""\
gcrypt: Decrypting manifest
gpg: Signature made Mon Nov 30 16:04:03 2026 UTC
gpg:                using RSA key 211975ACAB57745C565B84463A5E1AAFA6450148
gpg: Good signature from "U <u@x>" [ultimate]
Counting objects:  50% (1/2)\rCounting objects: 100% (2/2), done.
git-annex: Push prevented due to an unverified special remote.

error: failed to push some refs to 'gcrypt::/hub.git'
hint: Updates were rejected
"""
    failure = GitError(("git", "push"), 1, said)

    assert explain(failure) == (
        "git-annex: Push prevented due to an unverified special remote. / "
        "error: failed to push some refs to 'gcrypt::/hub.git'"
    )
    assert explain(GitError(("git", "push"), 1, b"gpg: no default secret key")) == (
        "gpg: no default secret key"
    )
