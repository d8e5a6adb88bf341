"""What git-annex's users set is honoured, and a change of it applies without a restart."""

import re
from pathlib import Path

import pytest

from tests.daemons import Fleet
from tests.processes import pause, run, stays, wait_until
from tests.repo import Repo
from tests.scenarios.topology import around_hub
from tests.synced import synced
from tests.views import worktree

RECIPES = Path(__file__).parents[2] / "docs/RECIPES.md"

AWHILE_S = 5.0
APPLIES_S = 20.0


def has(repo: Repo, name: str) -> bool:
    """Whether the content is in the work tree."""
    entry = worktree(repo).get(name.encode())
    return entry is not None and entry.here


# The three use cases of the forum page that the founding document names (L8), as docs/RECIPES.md
# has them, and one more.


def follow(repo: Repo, recipe: str, name: str) -> None:
    """Type what the recipe (the beginning of its heading) says for a repository of that name."""
    section = RECIPES.read_text().partition(f"## {recipe}")[2].partition("\n## ")[0]
    block = re.search(rf"In `{name}`:\n\n```sh\n(.*?)```", section, re.DOTALL)
    assert block is not None, (recipe, name)
    run(["sh", "-e", "-c", block[1]], cwd=repo.path)


def test_recipe_git_only(pair: tuple[Repo, Repo], fleet: Fleet) -> None:
    a, b = pair
    follow(b, "Git only", "clone")
    fleet.serve(a, b)

    b.write("of b", b"content of b")

    wait_until(lambda: a.exists("of b"))
    a.write("of a", b"content of a")
    wait_until(lambda: b.exists("of a"))
    stays(lambda: not has(b, "of a"), AWHILE_S)
    b.annex("get", "-q", "of a")
    stays(lambda: has(b, "of a"), AWHILE_S)


@pytest.mark.parametrize("setting", ["annex.synccontent", "remote.b.annex-ignore"])
def test_no_content_moves_where_that_is_switched_off(
    pair: tuple[Repo, Repo], fleet: Fleet, setting: str
) -> None:
    a, b = pair
    a.config(setting, "false" if setting.endswith("content") else "true")
    b.config("annex.synccontent", "false")
    fleet.serve(a, b)

    a.write("f", b"stays at a")

    wait_until(lambda: b.exists("f"))
    stays(lambda: not b.objects(), AWHILE_S)


def test_recipe_upload_only_but_for_one_directory(tmp_path: Path, fleet: Fleet) -> None:
    """A laptop that sends all to the server, and gets nothing but ``work/``."""
    server, (desk, laptop) = around_hub(tmp_path, 2)
    follow(laptop, "Upload, but do not download", "laptop")
    fleet.serve(desk, laptop)

    laptop.write("photo", b"taken on the way")
    desk.write("film", b"too large for a laptop")
    desk.write("work/report", b"needed everywhere")

    wait_until(lambda: has(desk, "photo") and has(laptop, "work/report"), 60)
    wait_until(lambda: laptop.exists("film"), 60)
    stays(lambda: not has(laptop, "film") and has(laptop, "photo"), AWHILE_S)
    assert len(server.objects()) == 3


def test_recipe_different_directories_to_different_sites(tmp_path: Path, fleet: Fleet) -> None:
    _, (a, north, south) = around_hub(tmp_path, 3)
    follow(north, "Different directories", "north")
    follow(south, "Different directories", "south")
    fleet.serve(a, north, south)

    for site in ("north", "south", "nowhere"):
        a.write(f"{site}/file", site.encode())

    wait_until(lambda: has(north, "north/file") and has(south, "south/file"), 60)
    wait_until(lambda: north.exists("south/file") and south.exists("nowhere/file"), 60)
    stays(lambda: not has(north, "south/file") and not has(south, "nowhere/file"), AWHILE_S)


def test_recipe_a_backup_that_pulls_everything_from_all(
    pair: tuple[Repo, Repo], fleet: Fleet
) -> None:
    a, b = pair
    follow(a, "A backup", "manual")
    follow(b, "A backup", "backup")
    fleet.serve(a, b)

    a.write("sub/f", b"to be kept")

    wait_until(lambda: has(b, "sub/f"), 60)
    b.write("of b", b"not wanted by a")
    wait_until(lambda: a.exists("of b"), 60)
    stays(lambda: not has(a, "of b"), AWHILE_S)


