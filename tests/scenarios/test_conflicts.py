"""Two people change the same thing while apart: both keep what they did, and sync goes on.

The assistant commits conflict markers, or stops for ever (10.20261026): git-annex's resolver is
off in it since 2017.
"""

import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from spool.state import YIELDS, read_state
from tests.daemons import Fleet
from tests.processes import stays, wait_until
from tests.pushing import tip
from tests.repo import Repo
from tests.scanning import lock_held
from tests.scenarios.forms import FORMS, adopt
from tests.scenarios.topology import clique
from tests.synced import synced
from tests.views import committed, digest, tree_id
from workers.pusher.contention import MERGE_S

Deed = Callable[[Repo], object]

OURS, THEIRS = b"what a wrote\n", b"what b wrote, which is longer\n"


def variant(name: str, content: bytes) -> bytes:
    """git-annex's name for one side of a conflict (Annex/VariantFile.hs)."""
    stem, extension = os.path.splitext(name)
    key = f"SHA256E-s{len(content)}--{hashlib.sha256(content).hexdigest()}{extension}"
    short = hashlib.md5(key.encode(), usedforsecurity=False).hexdigest()[:4]
    return f"{stem}.variant-{short}{extension}".encode()


def apart(pair: tuple[Repo, Repo], ours: Deed, theirs: Deed) -> None:
    """Both sides do something to the same starting point."""
    ours(pair[0])
    theirs(pair[1])


def agree(fleet: Fleet, *repos: Repo, kept: set[bytes]) -> set[bytes]:
    """After a while all have the same names, which are returned; and every content in ``kept``."""
    synced(*repos)
    fleet.settle()
    synced(*repos)
    for repo in repos:
        assert not repo.marked()
        assert {digest(content) for content in kept} <= {
            entry.digest for entry in committed(repo).values()
        }
    repos[0].write("next", b"the next file")
    repos[-1].write("another", b"and another")
    synced(*repos)
    for repo in repos:
        repo.check()
    return set(committed(repos[0])) - {b"next", b"another"}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("new", [False, True], ids=["edited", "added"])
def test_both_contents_are_kept(
    pair: tuple[Repo, Repo], fleet: Fleet, form: str, *, new: bool
) -> None:
    adopt(form, *pair)
    if not new:
        prepare(pair, fleet, {"f.txt": b"before\n"})
    apart(pair, lambda a: a.replace("f.txt", OURS), lambda b: b.replace("f.txt", THEIRS))

    fleet.serve(*pair)

    names = agree(fleet, *pair, kept={OURS, THEIRS})
    variants = {variant("f.txt", OURS), variant("f.txt", THEIRS)}
    if form == "text":  # one of them stays where it was
        assert len(names) == 2
        assert b"f.txt" in names
        assert any(re.fullmatch(rb"f\.variant-.+\.txt", name) for name in names)
    else:
        assert names == variants


