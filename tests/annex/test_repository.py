"""Finding repositories, as git and git-annex make them."""

import os
from pathlib import Path

import pytest

from tests.processes import run
from tests.repo import Repo
from workers.annex import repository as repositories
from workers.annex.hashdirs import Tuning
from workers.annex.repository import find, find_with_worktree


def test_a_repository_is_found_from_its_top_from_below_and_by_its_git_dir(repo: Repo) -> None:
    (repo.path / "deep" / "er").mkdir(parents=True)

    for path in (repo.path, repo.path / "deep" / "er", repo.path / ".git"):
        found = find_with_worktree(path)

        assert found.git.worktree == repo.path
        assert found.git.gitdir == found.common == repo.path / ".git"
        assert found.uuid == repo.uuid().encode()
        assert not found.bare
        assert not found.linked


def test_a_directory_that_is_no_repository_is_refused(tmp_path: Path) -> None:
    with pytest.raises(repositories.NotARepositoryError):
        find(tmp_path)
    with pytest.raises(repositories.NotARepositoryError):
        find(tmp_path / "missing")


def test_a_bare_repository_can_be_a_remote_but_has_nothing_to_watch(tmp_path: Path) -> None:
    run(["git", "init", "-q", "--bare", tmp_path / "bare"])
    run(["git-annex", "init", "-q", "bare"], cwd=tmp_path / "bare")

    found = find(tmp_path / "bare")

    assert found.bare
    assert found.git.worktree is None
    assert found.layout.annex == os.fsencode(tmp_path / "bare" / "annex")
    with pytest.raises(repositories.BareRepositoryError):
        find_with_worktree(tmp_path / "bare")


def test_a_repository_without_an_annex_is_refused(tmp_path: Path) -> None:
    run(["git", "init", "-q", tmp_path / "plain"])

    with pytest.raises(repositories.UninitialisedError):
        find(tmp_path / "plain")


@pytest.mark.parametrize("uuid", ["../../etc", "a b", "lck"])
def test_a_uuid_that_is_not_fit_for_a_path_is_refused(repo: Repo, uuid: str) -> None:
    repo.config("annex.uuid", uuid)

    with pytest.raises(repositories.UninitialisedError):
        find(repo.path)


def test_another_version_of_the_format_is_refused(repo: Repo) -> None:
    repo.config("annex.version", "8")

    with pytest.raises(repositories.UnsupportedRepositoryError, match="upgrade"):
        find(repo.path)


def test_a_repository_with_pid_locks_is_refused(repo: Repo) -> None:
    repo.config("annex.pidlock", "true")

    with pytest.raises(repositories.UnsupportedRepositoryError, match="pidlock"):
        find(repo.path)


def test_the_file_that_git_puts_in_the_place_of_branches_beside_a_reftable_is_no_fault(
    repo: Repo,
) -> None:
    heads = repo.path / ".git/refs/heads"
    repo.git("pack-refs", "--all", "--prune")
    heads.rmdir()
    heads.write_text("this repository uses the reftable format\n")

    assert find(repo.path).uuid.decode() == repo.uuid()


def test_a_repository_of_another_user_is_refused(repo: Repo) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a directory away")
    for path in (repo.path, repo.path / ".git"):
        os.chown(path, 12345, 12345)

    with pytest.raises(repositories.NoPermissionError, match="another user"):
        find(repo.path)


def test_a_linked_work_tree_shares_the_annex_of_its_repository(repo: Repo, tmp_path: Path) -> None:
    repo.add("file", b"content")
    repo.git("worktree", "add", "-q", tmp_path / "linked", "-b", "other")
    for initialised in (False, True):  # git-annex turns the .git file into a link
        if initialised:
            run(["git-annex", "init", "-q"], cwd=tmp_path / "linked")

        found = find_with_worktree(tmp_path / "linked")

        assert found.git.worktree == tmp_path / "linked"
        assert found.git.gitdir == repo.path / ".git" / "worktrees" / "linked"
        assert found.common == repo.path / ".git"
        assert found.linked
        assert found.uuid == repo.uuid().encode()
        assert os.path.isdir(found.layout.objects)
    assert (tmp_path / "linked" / ".git").is_symlink()


def test_a_submodule_has_its_git_dir_elsewhere(repo: Repo, tmp_path: Path) -> None:
    outer = Repo.create(tmp_path / "outer")
    repo.add("file", b"content")
    outer.git("submodule", "--quiet", "add", repo.path, "sub")
    for initialised in (False, True):
        if initialised:
            run(["git-annex", "init", "-q"], cwd=outer.path / "sub")
            found = find_with_worktree(outer.path / "sub")
            assert found.common == outer.path / ".git" / "modules" / "sub"
        else:
            with pytest.raises(repositories.UninitialisedError):
                find(outer.path / "sub")


def test_a_path_may_have_any_name(tmp_path: Path) -> None:
    name = os.fsdecode(b"-n\xff new\nline \xc3\xa9")
    repo = Repo.create(tmp_path / name, "described")

    found = find_with_worktree(repo.path)

    assert found.git.worktree == repo.path
    assert found.common == repo.path / ".git"


def test_tunings_and_settings_are_read(tmp_path: Path) -> None:
    run(["git", "init", "-q", tmp_path / "tuned"])
    options = ["objecthash1", "objecthashlower", "branchhash1"]
    settings = [word for option in options for word in ("-c", f"annex.tune.{option}=true")]
    run(["git", *settings, "annex", "init", "-q"], cwd=tmp_path / "tuned")
    repo = Repo(tmp_path / "tuned")
    repo.config("core.symlinks", "false")
    repo.config("annex.crippledfilesystem", "true")

    found = find(repo.path)

    assert found.tuning == Tuning(one_level_objects=True, lower_objects=True, one_level_logs=True)
    assert found.crippled
    assert not found.symlinks


def test_a_hook_is_found_where_git_would_look_for_it(repo: Repo, tmp_path: Path) -> None:
    hook = repo.write(".git/hooks/freezecontent-annex", b"#!/bin/sh\n")
    assert find(repo.path).hook("freezecontent-annex") is None  # it is not executable
    hook.chmod(0o755)
    assert find(repo.path).hook("freezecontent-annex") == hook

    repo.config("core.hooksPath", str(tmp_path / "hooks"))
    assert find(repo.path).hook("freezecontent-annex") is None


def test_a_repository_whose_path_has_two_lines_is_found(tmp_path: Path) -> None:
    repo = Repo.create(tmp_path / "two\nlines")

    for path in (repo.path, repo.path / ".git"):
        found = find(path)

        assert found.git.worktree == repo.path
        assert found.common == found.git.gitdir == repo.path / ".git"
