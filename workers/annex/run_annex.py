"""Run git-annex once.

``git-annex`` itself, not ``git annex``: the wrapper is one more process, and not the one that holds
the locks.  Never call this while holding one of git-annex's locks (``workers.annex.lockfile``).

DIAGNOSTICS: ``GitError`` if it fails, ``GitTimeoutError`` if it does not end in time.
"""

from workers.annex.repository import Repository
from workers.git.run import TIMEOUT_S, run


def run_annex(
    repository: Repository,
    *args: str | bytes,
    stdin: bytes = b"",
    timeout_s: float = TIMEOUT_S,
) -> bytes:
    """Run one git-annex command in a repository to its end; returns its stdout."""
    return run(("git-annex", *args), cwd=repository.top, stdin=stdin, timeout_s=timeout_s)
