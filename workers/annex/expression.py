"""The grammar of git-annex's expressions: preferred content, ``annex.largefiles``, and others.

Terms are joined by ``and``, ``or``, ``not`` and parentheses, and by ``and`` where nothing is said.
There is no precedence: ``a or b and c`` is ``(a or b) and c``; ``not`` takes the one thing after
it.  Parentheses are found before words, so no term can contain one.  Words are separated by
whatever Unicode calls a space.  (git-annex 10.20261026, observed; the documentation is silent.)

git-annex gives a meaning to almost everything that is not well formed (``and``, ``(a``, ``a or``).
Nobody writes that on purpose, so here it is an ``ExoticExpressionError``: git-annex is asked.

Pure.
"""

import re
from dataclasses import dataclass
from typing import Final, final

TOKENS_MAX: Final = 400
"""More is not ours to read: the depth of our recursion is at most half of it."""

_TOKEN: Final = re.compile(
    "[()]|[^()\t-\r \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]+",
)


class ExoticExpressionError(ValueError):
    """An expression, or a part of it, that git-annex must read itself."""


@final
@dataclass(frozen=True, slots=True)
class Term:
    """``name`` or ``name=value``."""

    name: str
    value: str | None


@final
@dataclass(frozen=True, slots=True)
class Not:
    """The opposite of an expression."""

    of: "Expression"


@final
@dataclass(frozen=True, slots=True)
class AllOf:
    """Expressions joined by ``and``."""

    of: tuple["Expression", ...]


@final
@dataclass(frozen=True, slots=True)
class AnyOf:
    """Expressions joined by ``or``."""

    of: tuple["Expression", ...]


Expression = Term | Not | AllOf | AnyOf


def parse(text: str) -> Expression | None:
    """What the text says; None if it says nothing at all.

    Raises ``ExoticExpressionError``.
    """
    tokens = _TOKEN.findall(text)
    if len(tokens) > TOKENS_MAX:
        raise ExoticExpressionError("too long")
    tokens.reverse()  # so that pop() takes the next one
    expression = _sequence(tokens, depth=0)
    if tokens:
        raise ExoticExpressionError("a parenthesis that is not open is closed")
    return expression


def _sequence(tokens: list[str], depth: int) -> Expression | None:
    """Up to a closing parenthesis, which stays, or to the end."""
    so_far: Expression | None = None
    while tokens and tokens[-1] != ")":
        if tokens[-1] not in {"and", "or"}:
            if depth and so_far is not None:
                # git-annex loses track of parentheses here: (a (b or c)) is ((a and b) or c).
                raise ExoticExpressionError("no operator between two things in parentheses")
            so_far = _both(so_far, _operand(tokens, depth))
        elif so_far is None:
            raise ExoticExpressionError(f"nothing before {tokens[-1]}")
        elif tokens.pop() == "and":
            so_far = _both(so_far, _operand(tokens, depth))
        else:
            so_far = _either(so_far, _operand(tokens, depth))
    return so_far


def _operand(tokens: list[str], depth: int) -> Expression:
    token = tokens.pop() if tokens else ")"
    if token == "not":  # noqa: S105 -- a word, no password
        return Not(_operand(tokens, depth))
    if token == "(":  # noqa: S105
        inner = _sequence(tokens, depth + 1)
        if inner is None or not tokens:
            raise ExoticExpressionError("a parenthesis is empty or not closed")
        tokens.pop()
        return inner
    if token in {"and", "or", ")"}:
        raise ExoticExpressionError("an operator has nothing to work on")
    name, equals, value = token.partition("=")
    return Term(name, value if equals else None)


def _both(left: Expression | None, right: Expression) -> Expression:
    if left is None:
        return right
    return AllOf((*left.of, right) if isinstance(left, AllOf) else (left, right))


def _either(left: Expression, right: Expression) -> Expression:
    return AnyOf((*left.of, right) if isinstance(left, AnyOf) else (left, right))
