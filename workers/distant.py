"""File systems that other machines may be using at the same time, or that are not on this one.

They may hang when they are touched, or be mounted by it; inotify does not see what others do there,
nor does /proc show who does it.
"""

import os
from typing import Final

DISTANT: Final = frozenset(
    (
        *(
            b"nfs",
            b"nfs4",
            b"cifs",
            b"smb3",
            b"smbfs",
            b"ceph",
            b"afs",
            b"9p",
            b"lustre",
            b"glusterfs",
        ),
        *(b"fuse.sshfs", b"fuse.rclone", b"fuse.glusterfs", b"fuse.davfs", b"fuse.s3fs"),
        b"autofs",
    )
)

_DEVICE: Final = 2
"""The field of mountinfo that has the device.  Source: proc_pid_mountinfo(5)."""


def is_distant(status: os.stat_result) -> bool:
    """Whether a file is on such a file system, as far as the mount table knows."""
    device = b"%d:%d" % (os.major(status.st_dev), os.minor(status.st_dev))
    with open("/proc/self/mountinfo", "rb") as file:
        for line in file:
            before, _, after = line.partition(b" - ")
            if before.split(b" ")[_DEVICE] == device:
                return after.split(b" ")[0] in DISTANT
    return False
