"""The transferrer's lines; that git-annex speaks them is tested in tests/annex."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spool.key import Key
from spool.transfer import UUID, Direction, Transfer
from workers.annex.stream import AnnexEndedError
from workers.annex.transferring import (
    Ended,
    Event,
    Message,
    Progress,
    Size,
    escape,
    parse,
    request,
    unescape,
)

UPLOAD = Transfer(Direction.UPLOAD, UUID(b"a-1"), Key(b"SHA256-s3--x"))


@given(st.binary())
def test_any_name_fits_into_a_line_and_comes_back(name: bytes) -> None:
    line = escape(name)

    assert b"\n" not in line
    assert line.isascii()
    assert unescape(line) == name


@pytest.mark.parametrize(
    ("line", "event"),
    [
        (b"t", Ended(success=True)),
        (b"f", Ended(success=False)),
        (b"ops 30000", Size(30000)),
        (b"op 32752", Progress(32752)),
        (b"oe   content is not present\\n", Message("content is not present")),
        (b"om \\n", None),
        (b"om caf\\303\\251", Message("café")),
        (b"opb", None),
        (b"ope", None),
        (b"opre", None),
        (b"oj {}", None),
        (b"onewer thing", None),
    ],
)
def test_a_line_says(line: bytes, event: Event | None) -> None:
    assert parse(line) == event


@pytest.mark.parametrize("line", [b"", b"x", b"true", b"op ", b"op x", b"op -1", b"ops 1 2"])
def test_another_line_breaks_the_protocol(line: bytes) -> None:
    with pytest.raises(AnnexEndedError):
        parse(line)


@given(st.binary(max_size=40))
def test_no_line_breaks_the_parser(line: bytes) -> None:
    try:
        parse(line)
    except AnnexEndedError:
        return


def test_a_request_names_the_remote_by_uuid_and_the_file_in_one_line() -> None:
    assert request(UPLOAD, b"a\nb c\xff") == b"au ua-1 SHA256-s3--x a\\012b c\\377\n"


def test_a_key_that_the_protocol_cannot_name_is_refused() -> None:
    spaced = Transfer(Direction.DOWNLOAD, UUID(b"a-1"), Key(b"WORM-s3-m1--a b"))

    with pytest.raises(ValueError, match="no way to name"):
        request(spaced, b"")
