"""git-annex is the authority on what is a key and how its file is named."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spool import key as keys
from tests.processes import attempt, run

EXAMINE = ("git-annex", "examinekey", "--format=${key}\\n${objectpointer}")
SPECIAL = [b"&", b"%", b":", b"/", b"-", b".", b"\xff", b"\xc3\xa9", b"a", b"s", b"c", b"E"]
BYTES = st.binary(min_size=1, max_size=2).filter(lambda two: not set(two) & set(b"\0 \t\n\v\f\r"))
WORDS = st.lists(st.sampled_from(SPECIAL) | BYTES, max_size=12).map(b"".join)
BACKENDS = WORDS.map(lambda word: word.replace(b"-", b"") or b"X")
NUMBERS = st.integers(0, 10**18)


def field(letter: bytes) -> st.SearchStrategy[bytes]:
    """An optional field."""
    return st.just(b"") | NUMBERS.map(lambda number: b"-%s%d" % (letter, number))


def is_key(data: bytes) -> bool:
    """Whether we say that it is a key."""
    try:
        keys.parse(data)
    except ValueError:
        return False
    return True


CANDIDATES = st.builds(
    lambda *words: b"%s%s%s%s%s--%s" % words,
    *(BACKENDS, field(b"s"), field(b"m"), field(b"S"), field(b"C"), WORDS),
)


@settings(deadline=None, max_examples=10)
@given(st.lists(CANDIDATES.filter(is_key), min_size=30, max_size=60))
def test_what_we_call_a_key_is_one_and_its_file_is_named_the_same(candidates: list[bytes]) -> None:
    lines = run([*EXAMINE, "--batch"], stdin=b"".join(one + b"\n" for one in candidates))

    answers = lines.split(b"\n")
    assert answers[0::2][: len(candidates)] == candidates
    for candidate, pointer in zip(candidates, answers[1::2], strict=True):
        name = pointer.removeprefix(b"/annex/objects/")
        assert keys.to_file(keys.parse(candidate)) == name
        assert keys.from_file(name) == candidate


@pytest.mark.parametrize(
    "data",
    [
        *(b"--abc", b"-s3--abc", b"SHA256", b"SHA256-abc", b"SHA256-s--abc", b"SHA256-s-1--abc"),
        *(b"SHA256-s3-s4--abc", b"SHA256-m4-s3--abc", b"X-C1-S3--n", b"A-x--n", b"A-sx--n"),
        *(b"A-s3x--n", b"A-s+3--n", b"A-s0x3--n", b"WORM-s3-m-5--x", b"A-S2-m3--n"),
        *(b"SHA256E-s3--abc." + b"x" * 64, b"E--." + b"x" * 64, b"SHA256E-s3--a.b." + b"x" * 62),
    ],
)
def test_what_git_annex_calls_no_key_is_none(data: bytes) -> None:
    status, _ = attempt([*EXAMINE, "--", data])

    assert status != 0
    assert not is_key(data)


@pytest.mark.parametrize(
    "data",
    [
        *(b"A--", b"A---", b"A/B--n", b"A--n\xff", b"A--n--m", b"A.E--n.abc", b"..--..", b"A--."),
        *(b"X-s3-m4-S5-C6--n", b"X-C1--n", b"A-S5-C0--x", b"WORMm5--x", b"A-s3--s4--n", b"A-s0--n"),
        *(b"SHA256E-s3--abc." + b"x" * 63, b"SHA256-s3--abc." + b"x" * 65, b"fooe--n." + b"x" * 70),
    ],
)
def test_what_git_annex_calls_a_key_is_one(data: bytes) -> None:
    status, said = attempt([*EXAMINE, "--", data])

    assert (status, said.split(b"\n")[0]) == (0, data)
    assert is_key(data)


@pytest.mark.parametrize("data", [b"SHA256-s007--abc", b"A-s00--n", b"A-m05--x", b"A-S00-C01--x"])
def test_what_git_annex_reads_as_another_key_is_none(data: bytes) -> None:
    """Two spellings of one key would be two jobs, and two locks, for one transfer."""
    status, said = attempt([*EXAMINE, "--", data])

    assert status == 0
    assert said.split(b"\n")[0] != data
    assert not is_key(data)
