"""Another exchange after one that failed: a lock may be in its way that a dead git has left."""

import os

from workers.abandoned import Abandoned
from workers.annex.repository import Repository
from workers.foreign import Others
from workers.pusher.exchange import exchange
from workers.pusher.values import Outcome, Task


def exchange_again(here: Repository, task: Task, others: Others) -> Outcome:
    """As ``exchange``, with such locks removed before, here and where the remote is a path."""
    gitdirs = {here.git.gitdir, here.common}
    places = {*gitdirs, here.top}
    if task.peer is not None:
        gitdirs |= {task.peer.gitdir, task.peer.common}
        places |= gitdirs if task.peer.bare else {*gitdirs, task.peer.gitdir.parent}
    Abandoned(map(os.fsencode, places), map(os.fsencode, gitdirs)).sweep()
    return exchange(here, task, others)
