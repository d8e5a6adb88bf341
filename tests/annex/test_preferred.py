"""``git annex find --want-get-by`` and ``--want-drop-by`` are the oracle for what is wanted."""

import random

import pytest

from spool.key import Key
from spool.transfer import UUID
from tests.annex.world import World, by_name, by_uuid, key, log_path, uuid
from workers.annex import standardgroups
from workers.annex.contentterms import Content
from workers.annex.preferred import (
    GROUP,
    GROUP_PREFERRED,
    NUMCOPIES,
    PREFERRED,
    REMOTE,
    REQUIRED,
    TRUST,
    Preferences,
    Trouble,
)
from workers.annex.uuidlogs import Trust

REPOSITORIES = [uuid(number) for number in range(1, 8)]
ASKING = [uuid(100 + number) for number in range(20)]
GROUPS = [*standardgroups.EXPRESSIONS, "x", "y"]
DIRECTORIES = (
    "",
    "archive/",
    "d/archive/",
    "d/archive/e/",
    "public/",
    "d/public/",
    "work/",
    "a b/",
)
NUMCOPIES_OF = {b".c": 3, b".txt": 0}
ATTRIBUTES = b"*.c annex.numcopies=3\n*.txt annex.numcopies=0\n"


def content_of(preferences: Preferences, path: bytes, a_key: Key, at: frozenset[UUID]) -> Content:
    alive = preferences.alive(at)
    suffix = path[path.rfind(b".") :]
    return Content(a_key, path, alive, alive, NUMCOPIES_OF.get(suffix, preferences.numcopies))


class Files:
    """Files and where their contents are."""

    def __init__(self, rng: random.Random, count: int, asking: list[UUID]) -> None:
        self.keys: dict[bytes, Key] = {}
        self.locations: dict[Key, frozenset[UUID]] = {}
        for number in range(count):
            name = f"{rng.choice(DIRECTORIES)}{number}{rng.choice(['', '.c', '.txt', '.é'])}"
            a_key = rng.choice(
                [
                    key(number, rng.choice([0, 99, 100, 101, 1024, 10**6])),
                    key(number, 5),
                    Key(b"URL--http&c%%%%x%%%d" % number),
                    Key(b"WORM-s5-m1--%d" % number),
                    Key(b"MD5E-s5--%032d.c" % number),
                ]
            )
            self.keys[name.encode()] = a_key
            elsewhere = rng.sample(REPOSITORIES, rng.randint(0, 4))
            self.locations[a_key] = frozenset(elsewhere) | {
                each for each in asking if rng.random() < 0.5
            }


def differences(world: World, preferences: Preferences, files: Files, asking: UUID) -> list[str]:
    """What we say otherwise than git-annex; nothing for a repository without expressions."""
    if preferences.rule(asking) is None:
        return []
    get = world.find(f"--want-get-by={asking.decode()}")
    drop = world.find(f"--want-drop-by={asking.decode()}")
    found = []
    for path, a_key in files.keys.items():
        content = content_of(preferences, path, a_key, files.locations[a_key])
        wants = preferences.wants(asking, content)
        keeps = preferences.would_keep(asking, content)
        if wants not in {None, path in get} or keeps not in {None, path not in drop}:
            found.append(f"{path!r} {a_key!r}: wants {wants}, keeps {keeps}")
    return found


def one_term(rng: random.Random) -> str:
    group = rng.choice(GROUPS)
    count = rng.randint(0, 3)
    level = rng.choice(["trusted", "semitrusted", "untrusted", "dead"]) + rng.choice(["", "+"])
    glob = rng.choice(["*", "*.c", "archive/*", "*/archive/*", "[a-z]*", "1*", "?*", "d/*/*"])
    return rng.choice(
        [
            *(f"include={glob}", f"exclude={glob}", f"copies={count}", f"copies={group}:{count}"),
            *(f"copies={level}:{count}", f"lackingcopies={count}", f"approxlackingcopies={count}"),
            *(f"inbackend={rng.choice(['SHA256', 'URL', 'MD5E'])}", "securehash", "present"),
            *(f"inallgroup={group}", f"onlyingroup={group}", "inpreferreddir", "standard"),
            *("groupwanted", "unused", "largerthan=100b", "smallerthan=1.024kb", "anything"),
        ]
    )


