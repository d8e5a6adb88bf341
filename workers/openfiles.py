"""How many files a process may have open."""

import resource
from typing import Final

FILES_MAX: Final = 8192


def allow_many_files() -> int:
    """Raise the soft limit, as far as is allowed: a batch of transfers needs four for each job.

    Returns how many are allowed now.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_MAX if hard == resource.RLIM_INFINITY else min(FILES_MAX, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return FILES_MAX if soft == resource.RLIM_INFINITY else soft
