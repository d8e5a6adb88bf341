"""The kernel's limits on inotify, in words for a person."""

from typing import Final

from workers.trouble import TroubleError

WATCHES_ARE_USED_UP: Final = (
    "no inotify watches are left (fs.inotify.max_user_watches is too low): "
    "sudo sysctl fs.inotify.max_user_watches=1048576"
)
INSTANCES_ARE_USED_UP: Final = (
    "no inotify instances are left (fs.inotify.max_user_instances is too low): "
    "sudo sysctl fs.inotify.max_user_instances=1024"
)
INOTIFY_IS_SILENT: Final = "inotify tells nothing here, as in some sandboxes"


class WatchLimitError(TroubleError):
    """The kernel grants no more inotify watches, or instances."""
