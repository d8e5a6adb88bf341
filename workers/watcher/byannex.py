"""Files that only git-annex can add: an unknown backend, an expression that only it understands."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from workers.annex import oneshot
from workers.annex.repository import Repository
from workers.annex.stream import AnnexEndedError
from workers.watcher.rules import Rules

_MISCONFIGURED: Final = "git-annex: bad annex."
"""How it begins when an expression in a setting cannot be understood."""

log = logging.getLogger(__name__)


def add_by_git_annex(
    repository: Repository, paths: Sequence[bytes], rules: Rules, breathe: Callable[[], None]
) -> tuple[Mapping[bytes, str], Sequence[bytes]]:
    """Have them added and staged; which of them it failed to add, why; and which are uncertain.

    When one has failed, git-annex's exit status says nothing of the others.
    """
    options = ("-c", "annex.addunlocked=true") if rules.adds_unlocked else ()
    failed: dict[bytes, str] = {}
    added: list[bytes] = []
    try:
        for result in oneshot.add(repository, paths, options):
            if result.reason:
                failed[result.item] = result.reason
            elif result.done:
                added.append(result.item)
            breathe()
    except AnnexEndedError as failure:
        if _MISCONFIGURED in str(failure):  # so it added nothing, and will not
            return dict.fromkeys(paths, str(failure)), ()
        log.warning("tempfail to add %d files: %s", len(paths), failure)
        return {}, paths
    return failed, added if failed else ()
