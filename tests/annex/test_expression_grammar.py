"""git-annex is the oracle for how terms are joined."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.annex.world import World, key, uuid
from workers.annex.expression import ExoticExpressionError, Expression, Term, parse
from workers.annex.matcher import Compiled, always, compile_expression


def answer(expression: Expression) -> bool | None:
    """What an expression of ``anything`` and ``nothing`` comes to."""

    def term(found: Term) -> Compiled[None]:
        return always(answer=found.name == "anything")

    return compile_expression(expression, term).match(None)


def generate(rng: random.Random, depth: int) -> str:
    """A random expression; parentheses and implicit operators wherever they may be."""
    shape = rng.random()
    if depth == 0 or shape < 0.25:
        return rng.choice(["anything", "nothing"])
    if shape < 0.4:
        return f"not {generate(rng, depth - 1)}"
    if shape < 0.6:
        return f"({generate(rng, depth - 1)})"
    operator = rng.choice([" and ", " or ", " "])
    return generate(rng, depth - 1) + operator + generate(rng, depth - 1)


def test_expressions_mean_what_they_mean_to_git_annex(world: World) -> None:
    rng = random.Random(20261026)  # noqa: S311 -- the same expressions in every run
    ours: dict[str, bool | None] = {}
    while len(ours) < 400:
        text = generate(rng, rng.randint(1, 7))
        try:
            parsed = parse(text)
        except ExoticExpressionError:
            continue
        assert parsed is not None
        ours[text] = answer(parsed)
    files = {f"f{number}": uuid(number) for number in range(len(ours))}
    world.pretend({name.encode(): key(1) for name in files}, {})
    world.pretend_wanted(
        {where: text.encode() for where, text in zip(files.values(), ours, strict=True)}
    )

    wanted = world.wanted_pairs((where, name) for name, where in files.items())

    theirs = {text: name in wanted for text, name in zip(ours, files, strict=True)}
    assert ours == theirs


def test_git_annex_loses_track_of_nested_parentheses_so_we_ask_it(world: World) -> None:
    """Why an implicit "and" in parentheses is exotic; fails when git-annex mends it."""
    world.pretend({b"f": key(1)}, {})
    world.pretend_wanted({uuid(1): b"(nothing (anything or anything))"})

    assert world.wanted_pairs([(uuid(1), "f")]) == {"f"}


LEAVES = st.sampled_from(["anything", "nothing"])
OPERATORS = st.sampled_from(["and", "or"])


def nested(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    joined = st.tuples(inner, OPERATORS, inner).map("({0[0]} {0[1]} {0[2]})".format)
    return st.one_of(inner.map("not ({})".format), joined)


@settings(max_examples=200)
@given(st.recursive(LEAVES, nested))
def test_fully_parenthesised_expressions_mean_what_python_says(text: str) -> None:
    python = text.replace("anything", "True").replace("nothing", "False")

    parsed = parse(text)

    assert parsed is not None
    assert answer(parsed) is eval(python)  # noqa: S307 -- our own text of True, and, or, not
