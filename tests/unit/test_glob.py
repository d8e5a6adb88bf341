"""Globs; that git-annex reads them so is tested in tests/annex/test_expression_terms.py."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.annex.glob import BrokenGlobError, ExoticGlobError, matcher


@pytest.mark.parametrize(
    ("glob", "path", "matches"),
    [
        ("*", b"a/b", True),
        ("*", b"", True),
        ("*.mp3", b"d/x.mp3", True),
        ("*.MP3", b"d/x.mp3", False),
        ("archive/*", b"archive/x/y", True),
        ("archive/*", b"d/archive/x", False),
        ("*/archive/*", b"d/archive/x", True),
        ("a?c", b"a/c", True),
        ("a?c", "aéc".encode(), True),
        ("a?c", b"a\xffc", True),
        ("a?c", b"a\nc", False),
        ("b", b"a\nb", True),
        ("a.c", b"abc", False),
        ("[ab]c", b"bc", True),
        ("[!ab]c", b"bc", False),
        ("[^ab]c", b"cc", True),
        ("[!-~]c", b"-c", False),
        ("[!-~]c", b"+c", True),
        ("[a-]c", b"-c", True),
        ("a]", b"a]", True),
        ("\\*", b"\\x", True),
        ("*a*b*", b"xxaxxbxx", True),
        ("*a*b", b"bxa", False),
        ("a*a", b"a", False),
    ],
)
def test_a_glob_matches_whole_paths(glob: str, path: bytes, matches: bool) -> None:  # noqa: FBT001 -- a case
    assert matcher(glob)(path) is matches


@pytest.mark.parametrize("glob", ["[", "[]", "[!]", "a[b", "[z-a]", "\\["])
def test_what_git_annex_would_hang_over_is_broken(glob: str) -> None:
    with pytest.raises(BrokenGlobError):
        matcher(glob)


@pytest.mark.parametrize("glob", ["[[:alpha:]]", "[]a]", "[\\a]", "[a/b]"])
def test_a_class_that_git_annex_reads_oddly_is_left_to_it(glob: str) -> None:
    with pytest.raises(ExoticGlobError):
        matcher(glob)


def naive(glob: str, path: str) -> bool:
    if not glob:
        return not path
    if glob[0] == "*":
        return any(naive(glob[1:], path[at:]) for at in range(len(path) + 1))
    return bool(path) and glob[0] in {"?", path[0]} and naive(glob[1:], path[1:])


@given(st.text("ab*?é/", max_size=6), st.text("abé/", max_size=8))
def test_it_agrees_with_the_obvious_matcher(glob: str, path: str) -> None:
    assert matcher(glob)(path.encode()) == naive(glob, path)


@given(st.text(max_size=30), st.binary(max_size=30))
def test_no_glob_and_no_path_break_it(glob: str, path: bytes) -> None:
    try:
        matches = matcher(glob)
    except (BrokenGlobError, ExoticGlobError):
        return
    matches(path)


def test_a_hostile_glob_takes_no_longer_than_an_honest_one() -> None:
    matches = matcher("*a" * 200 + "*b")
    started = time.monotonic()

    for _ in range(50):
        assert not matches(b"a" * 4000)

    assert time.monotonic() - started < 2
