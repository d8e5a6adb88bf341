"""Uuids and names in the spool."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spool import transfer
from spool.key import Key
from spool.transfer import Direction, Lane, Transfer, parse_uuid


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_a_uuid_is_always_safe_as_a_path_component_an_argument_and_a_word(data: bytes) -> None:
    try:
        uuid = parse_uuid(data)
    except ValueError:
        return

    assert 0 < len(uuid) <= 128
    assert uuid.decode("ascii").isprintable()
    assert not set(uuid) & set(b"/ \t\n\0")
    assert uuid[:1] not in (b".", b"-")


@pytest.mark.parametrize(
    "data",
    [b"", b".", b"..", b"-rf", b"a/b", b"a b", b"a\n", b"\x7f", b"\xc3\xa9", b"lck", b"x" * 129],
)
def test_what_is_not_fit_for_a_path_is_no_uuid(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a uuid"):
        parse_uuid(data)


@pytest.mark.parametrize(
    "data",
    [b"5a2e1f20-0000-0000-0000-000000000001", b"00000000-0000-0000-0000-000000000001", b"x" * 128],
)
def test_the_uuids_that_git_annex_makes_are_uuids(data: bytes) -> None:
    assert parse_uuid(data) == data


@pytest.mark.parametrize(
    "key",
    [b"WORM-s5-m1--" + b"k" * 240, b"lck.X-s5--name"],
    ids=["its lock's name would be too long", "its info file would be another key's lock"],
)
def test_a_key_that_cannot_be_transferred_has_no_name_in_the_spool(key: bytes) -> None:
    """git-annex 10.20261026 fails with ``File name too long`` for the first."""
    with pytest.raises(ValueError, match="cannot be transferred"):
        transfer.to_name(Key(key))
    with pytest.raises(ValueError, match="cannot be transferred"):
        transfer.from_name(key)


def test_a_transfer_shows_no_raw_bytes() -> None:
    uuid = parse_uuid(b"5a2e1f20-0000-0000-0000-000000000001")
    one = Transfer(Direction.UPLOAD, uuid, Key(b"WORM--\x1b[2J\xff"))

    assert str(one).isprintable()
    assert str(one).startswith("to/5a2e1f20")
    assert one.lane == Lane(Direction.UPLOAD, uuid)
