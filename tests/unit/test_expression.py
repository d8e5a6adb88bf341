"""The grammar; that git-annex reads it so is tested in tests/annex/test_expression_grammar.py."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.annex.expression import (
    TOKENS_MAX,
    AllOf,
    AnyOf,
    ExoticExpressionError,
    Not,
    Term,
    parse,
)

A, B, C = Term("a", None), Term("b", "1"), Term("c", "=")


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("", None),
        (" \t\u00a0\u3000", None),
        ("a", A),
        ("c==", C),
        ("a and b=1", AllOf((A, B))),
        ("a b=1", AllOf((A, B))),
        ("a or b=1 and c==", AllOf((AnyOf((A, B)), C))),
        ("a and b=1 or c==", AnyOf((AllOf((A, B)), C))),
        ("not a and b=1", AllOf((Not(A), B))),
        ("not not a", Not(Not(A))),
        ("not(a or b=1)", Not(AnyOf((A, B)))),
        ("a(b=1)c==", AllOf((A, B, C))),
        ("((a))", A),
        ("a\u2003or\x0cb=1", AnyOf((A, B))),
    ],
)
def test_terms_are_joined_from_left_to_right(text: str, parsed: object) -> None:
    assert parse(text) == parsed


@pytest.mark.parametrize(
    "text",
    [
        *("(", ")", "(a", "a)", "()", "a and", "and a", "or", "not", "a or and b", "not and a"),
        "(a b)",
        "(a (b or c))",
        " ".join(["a"] * (TOKENS_MAX + 1)),
    ],
)
def test_what_is_not_well_formed_is_left_to_git_annex(text: str) -> None:
    with pytest.raises(ExoticExpressionError):
        parse(text)


@given(st.lists(st.sampled_from(["a", "b=", "and", "or", "not", "(", ")", " "]), max_size=500))
def test_no_sequence_of_words_breaks_it(words: list[str]) -> None:
    try:
        parse(" ".join(words))
    except ExoticExpressionError:
        return


def test_the_deepest_expression_that_is_read_is_not_too_deep() -> None:
    parse("not " * (TOKENS_MAX - 1) + "a")
    parse("(" * (TOKENS_MAX // 2 - 1) + "a" + ")" * (TOKENS_MAX // 2 - 1))
    parse(" ".join(["a and b or"] * (TOKENS_MAX // 4 - 1)) + " c")
