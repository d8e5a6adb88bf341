"""The lifeline: a pipe whose EOF means that the supervisor is gone, and then so are we.

The supervisor alone holds the write end.  When it ends, however it ends, the kernel closes that
end, and *the kernel* then sends SIGKILL to the worker's whole process group: the read end is
asynchronous (``O_ASYNC``), its owner is the group (``F_SETOWN``, negative) and its signal is
SIGKILL instead of SIGIO (``F_SETSIG``).  No code of ours has to run, so it works in the middle of
a computation, in a blocked system call, and on a stopped process, and the git children go too.

Owner and signal belong to the open file description, which fork shares.  So each worker opens the
pipe anew, through /proc, and a worker's setting does not replace its siblings'.
"""

import fcntl
import os
import select
import signal


def hang_on(read_end: int) -> None:
    """From now on this process group ends with whoever holds the write end.

    To be called by the leader of the group.  The caller has closed its copy of the write end.
    """
    own = os.open(f"/proc/self/fd/{read_end}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    os.close(read_end)
    fcntl.fcntl(own, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(own, fcntl.F_SETOWN, -os.getpid())
    fcntl.fcntl(own, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    # The signal is sent when the last writer goes.  Had it gone before the line above, there
    # would be none: so look once, now.
    poll = select.poll()
    poll.register(own, 0)
    if poll.poll(0):
        os.killpg(0, signal.SIGKILL)
