"""What of the environment that annexd was started in is not to be relied on.

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
