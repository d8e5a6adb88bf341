"""``.gitignore`` and ``.gitattributes`` are files like any other, and apply from when they change.

The assistant never commits either, and does not see that they change (10.20261026).
"""

import pytest

from tests.daemons import Fleet
from tests.processes import stays, wait_until
from tests.repo import Repo
from tests.synced import synced

AWHILE_S = 4.0


@pytest.mark.parametrize("name", [".gitignore", ".gitattributes", "sub/.gitignore"])
def test_the_rules_themselves_are_synced_as_git_files(
    pair: tuple[Repo, Repo], fleet: Fleet, name: str
) -> None:
    """RT-24."""
    a, b = pair
    fleet.serve(a, b)

    a.write(name, b"# nothing yet\n")

    synced(a, b)
    assert a.git("show", f"HEAD:{name}") == b"# nothing yet\n"
    b.write(name, b"# nothing at all\n")
    synced(a, b)
    assert a.git("show", f"HEAD:{name}") == b"# nothing at all\n"


@pytest.mark.parametrize("where", [".gitignore", ".git/info/exclude"])
def test_what_is_ignored_is_not_added_and_not_touched(
    pair: tuple[Repo, Repo], fleet: Fleet, where: str
) -> None:
    a, b = pair
    a.write(where, b"*.part\n/cache/\n!keep.part\n")
    fleet.serve(a, b)

    a.write("film.part", b"half a film")
    a.write("cache/entry", b"worthless")
    a.write("keep.part", b"not ignored")
    a.write("beside", b"ours")

    ignored = [b"film.part", b"cache"]
    synced(a, b, besides=ignored)
    stays(lambda: not {b"film.part", b"cache/entry"} & a.tree().keys(), AWHILE_S)
    assert a.tree().keys() >= {b"keep.part", b"beside"}
    assert a.read("film.part") == b"half a film"
    assert not (a.path / "film.part").is_symlink()


def test_a_rule_applies_from_when_it_is_written(pair: tuple[Repo, Repo], fleet: Fleet) -> None:
    a, b = pair
    fleet.serve(a, b)
    a.write("first.log", b"before the rule")
    synced(a, b)

    a.write(".gitignore", b"*.log\n")
    a.write("second.log", b"after the rule")
    a.write("beside", b"ours")
    synced(a, b, besides=[b"second.log"])
    stays(lambda: b"second.log" not in a.tree(), AWHILE_S)
    a.write("first.log", b"tracked files stay tracked")
    synced(a, b, besides=[b"second.log"])

    a.write(".gitignore", b"*.tmp\n")
    synced(a, b)
    assert b.read("second.log") == b"after the rule"


def test_finishing_a_download_by_renaming_it_out_of_the_ignored_names(
    pair: tuple[Repo, Repo], fleet: Fleet
) -> None:
    a, b = pair
    a.write(".gitignore", b"*.crdownload\n")
    fleet.serve(a, b)
    synced(a, b)

    a.write("film.mkv.crdownload", b"film" * 100_000)
    a.rename("film.mkv.crdownload", "film.mkv")

    synced(a, b)
    assert b.read("film.mkv") == b"film" * 100_000


def test_attributes_decide_what_is_annexed_from_when_they_are_written(
    pair: tuple[Repo, Repo], fleet: Fleet
) -> None:
    a, b = pair
    fleet.serve(a, b)
    a.write("one.txt", b"annexed, as everything is")
    synced(a, b)

    a.write(".gitattributes", b"*.txt annex.largefiles=nothing\n")
    a.write("two.txt", b"in git")
    a.write("two.bin", b"annexed")
    synced(a, b)

    assert a.git("show", "HEAD:two.txt") == b"in git"
    assert a.git("show", "HEAD:two.bin").startswith(b"/annex/objects/")
    assert a.git("show", "HEAD:one.txt").startswith(b"/annex/objects/")


def test_an_arriving_rule_applies_to_the_peers_files_too(
    pair: tuple[Repo, Repo], fleet: Fleet
) -> None:
    a, b = pair
    fleet.serve(a, b)
    a.write(".gitignore", b"*.log\n")
    synced(a, b)

    b.write("b.log", b"ignored by a's rule")
    b.write("beside", b"ours")

    wait_until(lambda: a.exists("beside"))
    stays(lambda: b"b.log" not in b.tree(), AWHILE_S)


@pytest.mark.parametrize(
    ("setting", "in_git"),
    [
        ("largerthan=1kb", {b"small.txt", b".hidden"}),
        ("anything", {b".hidden"}),
        ("nothing", {b"small.txt", b"large.txt", b".hidden"}),
        ("include=*.txt and largerthan=1kb", {b"small.txt", b".hidden"}),
    ],
)
def test_largefiles_decides(repo: Repo, fleet: Fleet, setting: str, in_git: set[bytes]) -> None:
    """Dotfiles go to git unless ``annex.dotfiles`` says otherwise."""
    repo.git("commit", "-q", "--allow-empty", "-m", "start")
    repo.config("annex.largefiles", setting)
    fleet.serve(repo)

    for name in ("small.txt", "large.txt", ".hidden"):
        repo.write(name, name.encode() * (1000 if name == "large.txt" else 1))

    synced(repo)
    found = {
        name
        for name in repo.tree()
        if not repo.git("show", b"HEAD:" + name).startswith(b"/annex/objects/")
    }
    assert found == in_git
