"""Whether inotify tells anything: in some sandboxes watches are granted, and nothing is heard."""

import os

from inotify_simple import INotify
from inotify_simple import flags as inotify


def is_silent(instance: INotify, directory: bytes) -> bool:
    """Try it, with an instance that has no watches yet: the directory is opened."""
    try:
        wd = instance.add_watch(directory, inotify.OPEN)
        os.close(os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        heard = instance.read(timeout=0)
        instance.rm_watch(wd)
        instance.read(timeout=0)  # that it is watched no more
    except OSError:
        return False  # whoever has to watch it finds out
    return not heard
