"""What annexd was started in: what of its environment is not to be relied on, and its terminal.

The work tree is where programs run, and what is in it comes from others: so a relative entry of
PATH, which means the directory that one stands in, would have a peer's ``git`` run.
"""

import os


def tidy() -> None:
    """Leave out what would do harm; to be called first of all."""
    if "PATH" in os.environ:
        entries = os.environ["PATH"].split(os.pathsep)
        os.environ["PATH"] = os.pathsep.join(filter(os.path.isabs, entries)) or os.defpath
    # git-annex does not look for another place by itself, as tempfile does.
    place = os.environ.get("TMPDIR")
    if place and not (os.path.isabs(place) and os.access(place, os.W_OK | os.X_OK)):
        del os.environ["TMPDIR"]


def has_terminal() -> bool:
    """Whether there is one that may go, and have us told by SIGHUP."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True
