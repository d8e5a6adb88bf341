"""Questions left to git-annex, and work left to it."""

import os

import pytest

from spool.key import Key
from tests.processes import alive, kill
from tests.repo import Repo
from workers.annex import oneshot, questions, repository
from workers.annex.questions import Wants
from workers.annex.repository import Repository
from workers.annex.stream import AnnexEndedError
from workers.git.offspring import descendants


@pytest.fixture
def here(repo: Repo) -> Repository:
    return repository.find(repo.path)


def test_a_repository_wants_what_its_expression_says(here: Repository, repo: Repo) -> None:
    repo.add("a", b"one")
    repo.add("b c", b"two")
    repo.annex("wanted", "here", "metadata=tag=x or include=b*")
    repo.annex("metadata", "-q", "a", "--tag", "x")
    repo.add("d", b"three")

    with Wants(here, here.uuid, is_here=True) as wants:
        assert wants.any_of([b"a"]) is True
        assert wants.any_of([b"d"]) is False
        assert wants.any_of([b"d", b"b c"]) is True
        assert wants.any_of([b"new\nline"]) is None


def test_preferences_are_read_again_after_a_close(here: Repository, repo: Repo) -> None:
    repo.add("a", b"one")
    repo.annex("wanted", "here", "nothing")

    with Wants(here, here.uuid, is_here=False) as wants:
        assert wants.any_of([b"a"]) is False
        repo.annex("wanted", "here", "anything")
        assert wants.any_of([b"a"]) is False
        wants.close()
        assert wants.any_of([b"a"]) is True


def test_a_question_that_git_annex_hangs_over_has_no_answer(
    here: Repository, repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Git annex find of 10.20261026 never returns when a glob is not a pattern."""
    repo.add("a", b"one")
    repo.annex("wanted", "here", "include=[")
    monkeypatch.setattr(questions, "TIMEOUT_S", 1.0)

    with Wants(here, here.uuid, is_here=True) as wants:
        assert wants.any_of([b"a"]) is None


def test_a_process_that_died_is_replaced(here: Repository, repo: Repo) -> None:
    repo.add("a", b"one")
    repo.annex("wanted", "here", "include=a")

    with Wants(here, here.uuid, is_here=True) as wants:
        assert wants.any_of([b"a"]) is True
        stream = wants._asked._stream
        assert stream is not None
        kill(stream.pid)
        stream._process.wait()

        assert wants.any_of([b"a"]) is None
        assert wants.any_of([b"a"]) is True
        assert not alive(stream.pid)


def test_files_are_added_and_staged_by_the_end(here: Repository, repo: Repo) -> None:
    repo.write(".gitignore", b"ignored\n")
    names = [b"a", b"b c", b"ignored", b"nosuch", b".dot", "é".encode(), b"\xff"]
    for name in names:
        if name != b"nosuch":
            repo.write(name, b"content of " + name)

    results = list(oneshot.add(here, names))

    assert [result.item for result in results] == names
    assert [result.done for result in results] == [True, True, False, False, True, True, True]
    assert results[0].key == repo.key("a")
    assert results[4].key is None
    staged = repo.git("ls-files", "-z").split(b"\0")
    assert {name for name in names if name in staged} == set(names) - {b"ignored", b"nosuch"}


def test_many_files_are_added_in_one_process(here: Repository, repo: Repo) -> None:
    names = [b"f%d" % number for number in range(50)]
    for name in names:
        repo.write(name, name)

    assert all(result.done and result.key for result in oneshot.add(here, names))
    assert len(repo.git("ls-files").splitlines()) == 50


def test_a_name_with_a_newline_is_added_too(here: Repository, repo: Repo) -> None:
    names = [b"new\nline", b"plain", b"-dash"]
    for name in names:
        repo.write(name, name)

    results = list(oneshot.add(here, names))

    assert [(result.item, result.done) for result in results] == [(name, True) for name in names]
    assert set(repo.git("ls-files", "-z").split(b"\0")) == {*names, b""}


def test_a_setting_that_git_annex_rejects_is_an_error_and_not_a_result(
    here: Repository, repo: Repo
) -> None:
    repo.config("annex.largefiles", "nonsense")
    repo.write("a", b"x")

    with pytest.raises(AnnexEndedError, match="largefiles"):
        list(oneshot.add(here, [b"a"]))


def test_only_what_no_file_wants_is_dropped_and_only_with_copies_elsewhere(
    pair: tuple[Repo, Repo],
) -> None:
    a, _b = pair
    a.annex("wanted", "here", "include=keep*")
    wanted = Key(a.add("keep1", b"same"))
    a.add("other1", b"same")
    unwanted = Key(a.add("other2", b"unwanted"))
    a.annex("copy", "-q", "--to", "b", ".")
    only_copy = Key(a.add("other3", b"only copy"))
    here = repository.find(a.path)

    results = list(oneshot.drop_unwanted(here, [wanted, unwanted, only_copy], None))

    assert [result.item for result in results] == [wanted, unwanted, only_copy]
    assert [result.done for result in results] == [False, True, False]
    assert a.read("keep1") == b"same"
    assert b"[here]" not in a.annex("whereis", "other2")


def test_content_is_dropped_from_a_remote_that_does_not_want_it(
    pair: tuple[Repo, Repo],
) -> None:
    a, b = pair
    key = Key(a.add("f", b"content"))
    a.annex("copy", "-q", "--to", "b", "f")
    a.annex("wanted", "b", "nothing")
    here = repository.find(a.path)

    (result,) = oneshot.drop_unwanted(here, [key], "b")

    assert result.done
    assert b.uuid().encode() not in a.annex("whereis", "f")


def test_what_is_unwanted_by_its_name_is_dropped_by_its_name(pair: tuple[Repo, Repo]) -> None:
    """What ``exclude=`` says holds for no key alone."""
    a, _b = pair
    a.annex("wanted", "here", "exclude=d*")
    names = [b"-x", b"d\nlines", b"d/trailing "]
    for name in names:
        a.write(name, name)
    a.annex("add", "-q", ".")
    a.annex("copy", "-q", "--to", "b", ".")
    here = repository.find(a.path)

    results = list(oneshot.drop_unwanted_files(here, names, None))

    assert sum(result.done for result in results) == 2
    assert a.annex("find", "--format=${file}\\n").split() == [b"-x"]


def test_whoever_stops_half_way_leaves_no_process(here: Repository, repo: Repo) -> None:
    names = [b"f%d" % number for number in range(30)]
    for name in names:
        repo.write(name, name)
    results = oneshot.add(here, names)
    assert next(results).done
    started = descendants(os.getpid())

    del results  # as when the loop over it is left by an exception

    assert started
    assert not any(alive(pid) for pid in started)


def test_an_answer_that_is_none_is_a_broken_protocol() -> None:
    assert oneshot.parse(b"a", b"") == oneshot.Result(b"a", done=False)
    for line in (b"x", b"[]", b"{}", b'"a"', b'{"success": true, "error-messages": 3}'):
        with pytest.raises(AnnexEndedError):
            oneshot.parse(b"a", line)
    spoilt = '{"success": true, "key": "SHA256E-s1--x.\ufffd"}'.encode()
    assert oneshot.parse(b"a", spoilt).key is None
