"""What is made in a directory that a group may write to is the group's as well.

The spool knows no git, and so no ``core.sharedRepository``.  But git-annex has given its own
directory the mode that follows from it, and what we make below is to have the same, whatever the
umask: a lock that only its maker can open keeps all other users from that transfer.
"""

import contextlib
import os
import stat

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def share_directory(name: bytes, above_fd: int) -> None:
    """See that a directory which we have just made is as open as the one above it."""
    mode = os.fstat(above_fd).st_mode
    if not mode & stat.S_IWGRP:
        return
    with contextlib.suppress(FileNotFoundError):  # the spool may be deleted at any time
        fd = os.open(name, _DIRECTORY, dir_fd=above_fd)
        try:
            os.fchmod(fd, stat.S_IMODE(mode))
        finally:
            os.close(fd)


def share_file(fd: int, above: int | bytes) -> None:
    """The same for a file; ``above`` is its directory: a descriptor, or a path."""
    mode = os.stat(above).st_mode
    if mode & stat.S_IWGRP:
        with contextlib.suppress(PermissionError):  # it is another user's, so not new
            os.fchmod(fd, stat.S_IMODE(mode) & 0o666)