def test_a_changed_expression_gets_and_drops_without_a_restart(
    pair: tuple[Repo, Repo], fleet: Fleet
) -> None:
    a, b = pair
    b.annex("wanted", "-q", ".", "include=one/*")
    a.annex("numcopies", "-q", "1")
    fleet.serve(a, b)
    a.write("one/f", b"first")
    a.write("two/f", b"second")
    wait_until(lambda: has(b, "one/f") and b.exists("two/f"), 60)

    b.annex("wanted", "-q", ".", "include=two/*")

    wait_until(lambda: has(b, "two/f"), APPLIES_S)
    wait_until(lambda: not has(b, "one/f"), 60)
    assert has(a, "one/f")
    b.check()


def test_autocommit_off_leaves_committing_to_the_user(
    pair: tuple[Repo, Repo], fleet: Fleet
) -> None:
    a, b = pair
    a.config("annex.autocommit", "false")
    fleet.serve(a, b)
    synced(b)
    a.write("mine", b"I commit when I want to")
    stays(lambda: b"mine" not in a.tree(), AWHILE_S)

    a.annex("add", "-q", "mine")
    a.git("commit", "-q", "-m", "now")
    b.write("of b", b"merged all the same")

    synced(a, b)


@pytest.mark.parametrize("where", ["git config", "git annex config"])
def test_autocommit_can_be_switched_while_the_daemon_runs(
    pair: tuple[Repo, Repo], fleet: Fleet, where: str
) -> None:
    a, b = pair
    fleet.serve(a, b)
    a.write("before", b"committed")
    synced(a, b)

    def switch(value: str) -> None:
        if where == "git config":
            a.config("annex.autocommit", value)
        else:
            a.annex("config", "-q", "--set", "annex.autocommit", value)

    switch("false")
    pause(5)  # "applies within seconds"; there is no other sign of it
    a.write("while off", b"not committed")
    stays(lambda: b"while off" not in a.tree(), AWHILE_S)
    switch("true")

    synced(a, b, within_s=APPLIES_S + 20)


def test_a_remote_added_while_the_daemon_runs_gets_everything(
    repo: Repo, fleet: Fleet, tmp_path: Path
) -> None:
    """P41: an empty repository that git-annex has never seen; no manual step."""
    repo.git("commit", "-q", "--allow-empty", "-m", "start")
    fleet.serve(repo)
    repo.write("f", b"content" * 1000)
    synced(repo)
    new = Repo(tmp_path / "new")
    run(["git", "init", "-q", "-b", "main", new.path])

    repo.remote(new)

    wait_until(lambda: len(new.objects()) == 1, 60)
    wait_until(lambda: new.git("branch", "--list", "synced/main"), 30)
    fleet.serve(new)
    synced(repo, new)
    new.check()


NO_CONTENTS = {"annex-sync=false", "annex-readonly=true"}
"""The others are about what git pushes and pulls; git-annex sends contents all the same."""


@pytest.mark.parametrize(
    ("setting", "flows"),
    [
        ("annex-sync=false", set()),
        ("annex-push=false", {"in"}),
        ("annex-pull=false", {"out"}),
        ("annex-readonly=true", {"in"}),
    ],
)
def test_a_remotes_own_switches(
    tmp_path: Path, fleet: Fleet, setting: str, flows: set[str]
) -> None:
    hub, (a, b) = around_hub(tmp_path, 2)
    name, _, value = setting.partition("=")
    a.config(f"remote.hub.{name}", value)
    b.add("of b", b"content of b")
    b.annex("sync", "-q", "--content")
    fleet.serve(a)
    if "in" in flows:
        wait_until(lambda: a.exists("of b"), 60)

    a.write("of a", b"content of a")

    if "out" in flows:
        wait_until(lambda: hub.git("log", "--all", "--", "of a"), 60)
    stays(
        lambda: (
            ("out" in flows or not hub.git("log", "--all", "--", "of a"))
            and ("in" in flows or not a.exists("of b"))
            and (setting not in NO_CONTENTS or len(hub.objects()) == 1)
        ),
        AWHILE_S,
    )


def test_git_annex_config_leaves_conflicts_to_their_user_until_it_is_unset(
    pair: tuple[Repo, Repo], fleet: Fleet
) -> None:
    """``annex.resolvemerge``, said once for all clones."""
    a, b = pair
    a.annex("config", "-q", "--set", "annex.resolvemerge", "false")
    b.annex("sync", "-q", "--no-content")
    for repo in pair:
        repo.write("f.txt", b"of " + repo.path.name.encode())
    daemons = [fleet.annexd(repo) for repo in pair]
    told = b"is in conflict with ours, and annex.resolvemerge is false"
    wait_until(lambda: all(told in each.ask("status").stdout for each in daemons), 60)
    assert (a.read("f.txt"), b.read("f.txt")) == (b"of a", b"of b")

    a.annex("config", "-q", "--unset", "annex.resolvemerge")

    synced(a, b, within_s=60)
    assert not a.exists("f.txt")


