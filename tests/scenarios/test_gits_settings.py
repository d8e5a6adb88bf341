"""Whatever a user has set for git: annexd's gits say and do the same."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemons import Fleet
from tests.repo import Repo
from tests.scenarios.sshd import needs_sshd, sshd
from tests.synced import synced

SETTINGS = """
[color]
ui = always
diff = always
status = always
branch = always
[column]
ui = always
[init]
templateDir = HOME/template
[core]
quotepath = false
abbrev = 5
pager = cat -A
editor = false
autocrlf = input
safecrlf = warn
compression = 0
bigFileThreshold = 1
fsyncMethod = batch
attributesFile = HOME/attributes
excludesFile = HOME/excludes
logAllRefUpdates = always
untrackedCache = true
commentChar = auto
[feature]
manyFiles = true
[index]
version = 4
[merge]
ff = only
conflictStyle = zdiff3
renames = false
log = true
autoStash = true
[pull]
rebase = true
[rebase]
autoStash = true
[rerere]
enabled = true
autoUpdate = true
[diff]
external = /bin/false
renames = copies
noprefix = true
submodule = log
algorithm = histogram
colorMoved = zebra
orderFile = HOME/excludes
relative = true
[log]
showSignature = true
date = relative
decorate = full
follow = true
abbrevCommit = true
[format]
pretty = oneline
[status]
short = true
branch = true
showUntrackedFiles = no
[fetch]
prune = true
pruneTags = true
writeCommitGraph = true
recurseSubmodules = true
parallel = 4
[transfer]
fsckObjects = true
unpackLimit = 1
[receive]
denyNonFastForwards = true
denyDeletes = true
[push]
default = nothing
followTags = true
recurseSubmodules = check
[commit]
verbose = true
cleanup = scissors
template = HOME/excludes
[i18n]
commitEncoding = ISO-8859-1
logOutputEncoding = ISO-8859-1
[gc]
auto = 1
pruneExpire = now
autoDetach = false
[submodule]
recurse = true
[checkout]
defaultRemote = nosuch
workers = 4
[branch]
autoSetupMerge = always
autoSetupRebase = always
[help]
autocorrect = 1
[protocol]
version = 0
[http]
proxy = http://127.0.0.1:1
"""
"""What changes what git prints, how it merges, fetches, pushes, packs, or when it throws away."""

IGNORED = b"of an editor"


@pytest.fixture
def odd(sealed_home: Path) -> Path:
    """The user's settings, from now on."""
    (sealed_home / "attributes").write_text("*.odd -text\n")
    (sealed_home / "excludes").write_text("*.ignored\n")
    hooks = sealed_home / "template/hooks"
    hooks.mkdir(parents=True)
    (hooks / "post-commit").write_text("#!/bin/sh\necho something to say\n")
    (hooks / "post-commit").chmod(0o755)
    with (sealed_home / ".gitconfig").open("a") as config:
        config.write(SETTINGS.replace("HOME", str(sealed_home)))
    return sealed_home


@pytest.fixture(params=["path", pytest.param("ssh", marks=needs_sshd)])
def clones(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    odd: Path,  # noqa: ARG001 -- everything here is made under these settings
) -> Iterator[tuple[Repo, Repo]]:
    """Two around a bare hub."""
    first = Repo.create(tmp_path / "a")
    first.git("commit", "-q", "--allow-empty", "-m", "start")
    hub = Repo.bare(tmp_path / "hub")
    with sshd(tmp_path / "sshd", monkeypatch) as server:
        url = str(hub.path) if request.param == "path" else server.url(hub.path)
        first.git("remote", "add", "hub", url)
        second = first.clone(tmp_path / "b")
        second.git("remote", "remove", "origin")
        second.git("remote", "add", "hub", url)
        yield first, second


def test_sync_conflict_and_restart_under_all_of_them(
    clones: tuple[Repo, Repo], fleet: Fleet
) -> None:
    a, b = clones
    for repo in clones:
        repo.config("annex.largefiles", "largerthan=100")
    daemons = fleet.serve(a, b)

    a.write("text", b"base\n")
    a.write("large", b"base" * 100)
    a.write("directory \xc3\xa9/large", b"large" * 1000)
    a.write("swap.ignored", IGNORED)
    for number in range(40):
        a.write(f"many/{number}", b"%d" % number * 200)
    synced(a, b, besides=[b"swap.ignored"])
    b.rename("directory \xc3\xa9", "renamed")
    a.remove("many/3")
    synced(a, b, besides=[b"swap.ignored"])

    for daemon in daemons:
        daemon.stop()
    for repo, word in ((a, b"ours"), (b, b"theirs")):
        repo.replace("text", word + b"\n")
        repo.replace("large", word * 100)
    fleet.serve(a, b)
    synced(a, b, besides=[b"swap.ignored"])

    assert {b"ours\n", b"theirs\n", b"ours" * 100, b"theirs" * 100} <= set(contents(a))
    assert a.read("swap.ignored") == IGNORED
    for repo in clones:
        assert not repo.marked()
        repo.check()


def contents(repo: Repo) -> Iterator[bytes]:
    """What the files at the top hold."""
    return (path.read_bytes() for path in repo.path.iterdir() if path.is_file())
