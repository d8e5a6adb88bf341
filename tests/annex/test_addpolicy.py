"""``git annex add`` is the oracle for what becomes of a file."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.repo import Repo
from workers.annex import maplog
from workers.annex.addpolicy import AddPolicy, Kind
from workers.annex.settings import Settings
from workers.annex.sharedsettings import CONFIG_LOG

SIZES = {
    b"a.c": 3,
    b"b.txt": 30,
    b"big": 2000,
    b"empty": 0,
    b"d/e.c": 1000,
    b"d/e f.txt": 1001,
    b".dot": 3,
    b"d/.dot": 3,
    b".d/x": 3,
    b"..x": 3,
    b"d/a.": 3,
    b"d/\xc3\xa9.txt": 3,
    b"d/new\nline.txt": 3,
    b"d/\xff": 3,
}


POINTER_SIZES = range(85, 110)
"""Bytes of a pointer to a SHA256E key; none of the files has such a size."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repo]:
    """One repository for all cases; each case cleans up after itself."""
    home = tmp_path_factory.mktemp("home")
    (home / ".gitconfig").write_text("[user]\n\tname = t\n\temail = t@example.com\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        yield Repo.create(tmp_path_factory.mktemp("add") / "repo")


@contextmanager
def files_in(repo: Repo) -> Iterator[None]:
    for name, size in SIZES.items():
        repo.write(name, b"#" * size)
    yield
    repo.git("reset", "-q")
    for entry in os.scandir(repo.path):
        if entry.name == ".git":
            continue
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            Path(entry.path).unlink()


def really(repo: Repo) -> dict[bytes, Kind]:
    """What ``git annex add`` makes of the files."""
    found = dict.fromkeys(SIZES, Kind.SKIP)
    try:
        repo.annex("add", "-q", ".")
    except AssertionError:  # it rejected an expression
        return dict.fromkeys(SIZES, Kind.ASK_GIT_ANNEX)
    entries = [line.split(b"\t", 1) for line in repo.git("ls-files", "-s", "-z").split(b"\0")[:-1]]
    blobs = b"".join(meta.split()[1] + b"\n" for meta, _path in entries)
    pointers = {
        line.split()[0]
        for line in repo.git(
            "cat-file", "--batch-check=%(objectname) %(objectsize)", stdin=blobs
        ).splitlines()
        if int(line.split()[1]) in POINTER_SIZES
    }
    for meta, path in entries:
        mode, blob, _stage = meta.split()
        if path in found:
            found[path] = (
                Kind.ANNEX_LOCKED
                if mode == b"120000"
                else Kind.ANNEX_UNLOCKED
                if blob in pointers
                else Kind.GIT
            )
    return found


def ours(repo: Repo) -> dict[bytes, Kind]:
    """What we would make of them."""
    settings = Settings.parse(repo.git("config", "--list", "-z"))
    log = repo.git("cat-file", "-p", f"git-annex:{CONFIG_LOG.decode()}") if has_log(repo) else b""
    policy = AddPolicy.for_add(settings, maplog.by_name(log))
    asked = b"".join(path + b"\0" for path in SIZES)
    answers = repo.git("check-attr", "-z", "--stdin", "annex.largefiles", stdin=asked).split(b"\0")
    attributes = dict(zip(answers[::3], answers[2::3], strict=False))
    return {
        path: policy.kind(
            path,
            size,
            None if attributes[path] == b"unspecified" else os.fsdecode(attributes[path]),
        )
        for path, size in SIZES.items()
    }


def has_log(repo: Repo) -> bool:
    return bool(repo.git("ls-tree", "git-annex", CONFIG_LOG.decode()))


CASES = [
    pytest.param({}, {}, "", id="nothing is set"),
    pytest.param({"annex.dotfiles": "true"}, {}, "", id="dotfiles"),
    pytest.param({}, {"annex.dotfiles": "true"}, "", id="dotfiles, shared"),
    pytest.param({"annex.dotfiles": "0"}, {"annex.dotfiles": "true"}, "", id="not here"),
    pytest.param({"annex.largefiles": "include=*.txt"}, {}, "", id="by name"),
    pytest.param({"annex.largefiles": "exclude=d/*"}, {}, "", id="by directory"),
    pytest.param({"annex.largefiles": "largerthan=1kb"}, {}, "", id="larger"),
    pytest.param({"annex.largefiles": "not smallerthan=1kb"}, {}, "", id="not smaller"),
    pytest.param({"annex.largefiles": "nothing"}, {}, "", id="nothing is large"),
    pytest.param({"annex.largefiles": ""}, {}, "* annex.largefiles=nothing", id="empty"),
    pytest.param({"annex.largefiles": "foo"}, {}, "", id="wrong"),
    pytest.param({"annex.largefiles": "include=.*"}, {}, "", id="dotfiles are not asked about"),
    pytest.param(
        {"annex.largefiles": "include=*.txt"},
        {"annex.largefiles": "anything"},
        "* annex.largefiles=nothing",
        id="configuration first",
    ),
    pytest.param(
        {},
        {"annex.largefiles": "include=*.txt"},
        "*.c annex.largefiles=anything",
        id="then attributes, then what is shared",
    ),
    pytest.param({}, {"annex.largefiles": "foo"}, "* annex.largefiles=nothing", id="unused wrong"),
    pytest.param(
        {}, {}, "* annex.largefiles=(largerthan=100b)and(not(include=*.c))", id="parentheses"
    ),
    pytest.param({}, {}, "* annex.largefiles=", id="empty attribute"),
    pytest.param({}, {}, "* -annex.largefiles", id="unset attribute is an expression"),
    pytest.param(
        {"annex.largefiles": "largerthan=100b", "annex.addsmallfiles": "false"}, {}, "", id="skip"
    ),
    pytest.param({"annex.addunlocked": "true"}, {}, "", id="unlocked"),
    pytest.param({"annex.addunlocked": "include=*.c"}, {}, "", id="some unlocked"),
    pytest.param({"annex.addunlocked": "largerthan=1kb"}, {}, "", id="large ones unlocked"),
    pytest.param({}, {"annex.addunlocked": "include=*.c"}, "", id="some unlocked, shared"),
    pytest.param({"annex.addunlocked": "no"}, {"annex.addunlocked": "true"}, "", id="locked here"),
    pytest.param({"annex.addunlocked": ""}, {}, "", id="empty is locked"),
    pytest.param({"annex.addunlocked": "foo"}, {}, "", id="wrong unlocked"),
    pytest.param({"core.symlinks": "false"}, {}, "", id="no symlinks"),
]


@pytest.mark.parametrize(("configured", "shared", "attributes"), CASES)
def test_a_file_becomes_what_git_annex_add_would_make_of_it(
    place: Repo, configured: dict[str, str], shared: dict[str, str], attributes: str
) -> None:
    for name, value in configured.items():
        place.config(name, value)
    for name, value in shared.items():
        place.annex("config", "--set", name, value)
    with files_in(place):
        place.write(".gitattributes", attributes.encode() + b"\n")

        expected, found = really(place), ours(place)

    for name in configured:
        place.git("config", "--unset", name)
    for name in shared:
        place.annex("config", "--unset", name)
    refused = set(expected.values()) == {Kind.ASK_GIT_ANNEX}
    assert {
        path: kind
        for path, kind in found.items()
        # What git-annex refuses because an expression is wrong, it must be asked about; but
        # dotfiles need no expression.
        if kind is not expected[path] and not (refused and kind is Kind.GIT)
    } == {}


def test_a_mime_type_is_left_to_git_annex() -> None:
    settings = Settings.parse(b"annex.largefiles\nmimetype=text/* or largerthan=1kb\0")

    policy = AddPolicy.for_add(settings, {})

    assert policy.kind(b"a", 10, None) is Kind.ASK_GIT_ANNEX
    assert policy.kind(b"a", 2000, None) is Kind.ANNEX_LOCKED


def test_the_assistant_adds_unlocked_unless_it_is_told_to_look() -> None:
    locked = b"annex.addunlocked\nfalse\0"

    for_assistant = AddPolicy.for_assistant(Settings.parse(locked), {})
    allowed = AddPolicy.for_assistant(
        Settings.parse(locked + b"annex.assistant.allowunlocked\ntrue\0"), {}
    )

    assert for_assistant.kind(b"a", 1, None) is Kind.ANNEX_UNLOCKED
    assert allowed.kind(b"a", 1, None) is Kind.ANNEX_LOCKED


@pytest.mark.parametrize("name", [b".gitignore", b"d/.gitattributes", b".gitmodules"])
def test_the_files_that_git_itself_reads_are_never_annexed(name: bytes) -> None:
    settings = Settings.parse(b"annex.dotfiles\ntrue\0annex.largefiles\nanything\0")

    assert AddPolicy.for_assistant(settings, {}).kind(name, 1, None) is Kind.GIT
    assert AddPolicy.for_assistant(settings, {}).kind(b".dot", 1, None) is Kind.ANNEX_UNLOCKED
