"""Names and objects of the git-annex branch: pure rules, any bytes."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from spool.key import Key, parse, to_file
from spool.transfer import parse_uuid
from workers.annex.directory import parse_tree
from workers.annex.hashdirs import Tuning
from workers.annex.journal import to_name, to_path
from workers.annex.location import locations, log_key, log_path
from workers.annex.settings import Settings
from workers.annex.sharing import Sharing
from workers.git.stream import Found, ObjectId

NAMES = st.binary(min_size=1, max_size=60).filter(lambda name: not {0, 10, 13} & set(name))


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (b"uuid.log", b"uuid.log"),
        (b"8a8/cec/WORM-s3--a_b%c.log", b"8a8_cec_WORM-s3--a__b%c.log"),
        (b"foo_x/y.log", b"foo__x_y.log"),
    ],
)
def test_journal_files_are_named_as_git_annex_names_them(path: bytes, name: bytes) -> None:
    assert to_name(path) == name
    assert to_path(name) == path


@given(NAMES, st.builds(Tuning, one_level_logs=st.booleans()))
def test_a_log_leads_back_to_its_key(name: bytes, tuning: Tuning) -> None:
    key = parse(b"WORM-s1-m2--" + name)
    path = log_path(key, tuning)

    assert log_key(path) == key
    assert to_path(to_name(path)) == path


@given(st.binary(max_size=80))
def test_any_path_is_a_log_or_none(path: bytes) -> None:
    for each in (path, b"abc/def/" + path + b".log", b"abc/" + path + b".log"):
        key = log_key(each)
        assert key is None or each.endswith(b"/" + to_file(key) + b".log")


@given(st.binary(max_size=200))
def test_any_log_is_read(log: bytes) -> None:
    for uuid in locations(log + b"\n1s 1 " + log):
        assert uuid == parse_uuid(uuid)


@given(
    st.sampled_from([20, 32]), st.dictionaries(NAMES.filter(lambda n: b"/" not in n), st.binary())
)
def test_trees_are_read_whatever_their_names_and_objects(
    size: int, entries: dict[bytes, bytes]
) -> None:
    objects = {name: (data * size + bytes(size))[:size] for name, data in entries.items()}
    assume(not any(name.startswith(b"many") for name in objects))
    few = {name: b"100644 %b\0%b" % (name, raw) for name, raw in objects.items()}
    # As many as that are not taken apart.  git sorts a directory as if its name ended in a slash.
    names = [b"many%05d" % number for number in range(1000)]
    many = few | {name + b"/": b"40000 %b\0%b" % (name, bytes(size)) for name in names}

    for entries_there, directory in ((few, None), (many, (b"40000", names[500], bytes(size)))):
        tree = b"".join(entries_there[name] for name in sorted(entries_there))
        found = parse_tree(Found(ObjectId("0" * 2 * size), b"tree", len(tree), tree))

        assert {name: found.get(name) for name in objects} == {
            name: (b"100644", name, raw) for name, raw in objects.items()
        }
        assert found.get(names[500]) == directory


@given(st.binary(max_size=200))
def test_any_settings_are_read(listed: bytes) -> None:
    settings = Settings.parse(b"annex.uuid\nfirst\0" + listed + b"\0annex.version\n10\0core.bare\0")

    assert settings.get("annex.version") == "10"
    assert settings.flag("core.bare", default=False)
    assert settings.number("annex.nothing", 7) == 7


@given(st.text(max_size=8) | st.none(), st.integers(0, 0o7777))
def test_any_sharing_leaves_objects_read_only(value: str | None, mode: int) -> None:
    sharing = Sharing.parse(value)

    assert sharing.content(mode) & 0o222 == 0
    assert sharing.content(mode) & 0o400
    assert sharing.directory(0o700) & 0o700 == 0o700


def test_a_forged_key_gives_no_path() -> None:
    assert log_key(b"abc/def/WORM-s1--..%..%etc%passwd.log") == Key(b"WORM-s1--../../etc/passwd")
    assert log_key(b"abc/def/../x.log") is None
    assert log_key(b"abc/def/ghi/A--x.log") is None
    assert log_key(b"abd.log") is None