def test_with_synconlyannex_contents_are_exchanged_and_files_of_gits_are_not(
    pair: tuple[Repo, Repo], fleet: Fleet
) -> None:
    """Said once for all clones, by ``git annex config``; and it can be taken back."""
    a, b = pair
    a.annex("config", "-q", "--set", "annex.synconlyannex", "true")
    b.annex("sync", "-q", "--no-content")
    fleet.serve(a, b)

    a.write("f", b"content")

    wait_until(lambda: len(b.objects()) == 1, 60)
    stays(lambda: not b.exists("f"), AWHILE_S)
    a.annex("config", "-q", "--unset", "annex.synconlyannex")
    synced(a, b, within_s=60)


@pytest.mark.parametrize(
    ("settings", "stored"),
    [
        ({"annex.backend": "SHA512E"}, b"SHA512E-"),
        ({"annex.backend": "MD5"}, b"MD5-"),
        ({"annex.backend": "WORM"}, b"WORM-"),
        ({"annex.backend": "BLAKE2B256E"}, b"BLAKE2B256E-"),
    ],
)
def test_the_backend_is_the_users_choice(
    pair: tuple[Repo, Repo], fleet: Fleet, settings: dict[str, str], stored: bytes
) -> None:
    a, b = pair
    for name, value in settings.items():
        a.config(name, value)
    fleet.serve(a, b)

    a.write("f.txt", b"content")

    wait_until(lambda: b.holds("f.txt", b"content"), 60)
    assert b.key("f.txt").startswith(stored)
    fleet.settle()
    fleet.stop()
    b.check()


@pytest.mark.parametrize("for_all", [False, True])
@pytest.mark.parametrize("backend", ["MD5E", "WORM"])
def test_what_is_not_secure_is_not_added_where_only_secure_hashes_are_wanted(
    repo: Repo, fleet: Fleet, backend: str, *, for_all: bool
) -> None:
    """As git annex add: "annex.securehashesonly blocked adding MD5E key to annex objects"."""
    repo.config("annex.backend", backend)
    repo.git("commit", "-q", "--allow-empty", "-m", "start")
    daemon = fleet.annexd(repo)
    fleet.settle()
    if for_all:
        repo.annex("config", "-q", "--set", "annex.securehashesonly", "true")
    else:
        repo.config("annex.securehashesonly", "true")
    fleet.settle()

    repo.write("f", b"content")

    wait_until(lambda: b"skipped f" in daemon.ask("status").stdout, 20)
    assert repo.objects() == set()

    repo.config("annex.backend", "SHA256E")
    wait_until(lambda: repo.git("ls-tree", "--name-only", "HEAD") == b"f\n", APPLIES_S)


def test_an_expression_that_nobody_understands_is_told_and_mended(repo: Repo, fleet: Fleet) -> None:
    repo.git("commit", "-q", "--allow-empty", "-m", "start")
    repo.config("annex.largefiles", "mimetype=text/plain and nonsense=1")
    daemon = fleet.annexd(repo)

    repo.write("f", b"content")

    done = daemon.ask("wait", "--timeout", "60s")
    assert (done.status, done.stderr) == (1, b"annexd: not in sync: watcher cannot add f\n")
    assert b"skipped f" in daemon.ask("status").stdout
    assert daemon.log().count("skip f: git-annex add ended: git-annex: bad annex.largefiles") == 1

    repo.config("annex.largefiles", "anything")
    wait_until(lambda: repo.git("ls-tree", "--name-only", "HEAD") == b"f\n", APPLIES_S)


@pytest.mark.parametrize("allow", ["true", "false"])
def test_files_are_unlocked_unless_locking_is_asked_for(
    repo: Repo, fleet: Fleet, allow: str
) -> None:
    repo.git("commit", "-q", "--allow-empty", "-m", "start")
    repo.config("annex.assistant.allowunlocked", allow)
    repo.config("annex.addunlocked", "false")
    fleet.serve(repo)

    path = repo.write("f", b"content")

    synced(repo)
    wait_until(lambda: path.is_symlink() == (allow == "true"), 10)
    assert repo.read("f") == b"content"


def test_commits_carry_the_users_name_and_git_annexs_message(
    pair: tuple[Repo, Repo], fleet: Fleet
) -> None:
    a, b = pair
    fleet.serve(a, b)

    a.write("f", b"content")

    synced(a, b)
    shown = a.git("log", "-1", "--format=%an|%ae|%s", "--", "f").decode().strip()
    assert shown == "Test User|test@example.com|git-annex in a"
