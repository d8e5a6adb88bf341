"""Why the git-annex branch, or git's own history, cannot be read or written now, by no bug of ours.

A repository is damaged (a power cut, a bad disk), was never initialised, or somebody else is too
quick for us.  Whoever meets one of these says so and tries again: a person may mend it.
"""

from typing import Final

from workers.annex.commit import BranchBusyError
from workers.annex.lockfile import HeldTooLongError
from workers.annex.record import BranchMissingError
from workers.git.refs import BrokenRefError
from workers.git.run import GitError
from workers.git.stream import MissingObjectError

FAILURES: Final = (
    *(GitError, BranchBusyError, BranchMissingError, BrokenRefError),
    MissingObjectError,
    HeldTooLongError,
)
"""A git child that has died is another matter: it is started again (``StreamEndedError``)."""
