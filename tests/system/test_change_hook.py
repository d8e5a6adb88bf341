"""A program of the user's is told of changes, and delays nothing."""

from pathlib import Path

from tests.processes import wait_until
from tests.pushing import pushing, tip
from tests.repo import Repo

TELL = 'printf "%s %s %s %s\\n" "$ANNEXD_BRANCH" "$ANNEXD_OLD" "$ANNEXD_NEW" "$ANNEXD_REMOTES"'


def commit(repo: Repo, message: str) -> str:
    repo.git("commit", "-q", "--allow-empty", "-m", message)
    return repo.head()


def told(path: Path) -> list[list[str]]:
    """What the hook wrote, run by run."""
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def test_the_hook_knows_what_changed_and_who_has_it(
    pair: tuple[Repo, Repo], tmp_path: Path
) -> None:
    a, b = pair
    out = tmp_path / "told"
    a.config("annexd.change-hook", f"{TELL} >>{out}")
    before = a.head()
    with pushing(a) as pusher:
        pusher.settled()

        new = commit(a, "new")

        wait_until(lambda: told(out) == [["main", before, new, "b"]], why=lambda: told(out))
        assert tip(b, "heads/synced/main") == new


def test_a_hundred_commits_are_a_few_runs_and_the_last_one_is_told(
    pair: tuple[Repo, Repo], tmp_path: Path
) -> None:
    a, _b = pair
    out = tmp_path / "told"
    hook = a.path / ".git/hooks/annexd-changed"
    hook.write_text(f"#!/bin/sh\n{TELL} >>{out}\n")
    hook.chmod(0o755)
    with pushing(a) as pusher:
        pusher.settled()

        new = [commit(a, f"{number}") for number in range(100)][-1]

        wait_until(lambda: told(out) and told(out)[-1][2] == new)
    assert len(told(out)) <= 5
    assert all(one[2] == other[1] for one, other in zip(told(out), told(out)[1:], strict=False))


def test_a_hook_that_sleeps_delays_no_push_and_ends_with_the_pusher(
    pair: tuple[Repo, Repo], tmp_path: Path
) -> None:
    a, b = pair
    out = tmp_path / "told"
    a.config("annexd.change-hook", f"echo x >>{out}; sleep 1000")
    with pushing(a) as pusher:
        pusher.settled()
        commit(a, "first")
        wait_until(out.exists)

        new = commit(a, "second")

        wait_until(lambda: tip(b, "heads/synced/main") == new, 5)
        pusher.settled()
    assert len(told(out)) == 1
