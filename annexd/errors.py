"""What goes wrong for the person who gave a command."""

import errno
import os

_ADVICE = {
    errno.EACCES: "; run annexd as the owner of the repository",
    errno.EPERM: "; run annexd as the owner of the repository",
    errno.EAGAIN: "; allow more processes: ulimit -u",
    errno.EMFILE: "; allow more: ulimit -n 1024",
    errno.EROFS: "; mount it read-write",
    errno.ENOSPC: "; free some space",
    errno.EBADMSG: " (a checksum of the file system's own is wrong); check it: fsck",
    errno.EUCLEAN: " (the file system is damaged); check it: fsck",
}


def names_file(failure: OSError) -> bool:
    """Whether it says which file it is about; the number of a descriptor tells nobody anything."""
    return isinstance(failure.filename, str | bytes)


def describe(failure: OSError) -> str:
    """What the system refused, and what to do, in one line."""
    about = f"{os.fsdecode(failure.filename)!r}: " if names_file(failure) else ""
    return f"{about}{failure.strerror}{_ADVICE.get(failure.errno or 0, '')}"


class AnnexdError(Exception):
    """One line for stderr: what is wrong, and what to do."""

    exit_status = 100
    """100: will not work until something is changed.  111: temporary, try again."""


class CommandLineError(AnnexdError):
    """What was typed makes no sense."""

    exit_status = 2


class TemporaryError(AnnexdError):
    """It may work the next time."""

    exit_status = 111
