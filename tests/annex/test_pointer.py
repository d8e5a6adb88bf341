"""Pointers and links, as git-annex reads and writes them."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spool.key import Key, parse
from tests.repo import Repo
from workers.annex.hashdirs import Tuning
from workers.annex.pointer import (
    POINTER_MAX,
    format_link,
    format_pointer,
    parse_link,
    parse_pointer,
    relink,
    resembles_pointer,
)

KEY = b"SHA256E-s3--98ea6e4f216f2fb4b69fff9b3a44842c38686ca685f3f55dc48c5d3fb1107be4"
MARK = b"/annex/objects/"
POINTER = MARK + KEY + b"\n"
FILL = b"/annex/" + b"x" * 992 + b"\n"

READ_AS_GIT_ANNEX_DOES = [
    *(
        POINTER,
        MARK + KEY,
        MARK + KEY + b"\r\n",
        MARK + KEY + b"\r",
        b"x" + POINTER,
        b"  " + POINTER,
    ),
    *(b"../.git/annex/objects/zQ/MQ/" + KEY + b"/" + KEY + end for end in (b"", b"\n")),
    *(
        MARK + KEY + b" \n",
        MARK + KEY + b"\t\n",
        b"\xef\xbb\xbf" + POINTER,
        MARK + b"/" + KEY + b"\n",
    ),
    *(
        POINTER + b"\n",
        POINTER + b"an /annex/ line\n",
        POINTER + b"an /annex/ line",
        POINTER + POINTER,
    ),
    *(b"\n" + POINTER, MARK + KEY + b"/\n", MARK + KEY + b"/x\n", MARK + b"x/" + KEY + b"\n"),
    *(
        MARK + b"\n",
        MARK + b"nokey\n",
        b"annex/objects/" + KEY + b"\n",
        b"/annex/objects" + KEY + b"\n",
    ),
    *(POINTER + POINTER + b"\n", POINTER + b"\r\n", POINTER + b"no mark\n", b"", b"\n", b"text\n"),
    *(
        MARK + b"WORM-s3--..%..%etc%passwd\n",
        MARK + b"WORM-s3--a&cb\n",
        MARK + b"A--x\n",
        MARK + b"A--\n",
    ),
    *(
        MARK + b"A-s3-m4-S5-C6--x\n",
        MARK + b"A-m4-s3--x\n",
        MARK + b"A-s3-s4--x\n",
        MARK + b"A-s-3--x\n",
    ),
    *(
        MARK + b"A-z3--x\n",
        MARK + b"a b--x\n",
        MARK + b"\xff--x\n",
        MARK + b"--x\n",
        MARK + b"A-s3--x--y\n",
    ),
    *(
        MARK + b"A-s3---y\n",
        MARK + b"A-s--x\n",
        MARK + b"A.b--x\n",
        MARK + b"A%b--x\n",
        MARK + b"A-s+3--x\n",
    ),
    *(MARK + b"SHA256E-s3--x." + b"e" * size + b"\n" for size in (63, 64)),
    POINTER + FILL * 32 + b"/annex/" + b"x" * (POINTER_MAX - 32 * 1000 - len(POINTER) - 8) + b"\n",
    POINTER + FILL * 32 + b"/annex/" + b"x" * (POINTER_MAX - 32 * 1000 - len(POINTER) - 7) + b"\n",
]

REFUSED_HERE = [
    MARK + KEY + b"\0\n",
    MARK + KEY + b"\r\r\n",
    MARK + KEY + b"\rfoo\n",
    MARK + b"A-s03--x\n",
    MARK + b"A-s99999999999999999999999--x\n",
    MARK + b"WORM-s3--a&xb\n",
    MARK + b"A--x" + b"y" * 300 + b"\n",
]
"""git-annex takes them for pointers; their keys could be mistaken for others, or have no file."""


def lookup(repo: Repo, contents: list[bytes]) -> list[bytes | None]:
    """The keys that git-annex sees in files whose blobs those are."""
    names = [b"probe%03d" % number for number in range(len(contents))]
    for name, content in zip(names, contents, strict=True):
        repo.write(name, content)
    paths = b"".join(name + b"\n" for name in names)
    blobs = repo.git("hash-object", "-w", "--no-filters", "--stdin-paths", stdin=paths).split()
    pairs = zip(blobs, names, strict=True)
    index = b"".join(b"100644 %b\t%b\n" % (blob, name) for blob, name in pairs)
    repo.git("update-index", "--index-info", stdin=index)
    found = repo.annex("lookupkey", "--batch", stdin=paths).split(b"\n")[:-1]
    return [key or None for key in found]


def test_a_pointer_is_what_git_annex_takes_for_one(repo: Repo) -> None:
    theirs = lookup(repo, READ_AS_GIT_ANNEX_DOES)

    for content, key in zip(READ_AS_GIT_ANNEX_DOES, theirs, strict=True):
        assert parse_pointer(content) == key, content
        if key is not None:
            assert resembles_pointer(content)


def test_a_pointer_to_a_doubtful_key_is_neither_a_pointer_nor_content(repo: Repo) -> None:
    for content, key in zip(REFUSED_HERE, lookup(repo, REFUSED_HERE), strict=True):
        assert key is not None, content
        assert parse_pointer(content) is None
        assert resembles_pointer(content)


USERS_TEXTS = [
    MARK + b"garbage\n",
    b"see .git/annex/objects/\nfor what is there\n",
    b"# why .git/annex/objects/xx/yy is large\n",
    b"du -sh .git/annex/objects/*-s3 | sort\n",
    MARK + b"a-b--c\n",
    MARK + b"-s3--x\n",
]


def test_a_text_that_speaks_of_objects_is_content(repo: Repo) -> None:
    for content, key in zip(USERS_TEXTS, lookup(repo, USERS_TEXTS), strict=True):
        assert key is None, content
        assert not resembles_pointer(content), content


@given(st.binary(max_size=200))
def test_any_bytes_are_a_pointer_or_not_and_never_an_error(content: bytes) -> None:
    for data in (content, MARK + content, POINTER + content):
        key = parse_pointer(data)
        assert key is None or (resembles_pointer(data) and parse(key) == key)


@given(st.binary(max_size=60).filter(lambda name: not {0, 10, 13} & set(name)))
def test_what_we_write_is_read_back(name: bytes) -> None:
    key = Key(b"WORM-s5-m12--" + name)

    assert parse_pointer(format_pointer(key)) == key
    assert parse_link(format_link(key, b"some/dir/file", Tuning())) == key


def test_pointers_are_those_of_git_annex(repo: Repo) -> None:
    repo.write("file", b"content")
    repo.annex("add", "-q", "-c", "annex.addunlocked=true", "file")

    blob = repo.git("cat-file", "blob", ":file")

    assert blob == format_pointer(Key(repo.key("file")))


@pytest.mark.parametrize(
    "tuning",
    [
        Tuning(),
        Tuning(one_level_objects=True),
        Tuning(lower_objects=True),
        Tuning(one_level_objects=True, lower_objects=True),
    ],
)
def test_links_are_those_of_git_annex(repo: Repo, tuning: Tuning) -> None:
    repo.config("annex.tune.objecthash1", str(tuning.one_level_objects).lower())
    repo.config("annex.tune.objecthashlower", str(tuning.lower_objects).lower())
    for path in (b"file.txt", b"a dir/file", b"a/b/c/d.tar.gz"):
        repo.write(path, path)
    repo.annex("add", "-q", ".")

    for path in (b"file.txt", b"a dir/file", b"a/b/c/d.tar.gz"):
        link = os.readlink(os.fsencode(repo.path) + b"/" + path)
        assert format_link(Key(repo.key(path)), path, tuning) == link


def test_a_moved_link_is_put_right_as_git_annex_fix_does_it(repo: Repo) -> None:
    repo.add("file", b"content")
    old = os.readlink(os.fsencode(repo.path / "file"))
    (repo.path / "deep" / "er").mkdir(parents=True)
    (repo.path / "file").rename(repo.path / "deep" / "er" / "moved")
    repo.git("add", ".")
    repo.annex("fix", "-q", "deep/er/moved")
    right = os.readlink(os.fsencode(repo.path / "deep" / "er" / "moved"))

    assert relink(old, b"deep/er/moved", Tuning()) == right
    assert relink(right, b"deep/er/moved", Tuning()) is None
    assert relink(b"../elsewhere", b"deep/er/moved", Tuning()) is None
