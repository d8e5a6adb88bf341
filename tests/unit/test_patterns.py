"""Regular expressions hold only what every Python matches rightly that annexd runs with."""

import ast
import warnings
from collections.abc import Iterator
from pathlib import Path

from tests.unit.test_layers import sources

with warnings.catch_warnings():  # deprecated, but there is no other parser with a public name
    warnings.simplefilter("ignore", DeprecationWarning)
    import sre_parse

BROKEN = {"POSSESSIVE_REPEAT", "ATOMIC_GROUP"}
"""Before Python 3.11.5 they take what matched in part, too (python/cpython#106052)."""


def broken_in(pattern: str | bytes) -> set[str]:
    """Which of ``BROKEN`` a pattern has; none if it is only a part of one."""
    text = pattern.decode("latin-1") if isinstance(pattern, bytes) else pattern
    try:
        told = repr(sre_parse.parse(text))
    except sre_parse.error:
        return set()
    return {name for name in BROKEN if name in told}


def patterns(source: str) -> Iterator[tuple[int, str | bytes]]:
    """Line and text of what is given to the functions of ``re``."""
    for call in ast.walk(ast.parse(source)):
        if isinstance(call, ast.Call) and ast.unparse(call.func).startswith("re."):
            for node in ast.walk(call):
                if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
                    yield node.lineno, node.value


def told(path: Path) -> list[str]:
    """Where a file has something of ``BROKEN``."""
    found = patterns(path.read_text())
    return [f"{path}:{line}" for line, pattern in found if broken_in(pattern)]


def test_they_are_recognized() -> None:
    assert broken_in(rb"(?:[0-7] .{%d})*+") == {"POSSESSIVE_REPEAT"}
    assert broken_in(r"(?>a*)b") == {"ATOMIC_GROUP"}
    assert not broken_in(rb"(?:[0-7] .{%d})*")


def test_no_pattern_needs_a_newer_python() -> None:
    assert [line for path in sources() for line in told(path)] == []