def one_expression(rng: random.Random, depth: int) -> str:
    shape = rng.random()
    if depth == 0 or shape < 0.35:
        return one_term(rng)
    if shape < 0.5:
        return f"not ({one_expression(rng, depth - 1)})"
    if shape < 0.6:
        return f"({one_expression(rng, depth - 1)})"
    operator = rng.choice([" and ", " or "])
    return one_expression(rng, depth - 1) + operator + one_expression(rng, depth - 1)


def test_what_is_wanted_is_what_git_annex_says_is_wanted(world: World) -> None:
    """Random expressions, groups, trust and locations; other seeds by editing this one."""
    rng = random.Random(7)  # noqa: S311 -- the same world in every run
    files = Files(rng, 70, ASKING)
    logs = {
        PREFERRED: by_uuid(
            {each: one_expression(rng, rng.randint(0, 4)).encode() for each in ASKING}
        ),
        REQUIRED: by_uuid({each: one_expression(rng, 1).encode() for each in ASKING[:6]}),
        GROUP_PREFERRED: by_name(
            {
                rng.choice(GROUPS).encode(): f"{one_term(rng)} or not copies=1".encode()
                for _ in "123"
            }
        ),
        GROUP: by_uuid(
            {
                each: " ".join(rng.sample(GROUPS, rng.choice([0, 1, 1, 2]))).encode()
                for each in REPOSITORIES + ASKING
            }
        ),
        TRUST: by_uuid({each: rng.choice([b"1", b"0", b"X"]) for each in REPOSITORIES[:4]}),
        NUMCOPIES: b"1s 2\n",
        REMOTE: by_uuid(dict.fromkeys(ASKING[::3], b"type=x preferreddir=archive")),
    }
    world.pretend(files.keys, files.locations, ATTRIBUTES)
    world.pretend_logs(logs, known=REPOSITORIES + ASKING)
    preferences = Preferences.parse(logs, {})

    wrong = {each: differences(world, preferences, files, each) for each in ASKING}

    assert {each: what for each, what in wrong.items() if what} == {}


@pytest.mark.parametrize("group", standardgroups.EXPRESSIONS)
def test_a_standard_group_wants_what_git_annex_says(world: World, group: str) -> None:
    rng = random.Random(group)  # noqa: S311 -- the same world in every run
    me = ASKING[0]
    files = Files(rng, 60, [me])
    logs = {
        PREFERRED: by_uuid({me: b"standard"}),
        GROUP: by_uuid(
            {each: name.encode() for each, name in zip(REPOSITORIES, GROUPS, strict=False)}
            | {me: group.encode()}
        ),
        # Untrusted ones are a backup and an archive: what only they have is lacking.
        TRUST: by_uuid({REPOSITORIES[2]: b"0", REPOSITORIES[5]: b"0", REPOSITORIES[6]: b"X"}),
        REQUIRED: b"",
        GROUP_PREFERRED: b"",
        NUMCOPIES: b"",
        REMOTE: b"",
    }
    world.pretend(files.keys, files.locations)
    world.pretend_logs(logs, known=[*REPOSITORIES, me])

    assert differences(world, Preferences.parse(logs, {}), files, me) == []


EDGE_CASES = {
    "no standard group": ("standard", "", ""),
    "two standard groups": ("standard", "client manual", ""),
    "standard with another group": ("standard", "client x", ""),
    "not standard": ("not standard or include=*", "client", ""),
    "not manual": ("not standard or include=*", "manual", ""),
    "group's expression": ("groupwanted", "inc", ""),
    "two groups' expressions": ("groupwanted", "inc pres", ""),
    "no group's expression": ("groupwanted", "x", ""),
    "a blank one does not count": ("groupwanted", "inc blank", ""),
    "unstable inside a group's expression": ("groupwanted", "notpres", ""),
    "negated presence in a group's expression": ("not groupwanted or include=*", "pres", ""),
    "negated double negation": ("not groupwanted or include=*", "notpres", ""),
    "not present": ("not present", "", ""),
    "not present, or anything": ("not present or include=*", "", ""),
    "not not present": ("not (not present)", "", ""),
    "odd number of nots": ("not (include=* and not (not present))", "", ""),
    "not balanced": ("include=* or not balanced=x", "", ""),
    "not fully balanced": ("include=* or not fullybalanced=x", "", ""),
    "in all of a group that it is in": ("inallgroup=x", "x", ""),
    "only in a group that it is in": ("onlyingroup=x", "x", ""),
    "copies in a group that it is in": ("copies=x:1", "x", ""),
    "numcopies of the file": ("lackingcopies=1", "", ""),
    "required only": ("", "", "include=1*"),
    "required and preferred": ("include=2*", "", "include=1*"),
    "required is unstable": ("include=*", "", "not present"),
    "half known": ("nothing and metadata=a=b", "", ""),
}


