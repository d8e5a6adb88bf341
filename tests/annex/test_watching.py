"""What users do in a work tree is committed: real files, real git, a real watcher process."""

import os
import shutil
import socket
from pathlib import Path

import pytest

from tests.processes import descendants, run, stays, wait_until
from tests.repo import Repo
from tests.scenarios.forms import adopt
from tests.watching import begin, deletions, watched
from workers.losses import answer_for
from workers.watcher.committing import MANNERS_S
from workers.watcher.repose import GITS_S

POINTER = b"/annex/objects/"
FILE, EXECUTABLE, LINK = b"100644", b"100755", b"120000"


def blob(repo: Repo, path: bytes) -> bytes:
    return repo.git("cat-file", "blob", repo.tree()[path][1])


def commits(repo: Repo) -> int:
    return int(repo.git("rev-list", "--count", "HEAD"))


def test_what_was_there_before_the_start_is_committed(repo: Repo) -> None:
    repo.write("a", b"1")
    repo.write("dir/b", b"")
    with watched(repo):
        pass

    assert set(repo.tree()) == {b"a", b"dir/b"}
    assert blob(repo, b"a").startswith(POINTER)
    assert repo.read("a") == b"1"
    assert repo.status() == b""
    assert repo.whereis(repo.key("a")) == {repo.uuid().encode()}
    assert b"git-annex in repo" in repo.git("log", "-1", "--format=%s")
    repo.check()


def test_a_git_dir_elsewhere_leaves_nothing_to_add(tmp_path: Path) -> None:
    """So in linked work trees and submodules, too; ``annexd wait`` said: cannot add .git."""
    repo = Repo(tmp_path / "repo")
    run(["git", "init", "-q", "-b", "main", f"--separate-git-dir={tmp_path / 'git'}", repo.path])
    repo.annex("init", "-q")
    assert (repo.path / ".git").is_symlink()  # git-annex has made it of the file that was there
    repo.write("file", b"x")

    with watched(repo) as watching:
        assert watching.state().notes == ()

    assert set(repo.tree()) == {b"file"}


def test_adds_edits_appends_deletes_renames_links_and_modes_are_committed(repo: Repo) -> None:
    for name in ("edited", "appended", "deleted", "renamed", "mode", "replaced"):
        repo.write(name, name.encode())
    with watched(repo) as watching:
        repo.write("edited", b"other")
        with (repo.path / "appended").open("ab") as file:
            file.write(b" more")
        (repo.path / "deleted").unlink()
        (repo.path / "renamed").rename(repo.path / "new name")
        (repo.path / "mode").chmod(0o755)
        repo.write("temporary", b"new")
        (repo.path / "temporary").rename(repo.path / "replaced")
        (repo.path / "link").symlink_to("edited")
        repo.write("empty", b"")
        watching.settle()

        tree = repo.tree()
        assert {path.decode() for path in tree} == {
            *("edited", "appended", "new name", "mode", "replaced", "link", "empty")
        }
        assert tree[b"mode"][0] == EXECUTABLE
        assert tree[b"link"][0] == LINK
        assert repo.read("appended") == b"appended more"
        assert repo.status() == b""
    repo.check()


