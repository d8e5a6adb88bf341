"""Three-valued answers."""

import itertools

from workers.annex.expression import TOKENS_MAX, Term, parse
from workers.annex.matcher import Compiled, always, compile_expression, unknown

ANSWERS = (True, False, None)


def term(found: Term) -> Compiled[None]:
    if found.name == "unknown":
        return unknown()
    if found.name == "present":
        return Compiled(lambda _subject: True, by_presence=True)
    return always(answer=found.name == "true")


def compiled(text: str) -> Compiled[None]:
    parsed = parse(text)
    assert parsed is not None
    return compile_expression(parsed, term)


def possible(text: str) -> set[bool]:
    """The answers there are when every unknown may turn out either way."""
    found = set()
    for choice in itertools.product(("true", "false"), repeat=text.count("unknown")):
        decided = text
        for each in choice:
            decided = decided.replace("unknown", each, 1)
        found.add(compiled(decided).match(None) is True)
    return found


def test_an_answer_is_given_when_the_unknown_cannot_change_it() -> None:
    names = ("true", "false", "unknown")
    for a, first, b, second, c in itertools.product(
        names, ("and", "or"), names, ("and", "or", "and not", "or not"), names
    ):
        text = f"{a} {first} {b} {second} {c}"
        answers = possible(text)

        answer = compiled(text).match(None)

        assert answer in {None, *answers}, text
        # One unknown can always be decided by looking at both cases; so must we.
        if text.count("unknown") <= 1:
            assert answer is (answers.pop() if len(answers) == 1 else None), text


def test_what_depends_on_presence_is_found_under_any_nesting() -> None:
    assert compiled("present or true").by_presence
    assert not compiled("present or true").by_absence
    assert compiled("not (true and present)").by_absence
    assert not compiled("not (true and not present)").by_absence
    assert compiled("not (true and not present)").by_presence


def test_the_deepest_expression_can_be_asked() -> None:
    alternating = "true and true or " * (TOKENS_MAX // 4 - 1) + "false"
    negated = "not " * (TOKENS_MAX - 2) + "true"

    assert compiled(alternating).match(None) is True
    assert compiled(negated).match(None) is True
