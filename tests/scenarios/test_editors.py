"""However a program saves a file, what is committed is what it saved, and nothing in between."""

import random

import pytest

from tests.daemons import Fleet
from tests.faults.seeds import CountTrials, seed
from tests.processes import pause
from tests.repo import Repo
from tests.scenarios.editing import SAVES
from tests.scenarios.forms import FORMS, adopt
from tests.synced import synced

COMMON = {"in_place", "vim", "gtk", "msoffice"}


@pytest.mark.parametrize(
    ("form", "saves"),
    [
        ("unlocked", 5),
        pytest.param("text", 5, marks=pytest.mark.slow),
        *(pytest.param(form, 100, marks=pytest.mark.slow) for form in FORMS),
    ],
)
@pytest.mark.parametrize("editor", SAVES)
def test_saving_a_file_again_and_again(  # noqa: PLR0913, PLR0917 -- fixtures
    repo: Repo,
    fleet: Fleet,
    editor: str,
    form: str,
    saves: int,
    count_trials: CountTrials,
) -> None:
    """RT-07: at most two commits for each save, and the name is never deleted on the way."""
    adopt(form, repo)
    chance = random.Random(f"{seed()} {editor}")
    repo.git("commit", "-q", "--allow-empty", "-m", "start")
    document = repo.write("document.txt", b"first draft\n")
    fleet.serve(repo)
    synced(repo)
    before = len(repo.commits())

    content = b""
    for number in range(saves):
        content += b"line %d of the document\n" % number * chance.randint(1, 500)
        if document.is_symlink():  # an editor would not get it open for writing
            repo.annex("unlock", "-q", "document.txt")
        SAVES[editor](document, content, lambda: pause(chance.uniform(0, 0.2)))
        pause(chance.uniform(0.1, 0.6))
    count_trials(saves)

    synced(repo)
    fleet.settle()
    assert repo.read("document.txt") == content
    assert b"document.txt" not in repo.deletions()
    assert len(repo.commits()) - before <= 2 * saves
    repo.check()


@pytest.mark.parametrize(
    "editor",
    [pytest.param(editor, marks=() if editor in COMMON else pytest.mark.slow) for editor in SAVES],
)
def test_a_save_reaches_the_peer_whole(pair: tuple[Repo, Repo], fleet: Fleet, editor: str) -> None:
    a, b = pair
    a.write("document.txt", b"first draft\n")
    fleet.serve(a, b)
    synced(a, b)

    for number in range(3):
        target = (a, b)[number % 2].path / "document.txt"
        SAVES[editor](target, b"draft %d\n" % number * 1000, lambda: pause(0.05))
        synced(a, b)

    fleet.settle()
    for repo in pair:
        assert repo.read("document.txt") == b"draft 2\n" * 1000
        assert b"document.txt" not in repo.deletions()
        assert not repo.marked()
