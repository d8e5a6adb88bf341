"""Files that only git-annex can add: an unknown backend, an expression that only it understands."""

import logging
import os
from collections.abc import Callable, Sequence

from spool.record import escape
from workers.annex import oneshot
from workers.annex.repository import Repository
from workers.annex.stream import AnnexEndedError
from workers.rules import Rules

log = logging.getLogger(__name__)


def add_by_git_annex(
    repository: Repository, paths: Sequence[bytes], rules: Rules, breathe: Callable[[], None]
) -> bool:
    """Have them added and staged; False if git-annex gave up, and it is to be tried again."""
    options = ("-c", "annex.addunlocked=true") if rules.adds_unlocked else ()
    try:
        for result in oneshot.add(repository, paths, options):
            if result.reason:
                log.warning("skip %s: %s", escape(os.fsdecode(result.item)), result.reason)
            breathe()
    except AnnexEndedError as failure:
        log.warning("tempfail to add %d files: %s", len(paths), failure)
        return False
    return True
