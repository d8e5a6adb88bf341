"""``annexd doctor --deep``: every fault, made for real, is found, and its cure is tried."""

import fcntl
import hashlib
import os
import sqlite3
import time
from pathlib import Path

import pytest

from annexd.deep import looks
from annexd.deep.looks import CHECKS, Verdict, examine_deeply, with_hashes
from annexd.finding import Finding, quoted
from annexd.repository import find_place
from tests.processes import run, run_to_end, running
from tests.repo import Repo
from tests.system.conftest import CLI

PEER = "d1eba1c1-9e84-43b0-9003-e2cb3f1fdad8"
OLD = 100_000.0


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "PAUSES_S", (0.05,))


@pytest.fixture
def here(repo: Repo) -> Repo:
    """A healthy repository: ``open`` is unlocked, ``shut`` locked; it stays healthy if cured."""
    repo.config("annex.addunlocked", "true")
    repo.add("open", b"some content")
    repo.config("annex.addunlocked", "false")
    repo.add("shut", b"other content")
    repo.annex("merge", "-q")
    return repo


def found(repo: Repo, checks: tuple[looks.Check, ...] = CHECKS) -> dict[str, str]:
    """What is wrong, and the cure."""
    verdict = Verdict()
    told = list(examine_deeply(find_place(repo.path), verdict, checks))
    wrong = [each for each in told if each.is_wrong]
    assert verdict.wrong == len(wrong)
    assert not verdict.unseen, told
    return {each.text: each.cure for each in wrong}


def only(repo: Repo, text: str, checks: tuple[looks.Check, ...] = CHECKS) -> str:
    """The cure of the one thing that is wrong; what is said of it has to have ``text`` in it."""
    wrong = found(repo, checks)
    assert len(wrong) == 1, wrong
    said, cure = next(iter(wrong.items()))
    assert text in said
    return cure


def do(repo: Repo, command: str) -> None:
    """Type what doctor says."""
    run(["bash", "-c", command.partition(";")[0]], cwd=repo.path)


def age(path: Path) -> None:
    """Make a file look as if it had been there for more than a day."""
    os.utime(path, (time.time() - OLD, time.time() - OLD), follow_symlinks=False)


def objects(repo: Repo, key: bytes) -> Path:
    """Where the content of a key is."""
    return repo.path / os.fsdecode(repo.annex("contentlocation", key).strip())


def take(path: Path) -> None:
    """Remove an object as a bad disk, or a person, may: nobody is told."""
    path.parent.chmod(0o755)
    path.unlink()


def test_a_healthy_repository_is_told_to_be_well_and_nothing_in_it_changes(here: Repo) -> None:
    def seen() -> set[tuple[str, int]]:
        inside = (path for path in here.path.rglob("*") if "keysdb" not in str(path))
        return {(str(path), path.lstat().st_mtime_ns) for path in inside if not path.is_dir()}

    before = seen()
    ended = run_to_end((*CLI, "doctor", "--deep", "--hash"), cwd=here.path)

    assert ended.status == 0, ended
    for check in with_hashes():
        assert f"ok    {check.well}" in ended.stdout.decode()
    assert seen() == before


def test_what_is_wrong_ends_with_status_1_and_where_one_cannot_look_with_2(
    here: Repo, tmp_path: Path
) -> None:
    take(objects(here, here.key("shut")))

    ended = run_to_end((*CLI, "doctor", "--deep"), cwd=here.path)
    assert ended.status == 1
    assert b"mend it: git annex fsck --fast --key=SHA256E" in ended.stdout

    outside = run_to_end((*CLI, "doctor", "--deep", tmp_path / "nowhere"), cwd=tmp_path)
    assert outside.status == 2
    assert b"cannot look" in outside.stderr
    assert b"Traceback" not in outside.stderr


def test_a_content_that_is_logged_and_gone_is_found(here: Repo) -> None:
    take(objects(here, here.key("shut")))

    cure = only(here, "is logged to be here, and is not")
    run_to_end(["bash", "-c", cure], cwd=here.path)  # its status says that nothing is left
    assert not found(here)


def test_a_content_that_is_here_and_not_logged_is_found(here: Repo) -> None:
    here.annex("setpresentkey", here.key("shut"), here.uuid(), "0")

    do(here, only(here, "is here, and not logged to be"))
    assert not found(here)


def test_a_content_that_nobody_has_heard_of_is_told_apart(here: Repo) -> None:
    """As one that was overwritten before a watcher, killed then, had committed it."""
    key = b"SHA256E-s2--" + hashlib.sha256(b"v1").hexdigest().encode()
    path = here.path / ".git/annex/objects/x/y" / os.fsdecode(key) / os.fsdecode(key)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"v1")

    only(here, "is here, and not logged to be, nor to be anywhere")


