"""Keys and their file names.  That git-annex agrees is in tests/annex/test_key_names.py."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spool import key as keys
from spool.key import Key

SAFE = settings(deadline=None)


def some_keys() -> st.SearchStrategy[bytes]:
    """What looks like a key, and mostly is one: every byte that may be special, often."""
    odd = st.sampled_from(
        [b"&", b"%", b":", b"/", b"-", b".", b" ", b"\xff", b"a", b"s", b"c", b"E"]
    )
    word = st.lists(odd | st.binary(min_size=1, max_size=3), max_size=12).map(b"".join)
    field = st.builds(
        lambda letter, number: b"-%s%d" % (letter, number),
        st.sampled_from([b"s", b"m", b"S", b"C"]),
        st.integers(0, 2**63),
    )
    fields = st.lists(field, max_size=4).map(b"".join)
    return st.builds(lambda *words: b"%s%s--%s" % words, word, fields, word)


@SAFE
@given(some_keys() | st.binary(max_size=300))
def test_a_file_name_gives_back_the_key_it_was_made_from(data: bytes) -> None:
    try:
        key = keys.parse(data)
    except ValueError:
        return
    name = keys.to_file(key)

    assert keys.from_file(name) == key
    assert len(name) <= 255
    assert b"/" not in name
    assert name not in (b"", b".", b"..")


@SAFE
@given(some_keys() | st.binary(max_size=300))
def test_a_file_name_that_is_accepted_is_the_only_one_of_its_key(name: bytes) -> None:
    try:
        key = keys.from_file(name)
    except ValueError:
        return

    assert keys.to_file(key) == name


@SAFE
@given(some_keys())
def test_the_parts_of_a_key_put_together_are_the_key(data: bytes) -> None:
    try:
        key = keys.parse(data)
    except ValueError:
        return
    parts = keys.parts(key)

    fields = zip(
        (b"s", b"m", b"S", b"C"),
        (parts.size, parts.mtime, parts.chunk_size, parts.chunk_number),
        strict=True,
    )
    middle = b"".join(b"-%s%d" % (letter, n) for letter, n in fields if n is not None)
    assert b"%s%s--%s" % (parts.backend, middle, parts.name) == key


@SAFE
@given(some_keys())
def test_a_chunk_s_key_leads_to_the_key_of_the_whole(data: bytes) -> None:
    try:
        key = keys.parse(data)
    except ValueError:
        return
    whole = keys.non_chunk(key)
    parts, of_whole = keys.parts(key), keys.parts(whole)

    assert (of_whole.chunk_size, of_whole.chunk_number) == (None, None)
    assert (of_whole.backend, of_whole.size, of_whole.mtime, of_whole.name) == (
        *(parts.backend, parts.size, parts.mtime),
        parts.name,
    )
    assert keys.non_chunk(whole) == whole


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"--",
        b"--name",
        b"-s3--name",
        b"SHA256-s3-name",
        b"SHA256-s--name",
        b"SHA256-s-1--name",
        b"SHA256-s3-s4--name",
        b"WORM-m4-s3--order",
        b"X-C1-S3--order",
        b"SHA256-s007--two spellings of one key",
        b"SHA256-s99999999999999999999--too big a number",
        b"SHA256-s3--new\nline",
        b"SHA256-s3--return\r",
        b"SHA256-s3--nul\0",
        b"SHA256E-s3--a." + b"x" * 64,
        b"SHA256-s3--" + b"x" * 245,
        b"SHA256-s3--" + b"/" * 10 + b"&" * 120,
    ],
)
def test_what_is_not_a_key_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a key"):
        keys.parse(data)


@pytest.mark.parametrize(
    "name",
    [
        *(b"", b".", b"..", b"a/b--c", b"lost+found", b"WORM--a:b", b"WORM--a&b", b"WORM--a&"),
        *(b"WORM--%" + b"x" * 250, b"../../etc/passwd", b"WORM--\0"),
    ],
)
def test_a_file_name_that_no_key_has_is_refused(name: bytes) -> None:
    with pytest.raises(ValueError, match="not "):
        keys.from_file(name)


def test_a_key_with_every_special_byte_is_spelled_as_git_annex_spells_it() -> None:
    """The vector of git-annex-formats.md, section 1.2."""
    key = Key(b"WORM-s3-m1700000000--a/b%c&d:e")

    assert keys.to_file(key) == b"WORM-s3-m1700000000--a%b&sc&ad&ce"
