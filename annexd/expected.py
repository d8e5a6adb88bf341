"""What a command may end with where it is not annexd's fault, and what a person is told of it."""

import errno

from annexd.errors import AnnexdError, TemporaryError, describe, names_file
from spool.errnos import DAMAGED, FULL, LACKING
from workers.annex.repository import RepositoryError
from workers.git.run import GitError
from workers.trouble import TroubleError

EXPECTED = (AnnexdError, RepositoryError, GitError, TroubleError, OSError)
"""Other exceptions are bugs."""

_DISK = DAMAGED | FULL | {errno.EROFS}


def for_person(failure: Exception) -> AnnexdError | None:
    """One of ``EXPECTED`` as a line, with its exit status; None if a person could mend nothing."""
    if isinstance(failure, AnnexdError):
        return failure
    if isinstance(failure, OSError):
        if names_file(failure):
            return AnnexdError(describe(failure))
        return TemporaryError(describe(failure)) if failure.errno in _DISK | LACKING else None
    kind = AnnexdError if isinstance(failure, RepositoryError) else TemporaryError
    return kind(str(failure))
