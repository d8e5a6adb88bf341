"""The rules for conflicts, one by one; and that no rule knows a side."""

import hashlib
from collections.abc import Mapping
from itertools import product

import pytest

from workers.git.index_entry import EXECUTABLE, FILE, GITLINK, LINK, TREE
from workers.git.merge import Conflict
from workers.git.stream import ObjectId
from workers.git.tree import Version
from workers.resolve import UNKNOWN, Annexed, Background, EntryAt, Fate, resolve
from workers.variant import NAME_MAX, variant_names


def oid(text: str) -> ObjectId:
    return ObjectId(hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


ANNEXED: dict[ObjectId, Annexed] = {}


def annexed(key: str, mode: int) -> Version:
    """A pointer (or link) to ``key``."""
    version = Version(mode, oid(f"{mode == LINK} {key}"))
    ANNEXED[version.oid] = Annexed(key.encode(), key.encode().replace(b"/", b"%"))
    return version


def parse(version: Version) -> Annexed | None:
    return ANNEXED.get(version.oid) if version.mode in (FILE, EXECUTABLE, LINK) else None


def in_tree(tree: Mapping[bytes, Version]) -> EntryAt:
    return tree.get


def tag(identity: str) -> str:
    return hashlib.md5(identity.encode(), usedforsecurity=False).hexdigest()


TEXT, OTHER = sorted((Version(FILE, oid("text")), Version(FILE, oid("other"))))
SCRIPT = Version(EXECUTABLE, TEXT.oid)
SYMLINK = Version(LINK, oid("target"))
ONE, ONE_X, ONE_LOCKED = (annexed("KEY--1", mode) for mode in (FILE, EXECUTABLE, LINK))
TWO, TWO_LOCKED = annexed("KEY--2", FILE), annexed("KEY--2", LINK)
SUB, SUB2 = sorted((Version(GITLINK, oid("s")), Version(GITLINK, oid("s2"))))
DIRECTORY = Version(TREE, oid("tree"))

V1, V2 = (f"f.variant-{tag(key)[:4]}.x".encode() for key in ("KEY--1", "KEY--2"))
V_TEXT, V_OTHER, V_LINK = (
    f"f.variant-{tag(each.oid)[:4]}.x".encode() for each in (TEXT, OTHER, SYMLINK)
)

RULES = [
    ("different keys", ONE, TWO, {V1: ONE, V2: TWO, b"f.x": None}),
    ("different keys, one locked", ONE_LOCKED, TWO, {V1: ONE_LOCKED, V2: TWO, b"f.x": None}),
    ("the same key, one locked", ONE_LOCKED, ONE, {b"f.x": ONE}),
    ("the same key, one executable", ONE_X, ONE, {b"f.x": ONE_X}),
    ("the same key, locked and executable", ONE_X, ONE_LOCKED, {b"f.x": ONE_X}),
    ("annexed and text", ONE, TEXT, {b"f.x": TEXT, V1: ONE}),
    ("annexed and link", ONE_LOCKED, SYMLINK, {b"f.x": SYMLINK, V1: ONE_LOCKED}),
    ("text and text", TEXT, OTHER, {b"f.x": TEXT, V_OTHER: OTHER}),
    ("text and the same, executable", TEXT, SCRIPT, {b"f.x": SCRIPT}),
    ("text and link", OTHER, SYMLINK, {b"f.x": OTHER, V_LINK: SYMLINK}),
    ("annexed and deleted", ONE, None, {b"f.x": None, V1: ONE}),
    ("text and deleted", TEXT, None, {b"f.x": TEXT}),
    ("deleted twice", None, None, {b"f.x": None}),
    ("submodules", SUB, SUB2, {b"f.x": SUB}),
    ("submodule and annexed", SUB, ONE, {b"f.x": SUB, V1: ONE}),
    ("submodule and text", SUB, TEXT, {b"f.x": SUB, V_TEXT: TEXT}),
]


@pytest.mark.parametrize(
    ("ours", "theirs", "edits"), [r[1:] for r in RULES], ids=[r[0] for r in RULES]
)
def test_a_rule_and_its_mirror_image(
    ours: Version | None, theirs: Version | None, edits: dict[bytes, Version | None]
) -> None:
    base = Version(FILE, oid("base"))
    conflicts = [Conflict(b"f.x", base, *sides) for sides in ((ours, theirs), (theirs, ours))]
    one, other = (resolve([each], (), parse, in_tree({}), UNKNOWN) for each in conflicts)
    assert one.edits == edits
    assert one == other


@pytest.mark.parametrize(
    ("version", "expected"),
    [(ONE, {V1: ONE}), (TEXT, {V_TEXT: TEXT}), (SYMLINK, {V_LINK: SYMLINK}), (SUB, {})],
)
def test_a_directory_in_the_way_keeps_the_name(
    version: Version, expected: dict[bytes, Version | None]
) -> None:
    tree = {b"f.x": DIRECTORY}
    stray = b"f.x~1234"
    found = resolve([Conflict(b"f.x", None, None, version)], [stray], parse, in_tree(tree), UNKNOWN)
    assert found.edits == {stray: None} | expected
    assert found.notes[0].fate is (Fate.KEPT_CHANGED if expected else Fate.SUBMODULE_DROPPED)
    assert found.notes[0].names == tuple(expected)


@pytest.mark.parametrize(("base", "now"), [(ONE_LOCKED, ONE), (ONE, ONE_X), (TEXT, SCRIPT)])
def test_a_deletion_wins_over_a_change_of_form(base: Version, now: Version) -> None:
    """Otherwise unlocking a file would bring back what somebody has deleted."""
    found = resolve([Conflict(b"f", base, now, None)], (), parse, in_tree({}), UNKNOWN)
    assert found.edits == {b"f": None}
    assert found.notes[0].fate is Fate.GONE


@pytest.mark.parametrize("version", [ONE, TEXT, SYMLINK, SUB])
def test_what_only_one_side_has_ever_had_keeps_its_name(version: Version) -> None:
    """As after a rename that the other side knows nothing of."""
    found = resolve([Conflict(b"f", None, version, None)], (), parse, in_tree({}), UNKNOWN)
    assert found.edits == {b"f": version}


def test_each_conflict_is_decided_by_itself() -> None:
    """git-annex pairs "deleted by us" with whatever conflict is listed next."""
    conflicts = [
        Conflict(b"del.txt", TEXT, None, ONE),
        Conflict(b"foo.txt", TEXT, ONE, TWO),
        Conflict(b"goo.txt", SYMLINK, OTHER, TEXT),
    ]
    found = resolve(reversed(conflicts), (), parse, in_tree({}), UNKNOWN)
    one, two = tag("KEY--1")[:4].encode(), tag("KEY--2")[:4].encode()
    assert found.edits == {
        b"del.txt": None,
        b"del.variant-%s.txt" % one: ONE,
        b"foo.txt": None,
        b"foo.variant-%s.txt" % one: ONE,
        b"foo.variant-%s.txt" % two: TWO,
        b"goo.txt": TEXT,
        b"goo.variant-%s.txt" % tag(OTHER.oid)[:4].encode(): OTHER,
    }
    assert [note.path for note in found.notes] == [b"del.txt", b"foo.txt", b"goo.txt"]


OLD = [
    ("goes back, the other on", TWO, ONE, [ONE], {b"f.x": TWO}),
    ("goes back to another form", TWO_LOCKED, ONE_LOCKED, [ONE], {b"f.x": TWO_LOCKED}),
    ("text goes back", TEXT, OTHER, [OTHER], {b"f.x": TEXT}),
    ("both go back", TWO, ONE, [ONE, TWO], {b"f.x": None, V1: ONE, V2: TWO}),
    ("goes back, deleted there", ONE, None, [ONE], {b"f.x": None}),
    ("it was something else before", TWO, ONE, [TEXT], {b"f.x": None, V1: ONE, V2: TWO}),
]


@pytest.mark.parametrize(
    ("ours", "theirs", "past", "edits"), [row[1:] for row in OLD], ids=[row[0] for row in OLD]
)
@pytest.mark.parametrize("base", [Version(FILE, oid("base")), None])
def test_what_was_there_before_is_no_news(
    base: Version | None,
    ours: Version,
    theirs: Version | None,
    past: list[Version],
    edits: dict[bytes, Version | None],
) -> None:
    """A program may say again what it has seen a while ago."""
    if base is None and theirs is None:
        edits = {b"f.x": ours}  # somebody has brought it back
    for sides in ((ours, theirs), (theirs, ours)):
        conflict = Conflict(b"f.x", base, *sides)
        background = Background({b"f.x": past, b"other": [TWO]}, ({}, {}), ())
        found = resolve([conflict], (), parse, in_tree({}), background)
        assert found.edits == edits


@pytest.mark.parametrize(
    ("ours", "theirs", "we_had", "they_had", "edits"),
    [
        (TWO, ONE, [ONE], [], {b"f.x": TWO}),
        (TWO_LOCKED, ONE, [TEXT, ONE], [], {b"f.x": TWO_LOCKED}),
        (TEXT, OTHER, [OTHER], [], {b"f.x": TEXT}),
        (None, ONE, [ONE], [], {b"f.x": None}),
        (TWO, ONE, [ONE], [TWO], {b"f.x": None, V1: ONE, V2: TWO}),
        (TWO, ONE, [TWO], [ONE], {b"f.x": None, V1: ONE, V2: TWO}),
    ],
)
def test_what_the_other_side_has_gone_on_from_is_no_news(
    ours: Version | None,
    theirs: Version,
    we_had: list[Version],
    they_had: list[Version],
    edits: dict[bytes, Version | None],
) -> None:
    """It came here without the commit that it was in: with half of a merge, say."""
    base = Version(FILE, oid("base"))
    sides = [(ours, {b"f.x": we_had}), (theirs, {b"f.x": they_had})]
    for (one, ones), (other, others) in (sides, sides[::-1]):
        conflict = Conflict(b"f.x", base, one, other)
        background = Background({}, (ones, others), ())
        assert resolve([conflict], (), parse, in_tree({}), background).edits == edits


@pytest.mark.parametrize(("form", "edited"), [(ONE_LOCKED, TWO), (SCRIPT, OTHER)])
def test_an_edit_wins_over_a_change_of_form(form: Version, edited: Version) -> None:
    base = ONE if form == ONE_LOCKED else TEXT
    found = resolve([Conflict(b"f.x", base, form, edited)], (), parse, in_tree({}), UNKNOWN)
    assert found.edits == {b"f.x": edited}
    assert found.notes[0].fate is Fate.KEPT_NEWER


@pytest.mark.parametrize("version", [ONE, ONE_LOCKED, TEXT])
def test_what_a_program_has_deleted_unasked_keeps_its_name_with_an_edit(version: Version) -> None:
    base = Version(FILE, oid("base"))
    for sides in ((version, None), (None, version)):
        conflicts = [Conflict(name, base, *sides) for name in (b"f.x", b"g")]
        found = resolve(conflicts, (), parse, in_tree({}), Background({}, ({}, {}), {b"f.x"}))
        assert found.edits[b"f.x"] == version
        assert found.edits[b"g"] is None or version == TEXT


def test_a_name_that_is_taken_is_not_taken_away() -> None:
    """By another content, by a directory, or by a path that is in conflict itself."""
    for occupied in ({V1: TEXT}, {V1: DIRECTORY}, {V1: TWO}):
        found = resolve([Conflict(b"f.x", None, ONE, TWO)], (), parse, in_tree(occupied), UNKNOWN)
        assert found.edits == {b"f.x": None, b"f.variant-KEY--1.x": ONE, V2: TWO}
    conflicts = [Conflict(b"f.x", None, ONE, TWO), Conflict(V1, None, TEXT, OTHER)]
    found = resolve(conflicts, (), parse, in_tree({}), UNKNOWN)
    assert found.edits[V1] == TEXT
    assert ONE in found.edits.values()


def test_a_variant_that_is_there_already_is_that_variant() -> None:
    tree = {V1: ONE, V2: TWO_LOCKED}
    found = resolve([Conflict(b"f.x", None, ONE_LOCKED, TWO)], (), parse, in_tree(tree), UNKNOWN)
    assert found.edits == {b"f.x": None, V2: TWO}  # unlocked wins here too


def test_nothing_is_lost_and_no_side_is_preferred() -> None:
    """Every pair of versions, with every version as the base, in a tree that has one name taken."""
    versions = (TEXT, OTHER, SCRIPT, SYMLINK, ONE, ONE_X, ONE_LOCKED, TWO, TWO_LOCKED, None)
    for ours, theirs, base, taken in product(versions, versions, versions, (None, TEXT, ONE)):
        if ours == theirs or base in (ours, theirs):
            continue  # git would not ask
        tree = {V1: taken} if taken is not None else {}
        results = [
            resolve([Conflict(b"f.x", base, *sides)], (), parse, in_tree(tree), UNKNOWN)
            for sides in ((ours, theirs), (theirs, ours))
        ]
        assert results[0] == results[1]
        after = {name: v for name, v in (tree | results[0].edits).items() if v is not None}
        contents = {content(version) for version in after.values()}
        for side in (ours, theirs, taken):
            if side is not None and (base is None or content(side) != content(base)):
                assert content(side) in contents, (ours, theirs, base, taken)


def content(version: Version) -> str:
    found = parse(version)
    return version.oid if found is None else found.key.decode()


@pytest.mark.parametrize(
    "name",
    [b"n" * 255, b"n" * 251 + b".txt", "é".encode() * 127, b"d/" + b"x" * 254, b"a." + b"e" * 253],
)
def test_the_name_of_a_variant_is_never_too_long(name: bytes) -> None:
    """git-annex fails at such a conflict: a file system takes 255 bytes."""
    long_key = b"WORM-s1-m1--" + b"k" * 230
    for identity, long_name in ((b"K--1", b"K--1"), (long_key, long_key), (b"1" * 40, None)):
        names = variant_names(name, identity, long_name)
        several = [next(names) for _ in range(6)]
        assert len(set(several)) >= 4
        for each in several:
            assert len(each.rpartition(b"/")[2]) <= NAME_MAX
            assert b".variant-" in each
            assert each.startswith(b"d/") == name.startswith(b"d/")
        if name.decode(errors="replace").isascii() is False:
            several[0].decode()  # no character was cut in two
