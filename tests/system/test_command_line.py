"""What is typed wrongly, or written to nobody: one line says so, and what to do."""

from pathlib import Path

import pytest

from tests.processes import Ended, run, run_to_end
from tests.repo import Repo


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nonsense"], b"annexd: no such command 'nonsense'; see: annexd --help\n"),
        (
            ["start", "--nonsense"],
            b"annexd: no such option: --nonsense; see: annexd start --help\n",
        ),
        (["cancel"], b"annexd: missing argument 'WHAT'; see: annexd cancel --help\n"),
        (["why"], b"annexd: missing argument 'WHAT'; see: annexd why --help\n"),
        (
            ["start", ""],
            b"annexd: invalid value for 'DIR': it is empty; see: annexd start",
        ),
        (
            ["status", ""],
            b"annexd: invalid value for 'DIR': it is empty; see: annexd status",
        ),
        (
            ["map", "--for"],
            b"annexd: option '--for' requires an argument; see: annexd map --help\n",
        ),
        (["wait", "--timeout", "soon"], b"annexd: 'soon' is not a length of time; write it like "),
        (["limit", "--up", "fast"], b"annexd: 'fast' is no speed; write it like "),
        (["start", "--autostart", "--foreground"], b"annexd: --foreground is for one repository, "),
        (
            ["stop", "--autostart", "."],
            b"annexd: --autostart is for every repository on the list",
        ),
    ],
)
def test_a_command_line_that_is_wrong(repo: Repo, words: list[str], said: bytes) -> None:
    done = run_to_end(["annexd", *words], cwd=repo.path)

    assert done.stderr.startswith(said), done
    assert (done.status, done.stdout, done.stderr.count(b"\n")) == (2, b"", 1)


def test_without_a_command_there_is_help() -> None:
    done = run_to_end(["annexd"])

    assert done.status == 2
    assert done.stdout == run(["annexd", "--help"])


@pytest.mark.parametrize(
    "words",
    [*(["map"], ["pause"], ["hold"], ["wait"], ["poke"], ["accept"], ["retry"]), ["cancel", "f"]],
)
def test_a_repository_without_git_annex(tmp_path: Path, words: list[str]) -> None:
    run(["git", "init", "-q", tmp_path])
    before = sorted(tmp_path.rglob("*"))

    done = run_to_end(["annexd", *words], cwd=tmp_path)

    assert done.stderr.endswith(b"is not used with git-annex; run there: git annex init\n")
    assert (done.status, done.stdout, done.stderr.count(b"\n")) == (100, b"", 1)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("words", ["status", "transfers", "--help", "doctor"])
def test_what_cannot_be_written_is_told_once(repo: Repo, words: str) -> None:
    done = run_to_end(["sh", "-c", f"annexd {words} >/dev/full"], cwd=repo.path)

    assert done == Ended(111, b"", b"annexd: No space left on device; free some space\n")


def test_who_reads_no_further_has_read_what_he_wanted(repo: Repo) -> None:
    script = "set -o pipefail; annexd doctor | head -n 1"

    done = run_to_end(["bash", "-c", script], cwd=repo.path)

    assert (done.status, done.stderr) == (0, b"")