def test_a_content_of_the_wrong_size_is_found_and_a_damaged_one_if_all_are_read(
    here: Repo,
) -> None:
    path = objects(here, here.key("shut"))
    path.parent.chmod(0o755)
    path.chmod(0o644)
    path.write_bytes(b"OTHER content")
    assert not found(here)
    assert "git annex fsck --key=" in only(here, "is damaged", with_hashes())

    path.write_bytes(b"short")
    run_to_end(["bash", "-c", only(here, "has 5 bytes, and should have 13")], cwd=here.path)
    assert not found(here, with_hashes())


def test_an_unlocked_file_that_was_not_filled_is_found(here: Repo) -> None:
    here.write("open", here.git("show", "HEAD:open"))

    do(here, only(here, "open shows no content, though it is here"))
    assert here.read("open") == b"some content"


def test_a_link_that_was_moved_by_hand_is_found(here: Repo) -> None:
    (here.path / "below").mkdir()
    here.git("mv", "shut", "below/shut")

    do(here, only(here, "below/shut leads nowhere, though its content is here"))
    assert here.read("below/shut") == b"other content"


def test_a_file_that_git_takes_for_another_content_is_found(here: Repo) -> None:
    """As a machine leaves it that lost its power while a file was filled."""
    before = (here.path / "open").stat()
    with (here.path / "open").open("r+b") as file:
        file.truncate(3)
    os.utime(here.path / "open", ns=(before.st_atime_ns, before.st_mtime_ns))
    here.config("core.trustctime", "false")
    pretend(here, "open")

    cure = only(here, "it has 3 bytes instead of 12")
    do(here, cure.removeprefix("to keep what is there: "))
    assert not found(here)
    assert here.key("open").startswith(b"SHA256E-s3-")


def test_a_file_whose_content_the_annex_has_lost_is_found_and_gives_it_back(here: Repo) -> None:
    path = objects(here, here.key("open"))
    take(path)
    here.annex("setpresentkey", here.key("open"), here.uuid(), "0")

    cure = only(here, "open has its content, and the annex, which should have it, has not")
    do(here, cure.removeprefix("to keep what is there: "))
    assert path.read_bytes() == b"some content"


def test_a_file_that_git_must_read_again_is_found_and_one_that_a_person_changes_is_not(
    here: Repo,
) -> None:
    here.replace("open", b"some content")  # another inode
    do(here, only(here, "git has to read open again"))
    assert not found(here)

    here.write("open", b"some CONTENT")
    assert not found(here)


def test_what_waits_for_a_remote_behind_a_remote_is_no_fault(here: Repo) -> None:
    """As ``git annex updateproxy`` has told; before, its transfers were said to be removed."""
    gate = "0e2dc37c-ba86-4aac-ab7f-9d4156140869"
    here.config("remote.gate.url", "ssh://localhost:1/nowhere")
    here.config("remote.gate.annex-uuid", gate)
    here.write(".git/annex/journal/proxy.log", f"1700000000s {gate} {PEER}:usb\n".encode())
    here.annex("merge", "-q")
    key = os.fsdecode(here.key("open"))

    here.write(f".git/annex/transfer/queue/to/{PEER}/{key}", b"1795357673.4s\nopen\n")

    assert not found(here)


def test_what_does_not_belong_into_the_spool_is_found(here: Repo) -> None:
    spool = here.path / ".git/annex/transfer"
    key = os.fsdecode(here.key("open"))
    made = {
        f"queue/to/{PEER}/{key}": b"1795357673.4s\nopen\n",
        f"queue/to/{PEER}/README": b"hello",
        f"queue/from/{PEER}/{key}": b"no info at all",
        "queue/to/bad name/x": b"",
        "queue/tmp/left": b"",
        f"upload/{PEER}/{key}": b"1795357673.4s\nopen\n",
        f"download/lck/lck.{key}": b"",
        f"failed/upload/{PEER}/{key}": b"junk",
        "hold/all": b"till monday\n",
        "corrupt/0123": b"hello",
        "corrupt/0123.reason": b"not a transfer info\n'transfer/queue/to/x'\n",
    }
    for name, content in made.items():
        path = spool / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        age(path)
    os.mkfifo(spool / f"queue/to/{PEER}/SHA256-s1--aa")

    wrong = found(here)
    expected = (
        f"transfers to {PEER} wait, which is no remote",
        f"transfers from {PEER} wait, which is no remote",
        f"queue/to/{PEER}/README is no waiting transfer",
        f"queue/to/{PEER}/SHA256-s1--aa is no waiting transfer: not a regular file",
        f"queue/from/{PEER}/{key} is no waiting transfer: not a transfer info",
        "queue/to/bad name is not named after a repository",
        "queue/tmp/left was left by a killed process",
        f"upload/{PEER}/{key} says that a transfer runs, and nobody runs it",
        f"download/lck/lck.{key} is a lock that nobody holds",
        f"failed/upload/{PEER}/{key} is no failed transfer",
        "hold/all is a pause for ever",
        "corrupt/0123 could not be understood and was moved aside: not a transfer info",
    )
    for text in expected:
        assert sum(text in said for said in wrong) == 1, text
    assert len(wrong) == len(expected), wrong