def prepare(pair: tuple[Repo, Repo], fleet: Fleet, files: dict[str, bytes]) -> None:
    """A common past: both have ``files``; no daemon runs afterwards."""
    for name, content in files.items():
        pair[0].write(name, content)
    fleet.serve(*pair)
    synced(*pair)
    fleet.settle()
    fleet.stop()
    fleet.daemons.clear()


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of conflict, starting from ``f`` and ``d/g`` in both repositories."""

    ours: Deed
    theirs: Deed
    kept: set[bytes]
    names: set[bytes]
    """What there is at the end, ``d/g`` not counted."""


def by_hand(command: str, name: str) -> Deed:
    """Write ``OURS`` or ``THEIRS`` and commit it with git-annex or git."""

    def deed(repo: Repo) -> None:
        repo.replace(name, OURS if repo.path.name == "a" else THEIRS)
        repo.git("-c", f"annex.largefiles={command}", "annex", "add", "-q", name)
        repo.git("commit", "-q", "-m", "by hand")

    return deed


def linking(target: str) -> Deed:
    def deed(repo: Repo) -> None:
        (repo.path / "f").unlink()
        (repo.path / "f").symlink_to(target)

    return deed


def becoming_directory(repo: Repo) -> None:
    repo.remove("f")
    repo.write("f/inner", THEIRS)


CASES = {
    "ours deletes, theirs edits": Case(
        lambda a: a.remove("f"),
        lambda b: b.replace("f", THEIRS),
        {THEIRS},
        {variant("f", THEIRS)},
    ),
    "ours edits, theirs deletes": Case(
        lambda a: a.replace("f", OURS),
        lambda b: b.remove("f"),
        {OURS},
        {variant("f", OURS)},
    ),
    "both delete": Case(lambda a: a.remove("f"), lambda b: b.remove("f"), set(), set()),
    "both do the same": Case(
        lambda a: a.replace("f", OURS), lambda b: b.replace("f", OURS), {OURS}, {b"f"}
    ),
    "both add the same, one locked": Case(
        lambda a: (
            a.write("new", OURS),
            a.annex("add", "-q", "new"),
            a.git("commit", "-qm", "by hand"),
        ),
        lambda b: b.write("new", OURS),
        {OURS},
        {b"f", b"new"},
    ),
    "a file against a directory": Case(
        lambda a: a.replace("f", OURS),
        becoming_directory,
        {OURS, THEIRS},
        {variant("f", OURS), b"f/inner"},
    ),
    "annexed against text": Case(
        by_hand("anything", "new"),
        by_hand("nothing", "new"),
        {OURS, THEIRS},
        {b"f", b"new", variant("new", OURS)},
    ),
    "both rename, each elsewhere": Case(
        lambda a: a.rename("f", "f of a"),
        lambda b: b.rename("f", "f of b"),
        {b"before\n"},
        {b"f of a", b"f of b"},
    ),
    "names that differ by case": Case(
        lambda a: a.write("readme", OURS),
        lambda b: b.write("README", THEIRS),
        {OURS, THEIRS},
        {b"f", b"readme", b"README"},
    ),
}


@pytest.mark.parametrize("kind", CASES)
def test_every_kind_of_conflict_is_resolved(
    pair: tuple[Repo, Repo], fleet: Fleet, kind: str
) -> None:
    case = CASES[kind]
    prepare(pair, fleet, {"f": b"before\n", "d/g": b"untouched\n"})
    apart(pair, case.ours, case.theirs)

    fleet.serve(*pair)

    names = agree(fleet, *pair, kept=case.kept | {b"untouched\n"})
    assert names == case.names | {b"d/g"}


@pytest.mark.parametrize("form", FORMS)
def test_one_daemon_alone_resolves_a_conflict_with_somebody_who_runs_none(
    pair: tuple[Repo, Repo], fleet: Fleet, form: str
) -> None:
    adopt(form, *pair)
    a, b = pair
    a.write("f.txt", OURS)
    by_hand("nothing" if form == "text" else "anything", "f.txt")(b)

    fleet.serve(a)

    wait_until(lambda: {digest(OURS), digest(THEIRS)} <= digests(a), 60, a.tree)
    fleet.settle()
    assert not a.marked()
    b.annex("sync", "-q", "--content", "a")
    b.annex("sync", "-q", "--content", "a")
    assert b.tree() == a.tree()
    b.check()


def digests(repo: Repo) -> set[str]:
    """What is in HEAD, if there is one."""
    return {entry.digest for entry in committed(repo).values()} if tree_id(repo) else set()


@pytest.mark.parametrize("form", FORMS)
def test_three_at_once_keep_all_three_contents(tmp_path: Path, fleet: Fleet, form: str) -> None:
    repos = clique(tmp_path, 3)
    adopt(form, *repos)
    contents = {b"from %d\n" % number * (number + 1) for number in range(3)}
    for repo, content in zip(repos, sorted(contents), strict=True):
        repo.write("f.txt", content)

    fleet.serve(*repos)

    agree(fleet, *repos, kept=contents)


def test_what_follows_a_delete_against_an_edit_is_not_mixed_up_with_it(
    pair: tuple[Repo, Repo], fleet: Fleet
) -> None:
    """git-annex pairs the two entries wrongly and names one file's content after another."""
    prepare(pair, fleet, {"del.txt": b"to be deleted\n", "foo.txt": b"foo\n"})
    a, b = pair
    a.remove("del.txt")
    a.replace("foo.txt", OURS)
    b.replace("del.txt", b"not deleted after all\n")
    b.replace("foo.txt", THEIRS)

    fleet.serve(*pair)

    names = agree(fleet, *pair, kept={OURS, THEIRS, b"not deleted after all\n"})
    assert names == {
        variant("del.txt", b"not deleted after all\n"),
        variant("foo.txt", OURS),
        variant("foo.txt", THEIRS),
    }


