"""Running git-annex once, and speaking as it does."""

import pytest

from spool.transfer import parse_uuid
from tests.repo import Repo
from workers.annex.branch import Branch
from workers.annex.repository import find
from workers.annex.run_annex import run_annex
from workers.annex.uuidlogs import commit_message
from workers.git.run import GitError, environment


def test_git_annex_is_run_in_its_repository_and_failures_are_quoted(repo: Repo) -> None:
    key = repo.add("file", b"content")

    assert run_annex(find(repo.path), "lookupkey", "file").strip() == key
    with pytest.raises(GitError, match="nothere"):
        run_annex(find(repo.path), "get", "--", "nothere")


def test_commits_say_where_they_were_made_as_git_annex_does(repo: Repo) -> None:
    for name in ("first", "a name with spaces, timestamp=5s and é"):
        repo.annex("describe", "-q", "here", name)
        repo.write(name[:5], name.encode())
        repo.annex("add", "-q", name[:5])
        repo.annex("sync", "-q", "--no-content")

        with Branch(find(repo.path)) as branch:
            said = commit_message(branch.read(b"uuid.log"), branch.repository.uuid)
        assert repo.git("log", "-1", "--format=%B").strip() == said
    assert commit_message(b"", parse_uuid(b"unknown")) == b"git-annex in unknown"


def test_programs_that_keep_contents_find_their_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BORG_PASSCOMMAND", "pass borg")
    monkeypatch.setenv("GIT_DIR", "/elsewhere")

    assert environment()["BORG_PASSCOMMAND"] == "pass borg"
    assert "GIT_DIR" not in environment()