def test_a_file_in_the_way_of_the_spool_is_found(here: Repo) -> None:
    here.path.joinpath(".git/annex/transfer").mkdir(exist_ok=True)
    here.path.joinpath(".git/annex/transfer/queue").symlink_to("/etc")

    do(here, only(here, "queue is in the way of a directory of the spool"))
    assert not found(here)
    assert Path("/etc/passwd").exists()


def test_locks_that_somebody_holds_are_no_fault(here: Repo) -> None:
    key = os.fsdecode(here.key("open"))
    lane = here.path / f".git/annex/transfer/upload/{PEER}"
    lane.mkdir(parents=True)
    (lane / key).write_bytes(b"1795357673.4s\nopen\n")
    path = lane / f"lck.{key}"
    path.touch()
    age(path)
    with path.open("r+b") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        ended = run_to_end((*CLI, "doctor", "--deep"), cwd=here.path)
        assert ended.status == 0, ended
    assert "nobody runs it" in next(iter(found(here)))


def test_the_directory_and_records_of_annexd_are_looked_at(here: Repo) -> None:
    own = here.path / ".git/annex/annexd"
    (own / "state").mkdir(parents=True)
    (own / "remotes/far").mkdir(parents=True)
    own.chmod(0o755)
    (own / "state/watcher").write_bytes(b"asleep\n")
    (own / "supervisor").write_bytes(b"\0\0\0\0")
    (own / "remotes/far/reach").write_bytes(b"reach maybe\n")

    wrong = found(here)
    assert len(wrong) == 4, wrong
    for cure in wrong.values():
        do(here, cure)
    assert not found(here)


def test_torn_refs_and_indexes_are_found(here: Repo) -> None:
    head = here.head()
    (here.path / ".git/refs/heads/main").write_bytes(b"")
    cure = only(here, ".git/refs/heads/main is torn")
    do(here, cure)
    assert here.head() == head

    (here.path / ".git/refs/remotes/far").mkdir(parents=True)
    (here.path / ".git/refs/remotes/far/main").write_bytes(b"1" * 40 + b"\n")
    assert "which is not here" in next(iter(found(here)))
    (here.path / ".git/refs/remotes/far/main").unlink()

    (here.path / ".git/index").write_bytes(b"DIRC\0\0\0\2")
    do(here, only(here, "git's index is torn"))
    assert not here.status()

    (here.path / ".git/annex/index").write_bytes(b"DIRC")
    do(here, only(here, "git-annex's index of its branch is torn"))
    assert not found(here)


def test_a_reftable_is_no_torn_ref(here: Repo) -> None:
    """There, git keeps refs elsewhere, and puts files in their way that no old git can read."""
    here.git("pack-refs", "--all", "--prune")
    heads = here.path / ".git" / "refs" / "heads"
    heads.rmdir()
    heads.write_text("this repository uses the reftable format\n")
    (here.path / ".git" / "reftable").mkdir()

    assert not found(here, CHECKS[2:3])


def test_locks_of_killed_gits_are_found_however_new_and_those_in_use_are_not(here: Repo) -> None:
    lock = here.path / ".git/annex/index.lock"
    lock.touch()
    with lock.open():
        assert not found(here)

    with running(["git", "-c", "alias.wait=!sleep 60", "wait"], cwd=here.path):
        ended = run_to_end((*CLI, "doctor", "--deep"), cwd=here.path)
        assert ended.status == 0, ended

    do(here, only(here, "was left by a process that is gone"))
    assert not found(here)


def test_a_merge_that_was_left_unfinished_is_found_and_one_that_goes_on_is_not(here: Repo) -> None:
    path = here.path / ".git/MERGE_HEAD"
    path.write_text(here.head() + "\n")
    assert not found(here)

    age(path)
    do(here, only(here, "a merge was begun").removeprefix("finish it, or: "))
    assert not path.exists()


