"""Look at everything; and look twice before calling anything wrong.

Next to a working annexd, or a git-annex command, half of what is looked at is just changing: an
object has come and its location is not logged yet.  So what looks wrong is only suspected.  The
checks that suspect something look again, and only what they suspect again, in the same words, is
told: once nobody has worked here between two looks, or after half a minute, in which nothing that
is on its way stays the same.

DIAGNOSTICS: what cannot be looked at is told as such, and counts as "cannot look".
"""

import select
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, final

from annexd.deep import (
    journals,
    locations,
    neighbours,
    ownstate,
    refstate,
    spooled,
    unlocked,
    worktree,
)
from annexd.deep.atwork import somebody_works
from annexd.deep.scene import Scene, look_around
from annexd.finding import Finding, fine, wrong
from spool.place import Place
from workers.git.run import GitError
from workers.git.stream import StreamEndedError

PAUSES_S: Final = (1.0, 2.0, 4.0, 8.0, 15.0)
"""Between one look and the next.  Nothing tells that something has *not* changed."""

SUSPECTS_MAX: Final = 20_000
"""That one check remembers; a repository that has more wrong with it is told so all the same."""

SHOWN_MAX: Final = 20
"""Findings of one check that are told one by one."""

Look = Callable[[Scene], Iterator[Finding]]


@final
@dataclass(frozen=True, slots=True)
class Check:
    """One kind of question."""

    well: str
    """What is said if nothing is wrong."""

    look: Look
    """Finds what is wrong."""

    is_final: bool = False
    """What it finds is not in motion, and need not be looked at twice."""


CHECKS: Final = (
    Check("the spool holds what it should, and no lock without an owner", spooled.look),
    Check("annexd's own directory is in order", ownstate.look),
    Check("no ref is torn, no lock or unfinished merge is left behind", refstate.look),
    Check("git-annex's journal and index can be read", journals.look),
    Check("what is here is logged here, what is logged here is here", locations.look),
    Check("the files of the work tree are what the index says", worktree.look),
    Check("git-annex's database knows the unlocked files", unlocked.look),
    Check("the remotes that can be reached are the right ones", neighbours.look),
)

HASHED: Final = Check("the contents are what their keys say", locations.look_into, is_final=True)


@final
@dataclass(slots=True)
class Verdict:
    """What was found."""

    wrong: int = 0
    unseen: int = 0
    """Checks that could not look."""

    suspects: dict[Check, dict[str, Finding]] = field(default_factory=dict)
    failures: dict[Check, str] = field(default_factory=dict)


def examine_deeply(
    place: Place, verdict: Verdict, checks: Iterable[Check] = CHECKS
) -> Iterator[Finding]:
    """Tell everything; ``verdict`` says afterwards how much of it is wrong.

    Raises ``RepositoryError``, ``GitError``, ``ValueError`` if nothing can be looked at.
    """
    asked = tuple(checks)
    was_quiet = not somebody_works(place)
    scene = look_around(place)
    for check in asked:
        verdict.suspects[check] = _collect(check, scene, verdict)
    for pause_s in PAUSES_S:
        if not any(found and not check.is_final for check, found in verdict.suspects.items()):
            break
        select.select((), (), (), pause_s)
        _doubt(look_around(place), verdict)
        is_quiet = not somebody_works(place)
        if is_quiet and was_quiet:
            break
        was_quiet = is_quiet
    for check in asked:
        yield from _told(check, verdict)


def _collect(check: Check, scene: Scene, verdict: Verdict) -> dict[str, Finding]:
    try:
        found = islice(check.look(scene), SUSPECTS_MAX)
        return {each.text: each for each in found}
    except (OSError, GitError, StreamEndedError, LookupError) as failure:
        verdict.failures[check] = str(failure)
        return {}


def _doubt(scene: Scene, verdict: Verdict) -> None:
    """Look again, and keep what is still so."""
    for check, suspects in verdict.suspects.items():
        if suspects and not check.is_final:
            again = _collect(check, scene, verdict)
            verdict.suspects[check] = {
                text: each for text, each in suspects.items() if text in again
            }


def _told(check: Check, verdict: Verdict) -> Iterator[Finding]:
    suspects = verdict.suspects[check]
    verdict.wrong += len(suspects)
    if check in verdict.failures:
        verdict.unseen += 1
        yield wrong(f"could not find out whether {check.well}: {verdict.failures[check]}")
    elif not suspects:
        yield fine(check.well)
    yield from islice(suspects.values(), SHOWN_MAX)
    if len(suspects) > SHOWN_MAX:
        yield wrong(f"and {len(suspects) - SHOWN_MAX} more of that kind")


def with_hashes() -> tuple[Check, ...]:
    """All checks, and that every content is what its key says, which reads all of them."""
    return (*CHECKS, HASHED)
