"""What a client asks of ``annexd shell`` is taken apart as a shell would, and never run by one."""

import os
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.shell.request import Allowance, Request, RequestError, expand

WORDS = st.lists(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8),
    max_size=5,
)


@given(st.text(max_size=60))
def test_any_line_is_a_request_or_refused(line: str) -> None:
    try:
        request = Request.parse((), line)
    except RequestError:
        return
    assert request.words


@given(WORDS)
def test_words_that_were_quoted_are_the_same_words_again(words: list[str]) -> None:
    line = shlex.join(["git-annex-shell", "inannex", "--", *words])

    assert Request.parse((), line).words == ("inannex", "--", *words)
    assert Request.parse(("-c", line), None) == Request.parse((), line)


@pytest.mark.parametrize(
    "line",
    [
        "git-annex-shell 'p2pstdio' '/a b' 'me' --uuid U",
        "'/usr/bin/annexd' shell p2pstdio '/a b' me --uuid=U",
        "git-annex-shell p2pstdio '/a b' me --uuid U -- associatedfile=--uuid --",
    ],
)
def test_parameters_end_at_the_fields(line: str) -> None:
    request = Request.parse((), line)

    assert (request.command, request.parameters) == ("p2pstdio", ("/a b", "me"))
    assert request.uuid == "U"
    assert not request.of_git


@pytest.mark.parametrize("line", ["git-upload-pack '/a'", "git upload-pack /a"])
def test_what_is_gits_is_known_by_its_name(line: str) -> None:
    request = Request.parse((), line)

    assert request.of_git
    assert (request.command, request.parameters) == ("git-upload-pack", ("/a",))


@pytest.mark.parametrize("line", ["git-upload-pack", "git-upload-pack --strict /a", "annexd", ""])
def test_what_says_too_little_or_too_much_is_refused(line: str) -> None:
    with pytest.raises(RequestError):
        Request.parse((), line)


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("/srv/a", "/srv/a"),
        ("a", "/home/u/a"),
        ("~/a", "/home/u/a"),
        ("/~/a", "/home/u/a"),
        ("~", "/home/u"),
        ("~nobody-of-that-name/a", "/home/u/~nobody-of-that-name/a"),
        ("a~", "/home/u/a~"),
    ],
)
def test_a_path_begins_at_home_unless_it_is_absolute(asked: str, meant: str) -> None:
    assert expand(asked, "/home/u") == meant


def test_another_users_home_is_known() -> None:
    assert expand("/~root/a", "/home/u") == os.path.expanduser("~root/a")


def test_a_restriction_that_is_set_to_anything_but_nothing_holds() -> None:
    names = ("READONLY", "APPENDONLY", "LIMITED", "DIRECTORY")
    none = Allowance.parse({f"GIT_ANNEX_SHELL_{name}": "" for name in names})
    everything = Allowance.parse({f"GIT_ANNEX_SHELL_{name}": "0" for name in names})

    assert none == Allowance(read_only=False, append_only=False, limited=False, directory=None)
    assert everything == Allowance(read_only=True, append_only=True, limited=True, directory="0")