def test_a_tree_that_is_moved_in_around_and_out_follows(repo: Repo, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    for name in ("x/1", "x/y/2", "x/y/z/3"):
        path = outside / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    with watched(repo) as watching:
        outside.rename(repo.path / "in")
        watching.settle()
        assert set(repo.tree()) == {b"in/x/1", b"in/x/y/2", b"in/x/y/z/3"}

        (repo.path / "in/x").rename(repo.path / "elsewhere")
        (repo.path / "elsewhere/y/z/late").write_bytes(b"late")
        watching.settle()
        assert set(repo.tree()) == {
            *(b"elsewhere/1", b"elsewhere/y/2", b"elsewhere/y/z/3", b"elsewhere/y/z/late")
        }
        renames = repo.git("log", "-1", "--format=", "--name-status", "-M100%", "HEAD~0")
        assert b"D" not in {line[:1] for line in renames.split(b"\n")}

        (repo.path / "elsewhere").rename(outside)
        watching.settle()
        assert repo.tree() == {}


def test_files_written_below_a_directory_that_is_being_moved_are_not_lost(repo: Repo) -> None:
    with watched(repo) as watching:
        (repo.path / "d0").mkdir()
        for number in range(40):
            repo.write(f"d{number}/file{number}", b"%d" % number)
            (repo.path / f"d{number}").rename(repo.path / f"d{number + 1}")
            repo.write(f"d{number + 1}/after{number}", b"after %d" % number)
        watching.settle()

        names = {
            f"d40/{kind}{number}".encode() for kind in ("file", "after") for number in range(40)
        }
        assert set(repo.tree()) == names


def test_names_are_bytes(repo: Repo) -> None:
    names = [
        *(b"new\nline", b"tab\t", b"-rf", b"--", b" lead", b"trail ", b"\xff\xfe", b":(top)x"),
        *(b'quo"te', b"back\\slash", b"!x", b"#x", b"[attr]", b"*", b"a" * 255, b"\x01\x7f"),
        *("ünïcödé".encode(), "e\u0301".encode(), b"$HOME", b"`id`", b"|", b"d\n/\xff"),
    ]
    with watched(repo) as watching:
        for name in names:
            repo.write(name, b"content of " + name)
        watching.settle()

        assert set(repo.tree()) == set(names)
        # git runs git-annex for files that are as new as the index, which fails for a newline.
        assert repo.status() == b""
    for name in names:
        assert repo.read(name) == b"content of " + name


def test_names_that_git_refuses_are_passed_over(repo: Repo) -> None:
    with watched(repo) as watching:
        repo.write(".GIT/x", b"x")
        repo.write("git~1", b"x")
        repo.write("fine", b"x")
        watching.settle()

        assert set(repo.tree()) == {b"fine"}
        skipped = {value for name, value in watching.state().notes if name == "skipped"}
        assert skipped == {".GIT/x", "git~1"}
        (repo.path / "git~1").unlink()
        shutil.rmtree(repo.path / ".GIT")
        watching.answer(lambda state: not state.note("skipped"))


def test_fifos_and_sockets_are_passed_over(repo: Repo) -> None:
    with watched(repo) as watching, socket.socket(socket.AF_UNIX) as bound:
        os.mkfifo(repo.path / "fifo")
        directory = os.open(repo.path, os.O_RDONLY)
        bound.bind(f"/proc/self/fd/{directory}/socket")  # a short name for a long one
        os.close(directory)
        repo.write("file", b"x")
        watching.settle()

        assert set(repo.tree()) == {b"file"}


def test_a_link_into_the_annex_is_mended_when_it_is_moved(repo: Repo) -> None:
    repo.add("locked", b"content")
    target = os.readlink(repo.path / "locked")
    with watched(repo) as watching:
        (repo.path / "deep/er").mkdir(parents=True)
        (repo.path / "locked").rename(repo.path / "deep/er/locked")
        watching.settle()

        assert os.readlink(repo.path / "deep/er/locked") == "../../" + target
        assert repo.tree().keys() == {b"deep/er/locked"}
        assert repo.read("deep/er/locked") == b"content"
        assert repo.status() == b""


def test_a_file_that_is_open_for_writing_waits_until_it_is_closed(repo: Repo) -> None:
    with watched(repo) as watching:
        with (repo.path / "log").open("wb", buffering=0) as file:
            file.write(b"one")
            state = watching.answer(lambda state: state.note("open") == "log")
            assert state.pending > 0
            assert repo.git("for-each-ref", "refs/heads/main") == b""
            file.write(b" two")
        watching.settle()

        assert repo.read("log") == b"one two"
        assert commits(repo) == 1
        assert blob(repo, b"log").endswith(repo.key("log") + b"\n")
        repo.annex("fsck", "-q")


def test_a_pointer_is_never_taken_for_content(repo: Repo) -> None:
    key = repo.add("other", b"content")
    with watched(repo) as watching:
        pointer = POINTER + key + b"\n"
        repo.write("copy", pointer)
        watching.settle()

        assert blob(repo, b"copy") == pointer
        objects = repo.path / ".git/annex/objects"
        assert not [p for p in objects.rglob("*") if p.is_file() and p.read_bytes() == pointer]


def test_what_only_looks_like_a_pointer_is_named(repo: Repo) -> None:
    """As an unlocked file that was stashed, and then appended to."""
    key = repo.add("other", b"content")
    with watched(repo) as watching:
        repo.write("copy", POINTER + key + b"\nand more\n")
        watching.settle()

        assert watching.state().note("skipped") == "copy"
        assert b"copy" not in repo.tree()
        repo.write("copy", b"something else")
        watching.settle()
        assert watching.state().note("skipped") is None
        assert b"copy" in repo.tree()


def test_what_git_annex_could_not_add_is_tried_again(repo: Repo) -> None:
    repo.git("config", "annex.crippledfilesystem", "true")
    (repo.path.parent / "bad").write_bytes(b"1")
    directory = repo.path / ".git/annex/objects" / object_directory(repo, "../bad")
    directory.parent.mkdir(parents=True, exist_ok=True)
    directory.write_bytes(b"in the way")
    with watched(repo) as watching:
        repo.write("bad", b"1")
        repo.write("good", b"2")
        watching.answer(lambda _state: "skip bad" in watching.log.read_text())
        assert b"bad" not in repo.tree()
        directory.unlink()
        watching.settle()

        assert {b"bad", b"good"} <= repo.tree().keys()
        assert repo.status() == b""


def object_directory(repo: Repo, name: str) -> str:
    """The first directory that the content of a file will be stored below."""
    key = repo.annex("calckey", name).decode().strip()
    return repo.annex("examinekey", "--format=${hashdirmixed}", key).decode().split("/")[0]


def test_ignore_rules_hold_as_soon_as_they_are_written(repo: Repo) -> None:
    with watched(repo) as watching:
        repo.write("one.tmp", b"1")
        watching.settle()
        repo.write(".gitignore", b"*.tmp\nout/\n")
        repo.write("two.tmp", b"2")
        repo.write("out/x", b"x")
        watching.settle()
        assert set(repo.tree()) == {b"one.tmp", b".gitignore"}

        repo.write(".gitignore", b"*.bak\n")
        watching.settle()
        assert set(repo.tree()) == {b"one.tmp", b"two.tmp", b"out/x", b".gitignore"}
        assert not blob(repo, b".gitignore").startswith(POINTER)


def test_largefiles_dotfiles_and_attributes_decide_where_a_file_goes(repo: Repo) -> None:
    with watched(repo) as watching:
        repo.write(".dotted", b"dot")
        watching.settle()
        assert blob(repo, b".dotted") == b"dot"

        repo.write(".gitattributes", b"*.txt annex.largefiles=nothing\n*.md5 annex.backend=MD5E\n")
        repo.write("a.txt", b"text")
        repo.write("b.md5", b"b")
        watching.settle()
        assert blob(repo, b"a.txt") == b"text"
        assert repo.key("b.md5").startswith(b"MD5E-s1--")

        repo.config("annex.largefiles", "largerthan=10b")
        watching.settle()
        repo.write("small", b"small")
        repo.write("large", b"larger than ten")
        watching.settle()
        assert blob(repo, b"small") == b"small"
        assert blob(repo, b"large").startswith(POINTER)


def test_locked_files_when_the_assistant_would_lock(repo: Repo) -> None:
    repo.config("annex.assistant.allowunlocked", "true")
    repo.write("before", b"before")
    with watched(repo) as watching:
        repo.write("dir/new", b"new")
        watching.settle()

        assert {mode for mode, _oid in repo.tree().values()} == {LINK}
        assert repo.read("dir/new") == b"new"
        assert repo.status() == b""
    repo.check()


def test_what_only_git_annex_can_decide_is_left_to_it(repo: Repo) -> None:
    repo.config("annex.largefiles", "mimeencoding=binary or largerthan=1kb")
    repo.config("annex.backend", "BLAKE2BP512E")
    with watched(repo) as watching:
        repo.write("big", b"x" * 2000)
        watching.settle()

        assert blob(repo, b"big").startswith(POINTER + b"BLAKE2BP512E-s2000--")
        assert repo.status() == b""


def test_what_a_hook_stages_is_committed_too(repo: Repo) -> None:
    hook = repo.path / ".git/hooks/pre-commit"
    hook.write_text("#!/bin/sh\ngrep -q untidy text && echo tidy >text && git add text\nexit 0\n")
    hook.chmod(0o755)
    repo.write(".gitattributes", b"* annex.largefiles=nothing\n")
    with watched(repo) as watching:
        repo.write("text", b"untidy\n")
        watching.settle()

        assert repo.read("text") == blob(repo, b"text") == b"tidy\n"
        assert repo.status() == b""


def test_hooks_are_run_as_they_are_now_and_see_what_git_commit_shows_them(
    repo: Repo, tmp_path: Path
) -> None:
    """Not ``GIT_DIR``, with which a hook that goes to another repository would work on ours."""
    hook = repo.path / ".git/hooks/pre-commit"
    seen = tmp_path / "seen"
    with watched(repo) as watching:
        hook.write_text("#!/bin/sh\nexit 1\n")
        hook.chmod(0o755)
        repo.write("file", b"x")
        watching.answer(lambda state: state.note("refused") is not None)

        hook.write_text(f"#!/bin/sh\nenv >{seen}\n")
        repo.config("annexd.x", "y")  # it would be asked again only half a minute later
        watching.settle()
        hook.unlink()
        repo.write("third", b"x")
        watching.settle()

        assert b"third" in repo.tree()
    assert "GIT_DIR=" not in seen.read_text()


def test_a_hook_may_leave_something_in_the_background(repo: Repo) -> None:
    hook = repo.path / ".git/hooks/pre-commit"
    hook.write_text("#!/bin/sh\nsleep 50 &\n")
    hook.chmod(0o755)
    with watched(repo) as watching:
        repo.write("file", b"x")
        watching.settle()

        assert b"file" in repo.tree()


def test_a_pointer_that_git_has_written_is_filled(repo: Repo) -> None:
    repo.write("file", b"content")
    with watched(repo) as watching:
        (repo.path / "file").unlink()
        repo.git("checkout", "--", "file")  # runs no hook of git-annex's
        watching.settle()

        assert repo.read("file") == b"content"
        assert deletions(repo) == set()


def test_nothing_is_committed_with_autocommit_off(repo: Repo) -> None:
    repo.config("annex.autocommit", "false")
    repo.write("before", b"x")
    with watched(repo) as watching:
        repo.write("file", b"x")
        watching.settle()
        assert repo.git("for-each-ref", "refs/heads/main") == b""

        repo.config("annex.autocommit", "true")
        watching.settle()
        assert set(repo.tree()) == {b"before", b"file"}


def test_only_what_is_staged_is_committed_if_so_set(repo: Repo) -> None:
    repo.config("annexd.commit", "staged")
    with watched(repo) as watching:
        repo.write("file", b"x")
        repo.write("staged", b"x")
        repo.git("add", "staged")
        watching.settle()
        assert set(repo.tree()) == {b"staged"}

        repo.config("annexd.commit", "off")
        repo.git("add", "file")
        watching.settle()
        assert set(repo.tree()) == {b"staged"}

        repo.config("annexd.commit", "auto")
        watching.settle()
        assert set(repo.tree()) == {b"staged", b"file"}


def test_what_is_not_ignored_any_more_is_added(repo: Repo, tmp_path: Path) -> None:
    (tmp_path / "excludes").write_text("*.o\n")
    repo.config("core.excludesFile", str(tmp_path / "excludes"))
    repo.config("annex.addsmallfiles", "false")
    repo.write(".gitattributes", b"*.c annex.largefiles=nothing\n")
    repo.write("a.o", b"o")
    repo.write("a.c", b"c")
    with watched(repo) as watching:
        assert not set(repo.tree()) & {b"a.o", b"a.c"}

        repo.config("core.excludesFile", "/dev/null")
        watching.settle()
        assert b"a.o" in repo.tree()
        repo.config("annex.addsmallfiles", "true")
        watching.settle()
        assert b"a.c" in repo.tree()


def test_what_git_annex_config_says_holds_without_a_restart(repo: Repo) -> None:
    with watched(repo) as watching:
        repo.annex("config", "-q", "--set", "annex.largefiles", "nothing")
        watching.settle()
        repo.write("text", b"text")
        watching.settle()
        assert blob(repo, b"text") == b"text"

        repo.annex("config", "-q", "--set", "annex.autocommit", "false")
        watching.settle()
        repo.write("later", b"later")
        watching.settle()
        assert set(repo.tree()) == {b"text"}

        repo.annex("config", "-q", "--set", "annex.autocommit", "true")
        watching.settle()
        assert set(repo.tree()) == {b"text", b"later"}


def test_nothing_is_done_while_a_merge_is_under_way(repo: Repo) -> None:
    repo.write("file", b"x")
    with watched(repo) as watching:
        head = repo.head()
        (repo.path / ".git/MERGE_HEAD").write_text(head)
        repo.write("file", b"<<<<<<<")
        state = watching.answer(lambda state: state.pending > 0)
        assert state.note("waits") == "a merge is under way"
        assert repo.head() == head

        repo.write("file", b"solved")
        (repo.path / ".git/MERGE_HEAD").unlink()
        watching.settle()
        assert repo.head() != head
        assert repo.git("rev-list", "--count", "HEAD").strip() == b"2"


@pytest.mark.parametrize("what", ["bisect", "rebase"])
def test_nothing_is_done_while_somebody_looks_for_something_in_the_history(
    repo: Repo, what: str
) -> None:
    for number in range(4):
        repo.git("commit", "-q", "--allow-empty", "-m", f"{number}")
    with watched(repo) as watching:
        if what == "bisect":
            repo.git("bisect", "start", "HEAD", "HEAD~3")
        else:
            repo.git("-c", "sequence.editor=sed -i s/^pick/edit/", "rebase", "-q", "-i", "HEAD~2")
        head = repo.head()
        repo.write("file", b"meanwhile")
        state = watching.answer(lambda state: state.pending > 0)
        assert state.note("waits") == f"a {what} is under way"
        assert repo.head() == head

        repo.git(*(["bisect", "reset"] if what == "bisect" else ["rebase", "--abort"]))
        watching.settle()
        assert set(repo.tree()) == {b"file"}


def test_new_files_are_left_alone_for_as_long_as_their_user_has_said(repo: Repo) -> None:
    repo.git("commit", "-q", "--allow-empty", "-m", "start")
    repo.config("annex.delayadd", "3")
    with watched(repo) as watching:
        repo.write("file", b"x")
        stays(lambda: b"file" not in repo.tree(), 2.5)

        watching.settle()

        assert set(repo.tree()) == {b"file"}


def test_a_write_to_a_hard_link_changes_all_its_names(repo: Repo) -> None:
    """The kernel tells of the name that it was done by, and of no other."""
    repo.write("one", b"before")
    with watched(repo) as watching:
        (repo.path / "d").mkdir()
        (repo.path / "d/two").hardlink_to(repo.path / "one")
        watching.settle()
        before = repo.tree()[b"one"]
        with (repo.path / "d/two").open("ab") as file:
            file.write(b" and after")

        wait_until(lambda: before not in (repo.tree()[b"one"], repo.tree()[b"d/two"]), 10)
        watching.settle()
        assert repo.tree()[b"one"] == repo.tree()[b"d/two"]
        assert not repo.status()


def test_a_file_that_its_user_has_unlocked_is_not_locked_again(repo: Repo) -> None:
    """P28: git-annex tells the index only when it has unlocked all that it was asked to."""
    adopt("locked", repo)
    with watched(repo) as watching:
        for name in ("file", "other"):
            repo.write(name, name.encode())
        watching.settle()
        assert repo.tree()[b"file"][0] == b"120000"

        unlocked = repo.path / "unlocked"
        unlocked.write_bytes(b"file")
        unlocked.rename(repo.path / "file")
        repo.annex("unlock", "-q", "other")
        watching.settle()

        assert {mode for mode, _blob in repo.tree().values()} == {b"100644"}
        assert not (repo.path / "file").is_symlink()
        repo.replace("file", b"edited")
        watching.settle()
        assert not (repo.path / "file").is_symlink()
        assert not repo.status()


@pytest.mark.parametrize("backend", ["SHA512E", "WORM", "MD5"])
def test_a_file_written_again_with_the_same_content_keeps_its_key(repo: Repo, backend: str) -> None:
    """``git annex migrate`` does so, and other keys would undo it."""
    repo.config("annex.addunlocked", "true")
    repo.write("name.txt", b"content")
    repo.annex("add", "-q", f"--backend={backend}", "name.txt")
    repo.git("commit", "-qm", "user")
    before, st = repo.head(), (repo.path / "name.txt").stat()
    times = (st.st_atime_ns, st.st_mtime_ns)
    with watched(repo) as watching:
        repo.replace("name.txt", b"content")
        os.utime(repo.path / "name.txt", ns=times)
        watching.settle()
        assert repo.head() == before
        assert repo.status() == b""

        repo.replace("name.txt", b"CONTENT")
        watching.settle()
        assert repo.key("name.txt").startswith(b"SHA256E-")


def test_a_file_with_holes_takes_no_more_room_in_the_annex(repo: Repo) -> None:
    with (repo.path / "disk.img").open("wb") as file:
        file.truncate(50_000_000)
        file.seek(30_000_000)
        file.write(b"data")
    with watched(repo) as watching:
        watching.settle()

    place = repo.path / repo.annex("contentlocation", repo.key("disk.img")).decode().strip()
    assert place.stat().st_blocks * 512 < 3_000_000
    repo.check()


def test_a_directory_of_many_files_may_be_renamed(repo: Repo) -> None:
    """More than are looked at together, and more than other work would excuse."""
    for number in range(1200):
        repo.write(f"d/{number}", b"%d" % number)
    plain = ("-c", "filter.annex.process=", "-c", "filter.annex.clean=")
    repo.git(*plain, "add", ".")
    repo.git("commit", "-qnm", "many")
    with watched(repo) as watching:
        repo.rename("d", "e")
        wait_until(lambda: len(repo.tree()) == 1200 and b"e/7" in repo.tree(), 30)
        watching.settle()
        assert len(repo.tree()) == 1200
        assert "held" not in watching.log.read_text()


@pytest.mark.parametrize("crippled", ["true", "false"])
def test_who_edits_files_and_renames_their_directory_has_deleted_nothing(
    repo: Repo, crippled: str
) -> None:
    """So that nothing tells that they are the same; also where git-annex adds them."""
    repo.git("config", "annex.crippledfilesystem", crippled)
    for number in range(60):
        repo.write(f"d/{number}", b"%d" % number)
    with watched(repo) as watching:
        for number in range(60):
            repo.write(f"d/{number}", b"other %d" % number)
        repo.rename("d", "e")
        watching.settle(60)

        assert b"e/7" in repo.tree()
        assert len(repo.tree()) == 60
        for number in range(15):  # nor do those count when he goes on
            (repo.path / f"e/{number}").unlink()
        watching.settle(60)
        assert len(repo.tree()) == 45
        assert "held" not in watching.log.read_text()


def test_a_link_that_git_has_moved_is_mended(repo: Repo) -> None:
    """The index says the same as the work tree, and both are wrong."""
    repo.add("d/file", b"content")
    with watched(repo) as watching:
        repo.git("mv", "d/file", "file")
        wait_until((repo.path / "file").exists, 20)
        watching.settle()
        assert repo.read("file") == b"content"
        assert not repo.status()


def test_a_mass_deletion_waits_for_a_person(repo: Repo) -> None:
    for number in range(60):
        repo.write(f"d/{number}", b"%d" % number)
    repo.write("kept", b"x")
    with watched(repo) as watching:
        shutil.rmtree(repo.path / "d")
        watching.answer(lambda state: (state.note("held") or "").startswith("60 deletions; "))
        repo.write("goes on", b"x")
        watching.answer(lambda _state: b"goes on" in repo.tree())
        assert len(repo.tree()) == 62

        watching.place.accept.touch()
        watching.settle()
        assert set(repo.tree()) == {b"kept", b"goes on"}
        assert not watching.place.accept.exists()
        assert repo.git("log", "-1", "--format=%B").endswith(answer_for(60, 0) + b"\n")


def test_what_is_put_back_is_not_held_any_more(repo: Repo) -> None:
    for number in range(60):
        repo.write(f"d/{number}", b"%d" % number)
        os.utime(repo.path / f"d/{number}", (10**9, 10**9))
    with watched(repo) as watching:
        (repo.path / "d").rename(repo.path.parent / "away")
        watching.answer(lambda state: (state.note("held") or "").startswith("60 deletions; "))
        (repo.path.parent / "away").rename(repo.path / "d")

        watching.answer(lambda state: not state.note("held") and not state.pending)
        assert len(repo.tree()) == 60


def test_a_commit_answers_for_what_it_puts_back(repo: Repo) -> None:
    with watched(repo) as watching:
        for content, restored in ((b"before", 0), (b"after", 0), (b"before", 1)):
            repo.write("file", content)
            watching.settle()
            said = repo.git("log", "-1", "--format=%B")
            assert said.endswith(answer_for(0, restored) + b"\n")
            assert (b"Annexd-" in said) == (restored > 0)


def test_an_empty_work_tree_at_the_start_is_no_deletion(repo: Repo) -> None:
    repo.add("one", b"1")
    repo.add("two", b"2")
    for name in ("one", "two"):
        (repo.path / name).unlink()
    watching = begin(repo)
    try:
        watching.answer(lambda state: state.note("held"))
        assert set(repo.tree()) == {b"one", b"two"}
        watching.stop()
    finally:
        watching.process.kill()


def test_a_file_that_is_missing_for_a_moment_is_not_deleted(repo: Repo) -> None:
    repo.write("file", b"0")
    with watched(repo) as watching:
        for number in range(10):
            (repo.path / "file").unlink()
            watching.answer()
            repo.write("file", b"%d" % number)
            watching.answer()
        watching.settle()

        assert deletions(repo) == set()
        assert repo.read("file") == b"9"
        assert repo.status() == b""


def objects(repo: Repo) -> int:
    return sum(1 for _path in (repo.path / ".git/annex/objects").glob("*/*/*/*"))


def test_killed_at_any_moment_it_loses_nothing(repo: Repo) -> None:
    for number in range(12):
        for each in range(20):
            repo.write(f"{number}/{each}", b"%d %d" % (number, each))
        goal = objects(repo) + number  # a little later each time
        watching = begin(repo)
        wait_until(lambda goal=goal: objects(repo) > goal)  # type: ignore[misc]
        watching.kill()
    with watched(repo):
        pass

    assert len(repo.tree()) == 240
    assert repo.status() == b""
    assert deletions(repo) == set()
    repo.check()


@pytest.mark.parametrize("command", ["add", "annex"])
def test_a_users_commands_beside_it_never_fail(repo: Repo, command: str) -> None:
    repo.write("start", b"x")
    with watched(repo) as watching:
        for number in range(15):
            repo.write(f"theirs{number}", b"%d" % number)
            if command == "add":
                repo.git("add", f"theirs{number}")
            else:
                repo.annex("add", "-q", f"theirs{number}")
            repo.write(f"other{number}", b"%d" % number)
            repo.git("commit", "-q", "--allow-empty", "-m", f"user's {number}")
        watching.settle()

        assert len(repo.tree()) == 31
        assert repo.status() == b""
        assert deletions(repo) == set()
    repo.check()


def test_a_torn_ref_is_waited_for_until_somebody_mends_it(repo: Repo) -> None:
    """As a power cut leaves it; the watcher died of it, and told nobody but the log."""
    repo.git("commit", "-q", "--allow-empty", "-m", "start")
    repo.git("pack-refs", "--all", "--no-prune")
    path = repo.path / ".git/refs/heads/git-annex"
    with watched(repo) as watching:
        whole = path.read_bytes()
        path.write_bytes(b"")
        repo.write("f", b"1")

        wait_until(lambda: watching.state().note("trouble"))
        path.write_bytes(whole)
        wait_until(lambda: b"f" in repo.tree())
        assert watching.process.poll() is None


@pytest.mark.parametrize("name", ["git-annex", "HEAD:d"])
def test_where_history_is_damaged_it_is_said_and_waited_for(repo: Repo, name: str) -> None:
    """The watcher died of it, again and again, and told nobody but the log."""
    repo.add("d/old", b"old")  # a tree that the watcher has not just made, and still knows
    with watched(repo) as watching:
        repo.write("first", b"1")
        watching.settle()
        oid = repo.git("rev-parse", name).decode().strip()
        path = repo.path / ".git/objects" / oid[:2] / oid[2:]
        if name == "git-annex":
            path = repo.path / ".git/refs/heads/git-annex"
        aside = repo.path.with_name("aside")
        path.rename(aside)
        for number in range(30):
            repo.write(f"d/{number}", b"%d" % number)

        wait_until(lambda: watching.state().note("trouble"), why=watching.log.read_text)
        path.parent.mkdir(exist_ok=True)
        aside.rename(path)
        watching.settle()
        assert len(repo.tree()) == 32
        assert watching.state().note("trouble") is None
    repo.check()


def test_a_commit_answers_for_what_was_in_a_directory_that_a_file_replaces(repo: Repo) -> None:
    """Others doubted it for ten seconds: nobody had said that this was meant to go."""
    repo.add("name/below", b"below")
    repo.add("name/further", b"further")
    with watched(repo) as watching:
        (repo.path / "name" / "below").unlink()
        (repo.path / "name" / "further").unlink()
        (repo.path / "name").rmdir()
        repo.write("name", b"file")
        watching.settle()

        # A file that is there is committed at once, what is missing after a while.
        assert repo.git("log", "-1", "--format=%b").strip() == b"Annexd-deletes: 2"
        assert deletions(repo) == {"name/below", "name/further"}


def test_metadata_is_generated_where_the_setting_asks_for_it(repo: Repo) -> None:
    repo.git("config", "annex.genmetadata", "true")
    with watched(repo) as watching:
        repo.write("dated", b"content")
        watching.settle()

    assert b"year=" in repo.annex("metadata", "dated")


@pytest.mark.parametrize("setting", ["annex.thin=true", "annex.backend=XXH3"])
def test_a_program_that_git_annex_adds_for_us_stays_executable(repo: Repo, setting: str) -> None:
    """git-annex adds each unlocked file as one that is not (10.20261026)."""
    repo.git("config", *setting.split("="))
    with watched(repo) as watching:
        for content in (b"#!/bin/sh\n", b"#!/bin/sh\nexit\n"):
            program = repo.write("program", content)
            program.chmod(0o755)
            watching.settle()

            assert repo.git("ls-tree", "HEAD", "program").startswith(b"100755 ")
            assert repo.git("status", "--porcelain") == b""


def test_what_git_annex_stages_for_us_waits_for_nobody_who_only_looks(repo: Repo) -> None:
    """A ``git status`` that records new times is no user's staging; each file waited for 5 s."""
    repo.git("config", "annex.genmetadata", "true")  # so git-annex adds, as with annex.thin
    repo.write("old", b"content")
    with watched(repo) as watching:
        repo.git("update-index", "--force-write-index")  # as git status does now and then
        watching.answer(lambda state: state.pending > 0)
        repo.write("file", b"another content")

        wait_until(lambda: b"file" in repo.tree(), MANNERS_S - 1)


def test_no_git_is_kept_while_nothing_happens(repo: Repo) -> None:
    """``git check-attr`` keeps 15 MB where the index is large, for as long as it is there."""
    with watched(repo) as watching:
        repo.write("file", b"content")
        watching.settle()
        pid = watching.process.pid
        assert "git" in descendants(pid).values()

        wait_until(lambda: not descendants(pid), 3 * GITS_S, why=lambda: descendants(pid))

        stays(lambda: not descendants(pid), 2)
        repo.write("another", b"content")
        watching.settle()
        assert b"another" in repo.tree()


def test_a_text_that_the_user_has_staged_for_git_leaves_no_content_in_the_annex(
    repo: Repo,
) -> None:
    with watched(repo) as watching:
        repo.write("text", b"text")
        repo.git("add", "text")
        watching.settle()

    assert blob(repo, b"text") == b"text"
    objects = repo.path / ".git" / "annex" / "objects"
    assert [path for path in objects.rglob("*") if path.is_file()] == []
    assert repo.status() == b""
    repo.check()


def test_what_is_written_over_what_the_user_has_staged_is_kept(repo: Repo) -> None:
    with watched(repo) as watching:
        repo.write("text", b"staged")
        repo.git("add", "text")
        repo.write("text", b"written over it")
        watching.settle()

    assert repo.read("text") == b"written over it"
    assert blob(repo, b"text") == b"written over it"
    assert repo.status() == b""