def test_a_conflict_about_a_variant_makes_further_variants(
    pair: tuple[Repo, Repo], fleet: Fleet
) -> None:
    prepare(pair, fleet, {"f.variant-1234.txt": b"before\n"})
    apart(
        pair,
        lambda a: a.replace("f.variant-1234.txt", OURS),
        lambda b: b.replace("f.variant-1234.txt", THEIRS),
    )

    fleet.serve(*pair)

    assert len(agree(fleet, *pair, kept={OURS, THEIRS})) == 2


@pytest.mark.parametrize("form", FORMS)
def test_a_conflict_made_while_both_daemons_run_loses_nothing(
    pair: tuple[Repo, Repo], fleet: Fleet, form: str
) -> None:
    adopt(form, *pair)
    a, b = pair
    a.write("f.txt", b"before\n")
    fleet.serve(*pair)
    synced(*pair)

    for number in range(5):
        ours, theirs = b"a %d\n" % number, b"b, which is longer, %d\n" % number
        a.replace("f.txt", ours)
        b.replace("f.txt", theirs)
        synced(*pair)
        fleet.settle()
        for repo in pair:
            assert {digest(ours), digest(theirs)} <= {
                entry.digest
                for commit in repo.commits()
                for entry in committed(repo, commit).values()
            }
        a.write("f.txt", b"again\n")
        synced(*pair)

    assert not a.marked()
    a.check()


def test_with_resolvemerge_off_a_conflict_waits_for_its_user(
    pair: tuple[Repo, Repo], fleet: Fleet
) -> None:
    a, b = pair
    for repo in pair:
        repo.config("annex.resolvemerge", "false")
        repo.write("f.txt", OURS if repo is a else THEIRS)
        fleet.annexd(repo)

    wait_until(lambda: digests(a) and digests(b), 60)
    stays(lambda: not a.in_progress() and not b.in_progress(), 5)

    for repo, content in ((a, OURS), (b, THEIRS)):
        assert repo.read("f.txt") == content
        assert not repo.marked()
        a.write(f"still {repo.path.name}", b"committed")
    wait_until(lambda: digest(b"committed") in digests(a))


def test_an_assistant_that_seems_to_be_merging_is_not_given_the_conflict_once_more(
    pair: tuple[Repo, Repo], fleet: Fleet
) -> None:
    """It has both sides, and does nothing with them (10.20230126, whose merge git has refused)."""
    a, b = pair
    for repo, content in ((a, OURS), (b, THEIRS)):
        repo.write("f", content)
        repo.annex("add", "-q", "f")
        repo.git("commit", "-q", "-m", f"git-annex in {repo.path.name}")
    b.git("fetch", "-q", "a")
    state = a.path / ".git/annex/annexd/state"
    given = f"refs/synced/{a.uuid()}"
    with lock_held(b.path / ".git/annex/daemon.pid"):
        fleet.serve(a)
        wait_until(lambda: (said := read_state(state, "watcher")) and said.note(YIELDS))

        stays(lambda: not b.git("for-each-ref", given), MERGE_S + 5)

        wait_until(lambda: "f" not in a.git("ls-files").decode().split())
        wait_until(lambda: tip(b, "heads/synced/main") == a.head())
    assert not b.git("for-each-ref", given)