@pytest.mark.parametrize(
    ("expression", "groups", "required"), EDGE_CASES.values(), ids=EDGE_CASES.keys()
)
def test_the_edges_are_where_git_annex_has_them(
    world: World, expression: str, groups: str, required: str
) -> None:
    me = ASKING[0]
    files = Files(random.Random(3), 30, [me])  # noqa: S311 -- the same world in every run
    logs = {
        PREFERRED: by_uuid({me: expression.encode()}),
        REQUIRED: by_uuid({me: required.encode()}),
        GROUP: by_uuid({me: groups.encode()}),
        GROUP_PREFERRED: by_name(
            {b"inc": b"include=1*", b"pres": b"present", b"notpres": b"not present", b"blank": b""}
        ),
        TRUST: b"",
        NUMCOPIES: b"",
        REMOTE: b"",
    }
    world.pretend(files.keys, files.locations, ATTRIBUTES)
    world.pretend_logs(logs, known=[me])
    preferences = Preferences.parse(logs, {})
    rule = preferences.rule(me)

    assert rule is not None
    left_to_git_annex = {"metadata", "fully", "lackingcopies"}
    assert (rule.trouble is Trouble.EXOTIC) is any(word in expression for word in left_to_git_annex)
    assert differences(world, preferences, files, me) == []


def test_an_expression_that_git_annex_does_not_know_is_left_to_it(world: World) -> None:
    """It takes the whole for ``present``, but a newer one may know the term."""
    me = ASKING[0]
    world.pretend({b"here": key(1), b"there": key(2)}, {key(1): [me]})
    world.pretend_wanted({me: b"newterm=5 or include=*"})
    preferences = Preferences.parse({PREFERRED: by_uuid({me: b"newterm=5 or include=*"})}, {})

    assert world.find(f"--want-get-by={me.decode()}") == {b"here"}
    rule = preferences.rule(me)
    assert rule is not None
    assert rule.trouble is Trouble.EXOTIC
    assert preferences.wants(me, content_of(preferences, b"here", key(1), frozenset())) is None


def test_an_expression_that_git_annex_hangs_over_moves_nothing() -> None:
    me = ASKING[0]
    preferences = Preferences.parse({PREFERRED: by_uuid({me: b"include=[ or include=*"})}, {})
    here = content_of(preferences, b"a", key(1), frozenset((me,)))
    away = content_of(preferences, b"a", key(1), frozenset())

    rule = preferences.rule(me)
    assert rule is not None
    assert rule.trouble is Trouble.BROKEN
    assert preferences.would_keep(me, here) is True
    assert preferences.wants(me, away) is False


def test_a_repository_without_an_expression_wants_everything() -> None:
    preferences = Preferences.parse({PREFERRED: by_uuid({ASKING[1]: b"  "})}, {})
    content = content_of(preferences, b"a", key(1), frozenset())

    assert preferences.wants(ASKING[0], content) is True
    assert preferences.wants(ASKING[1], content) is True


def test_the_configuration_says_the_last_word_about_trust() -> None:
    logs = {TRUST: by_uuid({ASKING[0]: b"1", ASKING[1]: b"X"})}

    preferences = Preferences.parse(
        logs, {ASKING[0]: Trust.DEAD, ASKING[1]: Trust.SEMITRUSTED, ASKING[2]: Trust.UNTRUSTED}
    )

    assert preferences.level(ASKING[0]) is Trust.DEAD
    assert preferences.level(ASKING[1]) is Trust.SEMITRUSTED
    assert preferences.level(ASKING[2]) is Trust.UNTRUSTED
    assert preferences.alive(frozenset(ASKING[:3])) == {ASKING[1], ASKING[2]}


def test_the_log_of_a_key_is_where_git_annex_looks_for_it(world: World) -> None:
    """So that the other tests' locations are real ones."""
    world.pretend({b"f": key(1)}, {key(1): [ASKING[0]]})
    world.pretend_logs({}, known=[ASKING[0]])

    assert world.find(f"--in={ASKING[0].decode()}") == {b"f"}
    assert log_path(key(1)).endswith(b".log")
