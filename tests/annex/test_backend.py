"""Keys, compared with those that git-annex makes."""

import os
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spool.key import Key
from tests.repo import Repo
from workers.annex.backend import BACKENDS, choose, is_secure, verifier, worm_key
from workers.annex.extension import Limits, extension
from workers.annex.settings import Settings
from workers.annex.version import GitAnnex, NoGitAnnexError

NAMES = [
    *(
        "a.txt",
        "foo.tar.gz",
        "noext",
        ".hidden.txt",
        "a.verylong",
        "x.verylong.mp3",
        "my file.JPEG",
    ),
    *("x.a.b!.c", "a.tar.gz.", "ünï.çé", ".hidden", "x.mp3.verylong", "a.日", "a.日本", "a..b"),
    *("a.b_c", "a.b-c.d", "a.1.2.3", "...", "..a.b", "a. .b", "a.b.c.d.e", "a.%41.b", "a.b."),
]
WORDS = st.lists(
    st.binary(min_size=0, max_size=6).filter(lambda word: not {0, 10, 13, 47} & set(word)),
    min_size=1,
    max_size=5,
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """A repository for asking ``git annex calckey``."""
    return Repo.create(tmp_path_factory.mktemp("calckey") / "repo")


def calckeys(repo: Repo, names: list[bytes], *options: str) -> list[bytes]:
    """What git-annex calls files of those names, each with its name as content."""
    for name in names:
        repo.write(name, name)
        os.utime(repo.path / os.fsdecode(name), (1_700_000_000, 1_700_000_000))
    asked = b"".join(name + b"\n" for name in names)
    return repo.annex("calckey", *options, "--batch", stdin=asked).split(b"\n")[:-1]


def key_of(name: bytes, limits: Limits) -> bytes:
    digest = BACKENDS[b"SHA256E"].start()
    digest.update(name)
    return BACKENDS[b"SHA256E"].key(digest.hexdigest(), len(name), name, limits)


@pytest.mark.parametrize("limits", [Limits(), Limits(length=10), Limits(count=1), Limits(0, 9)])
def test_extensions_are_those_that_git_annex_takes(repo: Repo, limits: Limits) -> None:
    repo.config("annex.maxextensionlength", str(limits.length))
    repo.config("annex.maxextensions", str(limits.count))
    names = [name.encode() for name in NAMES if name.strip(".")]

    assert [key_of(name, limits) for name in names] == calckeys(repo, names)


def test_extensions_of_names_nobody_thought_of(place: Repo) -> None:
    names: set[bytes] = set()

    @given(WORDS)
    @example([b"\xff", b"\x80\x81"])
    def collect(words: list[bytes]) -> None:
        name = b".".join(words)
        if name.strip(b".") and len(name) < 200:
            names.add(name)

    collect()
    listed = sorted(names)

    assert [key_of(name, Limits()) for name in listed] == calckeys(place, listed)


@given(st.binary(max_size=300))
def test_an_extension_is_the_end_of_the_name_as_far_as_it_goes(name: bytes) -> None:
    found = extension(name)

    assert len(found) <= 10
    assert b"/" not in found
    assert found == b"" or found.startswith(b".")


@pytest.mark.parametrize("name", sorted(BACKENDS))
def test_every_backend_agrees_with_git_annex(place: Repo, name: bytes) -> None:
    backend = BACKENDS[name]
    place.write("some.tar.gz", b"content")

    theirs = place.annex("calckey", f"--backend={name.decode()}", "some.tar.gz").strip()

    digest = backend.start()
    digest.update(b"content")
    assert backend.key(digest.hexdigest(), 7, b"dir/some.tar.gz", Limits()) == theirs
    check = verifier(Key(theirs))
    assert check is not None
    check.update(b"con")
    check.update(b"tent")
    assert check.matches()


def test_worm_keys_are_those_of_git_annex(place: Repo) -> None:
    names = [
        "d é/x/a,b.txt".encode(),
        b"bad\xff\xfename",
        *(b"x" * 64, b"x" * 65, "é".encode() * 32, "é".encode() * 33, "é".encode() * 40 + b".mp3"),
        *(b"a b%c:d&e", b"\xff" * 33, "日".encode() * 20, b"tab\tx", b"-dash", b"A,B" * 20),
    ]

    theirs = calckeys(place, names, "--backend=WORM")

    assert [worm_key(name, len(name), 1_700_000_000) for name in names] == theirs


@pytest.mark.parametrize(
    "key",
    [
        b"SHA256E-s7--ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73.x",
        b"SHA256-s7--\\ED7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73",
        b"SHA256--ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73",
    ],
)
def test_content_is_checked_against_any_spelling_of_its_key(key: bytes) -> None:
    for content, right in ((b"content", True), (b"contend", False), (b"content!", False)):
        check = verifier(Key(key))
        assert check is not None
        check.update(content)

        assert check.matches() is right


@pytest.mark.parametrize(
    "key",
    [b"WORM-s1-m1--x", b"URL--http&c%%x", b"SKEIN256-s1--00", b"XFOO-s1--00", b"BLAKE3_256--0"],
)
def test_what_we_cannot_check_is_left_to_git_annex(key: bytes) -> None:
    assert verifier(Key(key)) is None
    assert not is_secure(Key(key))


def test_only_what_cannot_be_forged_counts_as_secure() -> None:
    secure = {name for name in BACKENDS if is_secure(Key(name + b"-s1--00"))}

    assert set(BACKENDS) - secure == {b"SHA1", b"SHA1E", b"MD5", b"MD5E"}


@pytest.mark.parametrize(
    ("attribute", "settings"),
    [
        (None, {}),
        (b"SHA1", {}),
        (b"nonsense", {}),
        (b"nonsense", {"annex.backend": "MD5E"}),
        (b"SHA512", {"annex.backend": "MD5E"}),
        (None, {"annex.backend": "MD5E", "annex.backends": "SHA1 SHA224"}),
        (None, {"annex.backends": "SHA1 SHA224"}),
        (None, {"annex.backend": "", "annex.backends": "SHA1"}),
    ],
)
def test_the_backend_is_chosen_as_git_annex_chooses_it(
    repo: Repo, attribute: bytes | None, settings: dict[str, str]
) -> None:
    if attribute is not None:
        repo.write(".gitattributes", b"* annex.backend=" + attribute + b"\n")
    for name, value in settings.items():
        repo.config(name, value)
    repo.write("file", b"content")
    repo.annex("add", "-q", "file")

    chosen = choose(
        attribute,
        Settings({name: (value,) for name, value in settings.items()}),
        GitAnnex.installed(),
    )

    assert repo.key("file").partition(b"-")[0] == chosen


def test_the_version_says_what_git_annex_can_do() -> None:
    installed = GitAnnex.installed()

    assert installed.released >= (2023, 1, 1)
    assert set(BACKENDS) | {b"WORM", b"URL"} <= installed.backends
    with pytest.raises(ValueError, match="not the version"):
        GitAnnex.parse(b"something else 10.2\n")


def test_a_missing_git_annex_is_said_plainly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(NoGitAnnexError, match="git-annex"):
        GitAnnex.installed()