def test_files_of_the_journal_that_would_be_committed_as_they_are_are_found(here: Repo) -> None:
    journal = here.path / ".git/annex/journal"
    journal.mkdir(exist_ok=True)
    (journal / "aaa_bbb_SHA256-s1--aa.log").write_bytes(b"1795357673s 1 " + PEER.encode())
    (journal / "empty.log").write_bytes(b"")

    wrong = found(here)
    assert {text.partition(" ")[2].partition(",")[0] for text in wrong} == {
        "is torn",
        "is empty; git-annex would commit it",
    }
    for cure in wrong.values():
        do(here, cure)
    assert not found(here)


def test_a_file_that_the_database_has_forgotten_is_found(here: Repo) -> None:
    database = here.path / ".git/annex/keysdb/db"
    here.annex("find", "--unlocked")
    assert not found(here)
    with sqlite3.connect(database) as connection:
        assert connection.execute("DELETE FROM associated WHERE file=?", (b"open",)).rowcount == 1
    connection.close()

    cure = only(here, "does not know that open is unlocked")
    do(here, cure)
    assert not found(here)
    with sqlite3.connect(database) as connection:
        assert connection.execute("SELECT 1 FROM associated WHERE file=?", (b"open",)).fetchone()
    connection.close()


def test_a_damaged_database_is_found(here: Repo) -> None:
    database = here.path / ".git/annex/keysdb/db"
    for path in database.parent.glob("db-*"):
        path.unlink()
    database.write_bytes(b"no database " * 500)

    do(here, only(here, "is damaged: file is not a database"))
    assert not found(here)
    with sqlite3.connect(database) as connection:
        assert connection.execute("SELECT 1 FROM associated WHERE file=?", (b"open",)).fetchone()
    connection.close()


def test_a_stranger_at_the_address_of_a_remote_is_found_and_an_empty_one_is_not(
    here: Repo, tmp_path: Path
) -> None:
    other = here.clone(tmp_path / "other")
    here.remote(other)
    here.annex("sync", "-q", "--no-content")
    assert not found(here)

    other.path.rename(tmp_path / "away")
    assert not found(here)

    stranger = Repo.create(tmp_path / "other")
    assert "annex-uuid" in only(here, f"but a stranger, {stranger.uuid()}")


def test_a_stranger_behind_ssh_is_found_and_who_does_not_answer_is_not(
    here: Repo, tmp_path: Path
) -> None:
    stranger = Repo.create(tmp_path / "stranger")
    ssh = tmp_path / "ssh"
    ssh.write_text('#!/bin/sh\nfor command; do :; done\nexec sh -c "$command"\n')
    ssh.chmod(0o755)
    here.config("core.sshcommand", str(ssh))
    here.git("remote", "add", "far", f"ssh://host{stranger.path}")
    here.config("remote.far.annex-uuid", PEER)
    only(here, f"not {PEER}, but a stranger, {stranger.uuid()}")

    here.config("remote.far.annex-uuid", stranger.uuid())
    assert not found(here)
    ssh.write_text("#!/bin/sh\nexit 255\n")
    assert not found(here)


def test_nothing_a_peer_can_name_a_file_reaches_the_terminal_or_the_shell(here: Repo) -> None:
    name = b"a'\x1b[31m$(touch pwned)"
    here.config("annex.addunlocked", "true")
    here.add(name, b"hostile")
    here.write(name, here.git("show", b"HEAD:" + name))

    wrong = [Finding(text, is_wrong=True, cure=cure) for text, cure in found(here).items()]
    shown = wrong[0].line()
    assert len(wrong) == 1
    assert shown.count("\n") == 1
    assert all(char.isprintable() or char == "\n" for char in shown)
    do(here, wrong[0].cure)
    assert here.read(name) == b"hostile"
    assert not here.exists("pwned")


@pytest.mark.parametrize("name", [b"plain", b"with space", b"-dash", b"\n", b"'\\\n\xff'", b"$(x)"])
def test_a_quoted_word_is_the_word_again(name: bytes) -> None:
    assert run(["bash", "-c", f"printf %s {quoted(name)}"]) == name


def pretend(repo: Repo, name: str) -> None:
    """Have git believe that a file is what the index says, as if it had just looked."""
    blob = repo.git("ls-files", "--stage", name).split()[1].decode()
    attributes = repo.path / ".git/info/attributes"
    before = attributes.read_bytes()
    attributes.write_text("* filter=pretence\n")
    repo.config("filter.pretence.clean", f"cat >/dev/null; git cat-file blob {blob}")
    repo.git("update-index", "--", name)
    attributes.write_bytes(before)
    assert repo.git("ls-files", "--stage", name).split()[1].decode() == blob
