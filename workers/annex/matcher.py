"""Expressions made into functions: parsed once, asked for every key.

A function answers True, False, or None: only git-annex knows.  ``and`` and ``or`` get by with a
half-known answer where they can (``nothing and balanced=x`` is False whatever ``balanced`` says).

What the terms mean is the business of whoever compiles: ``preferred`` for contents, ``addpolicy``
for files that are added.

Pure.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Generic, TypeVar, final

from workers.annex.expression import AllOf, Expression, Not, Term

Subject = TypeVar("Subject")
Match = Callable[[Subject], bool | None]
"""Whether the expression holds of the subject; None if that cannot be told here."""


class BySize(IntEnum):
    """Whether an answer depends on how much repositories have."""

    NO = 0
    ROOM = 1
    """On whether there is room, below ``git annex maxsize``."""

    SHARE = 2
    """On who has the greatest part of its size."""


@final
@dataclass(frozen=True, slots=True)
class Compiled(Generic[Subject]):
    """An expression that can be asked."""

    match: Match[Subject]

    certain: bool = True
    """``match`` never returns None."""

    by_presence: bool = False
    """It wants content more where it is than where it is not, as ``present`` does."""

    by_absence: bool = False
    """The other way round, as ``not present`` does: it is not stable."""

    by_path: bool = False
    """Its answer may differ between two files with the same content."""

    by_size: BySize = BySize.NO


def compile_expression(
    expression: Expression, term: Callable[[Term], Compiled[Subject]]
) -> Compiled[Subject]:
    """Compile an expression, given what compiles its terms.  Raises what that raises."""
    if isinstance(expression, Term):
        return term(expression)
    if isinstance(expression, Not):
        return _not(compile_expression(expression.of, term))
    parts = [compile_expression(part, term) for part in expression.of]
    return all_of(parts) if isinstance(expression, AllOf) else any_of(parts)


def always(*, answer: bool) -> Compiled[Subject]:
    """An expression with that answer to everything."""
    return Compiled(lambda _subject: answer)


def unknown(*, by_presence: bool = False, by_size: BySize = BySize.NO) -> Compiled[Subject]:
    """An expression that only git-annex can answer."""
    return Compiled(lambda _subject: None, False, by_presence, by_path=True, by_size=by_size)  # noqa: FBT003 -- fields


def all_of(parts: Sequence[Compiled[Subject]]) -> Compiled[Subject]:
    """What holds if all of them hold."""
    matches = [part.match for part in parts]
    certain = all(part.certain for part in parts)
    return _joined(parts, _all(matches) if certain else _all_known(matches))


def any_of(parts: Sequence[Compiled[Subject]]) -> Compiled[Subject]:
    """What holds if one of them holds."""
    matches = [part.match for part in parts]
    certain = all(part.certain for part in parts)
    return _joined(parts, _any(matches) if certain else _any_known(matches))


def _joined(parts: Sequence[Compiled[Subject]], match: Match[Subject]) -> Compiled[Subject]:
    return Compiled(
        match,
        certain=all(part.certain for part in parts),
        by_presence=any(part.by_presence for part in parts),
        by_absence=any(part.by_absence for part in parts),
        by_path=any(part.by_path for part in parts),
        by_size=max((part.by_size for part in parts), default=BySize.NO),
    )


def _not(inner: Compiled[Subject]) -> Compiled[Subject]:
    ask = inner.match

    def match(subject: Subject) -> bool | None:
        answer = ask(subject)
        return None if answer is None else not answer

    return Compiled(
        match,
        certain=inner.certain,
        by_presence=inner.by_absence,
        by_absence=inner.by_presence,
        by_path=inner.by_path,
        by_size=inner.by_size,
    )


def _all(parts: Sequence[Match[Subject]]) -> Match[Subject]:
    def match(subject: Subject) -> bool:
        for part in parts:  # noqa: SIM110 -- a generator would cost more than the question
            if not part(subject):
                return False
        return True

    return match


def _any(parts: Sequence[Match[Subject]]) -> Match[Subject]:
    def match(subject: Subject) -> bool:
        for part in parts:  # noqa: SIM110 -- as above
            if part(subject):
                return True
        return False

    return match


def _all_known(parts: Sequence[Match[Subject]]) -> Match[Subject]:
    def match(subject: Subject) -> bool | None:
        answers = [part(subject) for part in parts]
        return False if False in answers else None if None in answers else True

    return match


def _any_known(parts: Sequence[Match[Subject]]) -> Match[Subject]:
    def match(subject: Subject) -> bool | None:
        answers = [part(subject) for part in parts]
        return True if True in answers else None if None in answers else False

    return match
