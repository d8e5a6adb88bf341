"""``annexd why`` names the setting, the rule, the process or the circumstance that decides."""

import json
import os
import re
import time
from pathlib import Path
from typing import Any

import pytest

from spool import hold
from spool.hold import FOREVER, Hold
from spool.info import Info
from spool.key import Key
from spool.queue import Queue
from spool.remotes import Exchange, Reach, write_reach, write_transfer
from spool.state import Activity, State, write_state
from spool.transfer import UUID, Direction, Transfer
from tests.repo import Repo
from tests.system.conftest import Annexd
from tests.transfers.station import add_many

USB = UUID(b"00000000-0000-0000-0000-000000000001")
CONTENT = b"x" * 70_000


def why(annexd: Annexd, *args: str) -> dict[str, dict[str, Any]]:
    """What is said about each thing."""
    ended = annexd("why", "--json", *args)
    assert ended.status == 0, ended.stderr
    lines = json.loads(ended.stdout)["lines"]
    shown = annexd("why", *args).stdout.decode(errors="surrogateescape")
    for line in lines:
        assert without_times(line["text"]) in without_times(shown)
    return {line["about"]: line for line in lines}


def without_times(text: str) -> str:
    """Time passes between two looks."""
    return re.sub(r"\d+[hms]", "", text)


@pytest.fixture
def usb(annexd: Annexd) -> Annexd:
    """A repository with a content and a special remote."""
    repo = annexd.repo
    repo.config("remote.usb.annex-uuid", USB.decode())
    repo.config("remote.usb.annex-directory", "/media/usb")
    write_reach(annexd.place.remotes, b"usb", Reach(here=True, since=time.time(), why=""))
    repo.add("file", CONTENT)
    repo.write(".gitattributes", b"* annex.numcopies=2\n")
    return annexd


def test_what_is_wanted_and_waits_is_told_with_the_reason(usb: Annexd) -> None:
    paths, now = usb.place.layout, time.time()
    transfer = Transfer(Direction.UPLOAD, USB, Key(usb.repo.key("file")))
    said = why(usb, "file")
    assert said["file"]["committed"]
    assert said["copies"]["copies"] == 1
    assert said["copies"]["numcopies"] == 2
    assert "too few" in said["copies"]["text"]
    assert said["here"]["has"]
    assert "no preferred content is set" in said["usb"]["rule"]
    assert "annexd does not run here" in said["usb"]["text"]

    Queue(paths).add(transfer, Info.begun(now - 90, b"file"))
    hold.create(paths, Hold(USB, FOREVER))
    failing = Exchange(failing_since=now - 60, failures=3, not_before=now + 500, last_error="no\n")
    write_transfer(usb.place.remotes, b"usb", failing)
    text = why(usb, "file", "usb")["usb"]["text"]
    assert "queued for 1m" in text
    assert "it is paused (annexd resume)" in text
    assert re.search(r"transfers fail, for 1m\w*: no\\n; tried again in [78]m", text)

    os.utime(paths.job(transfer), (now + 300, now + 300))
    write_reach(usb.place.remotes, b"usb", Reach(here=False, since=now - 7200, why="unplugged"))
    text = why(usb, "file", "usb")["usb"]["text"]
    assert "put off for" in text
    assert "away for 2h: unplugged" in text


def test_the_expression_that_decides_is_named(usb: Annexd) -> None:
    usb.repo.annex("wanted", USB.decode(), "exclude=*.jpg and include=photos/*", "-q")
    usb.repo.annex("group", ".", "client", "-q")
    usb.repo.annex("wanted", ".", "standard", "-q")

    said = why(usb, usb.repo.key("file").decode())

    assert said["content"]["files"] == ["file"]
    assert said["usb"]["wants"] is False
    assert "preferred content: exclude=*.jpg and include=photos/*" in said["usb"]["text"]
    assert said["here"]["wants"] is True
    assert "standard (group client: " in said["here"]["text"]


def test_what_git_annex_must_be_asked_is_asked(usb: Annexd) -> None:
    usb.repo.annex("wanted", USB.decode(), "metadata=tag=good", "-q")
    assert why(usb, "file", "usb")["usb"]["wants"] is False

    usb.repo.annex("metadata", "file", "-t", "good", "-q")
    assert why(usb, "file", "usb")["usb"]["wants"] is True


@pytest.mark.parametrize(
    ("setting", "value", "told"),
    [
        ("remote.usb.annex-ignore", "true", "remote.usb.annex-ignore is set"),
        ("remote.usb.annex-sync", "false", "remote.usb.annex-sync is false"),
        ("remote.usb.annex-readonly", "true", "remote.usb.annex-readonly is set"),
        ("annex.synccontent", "false", "annex.synccontent is false"),
        ("remote.usb.annex-trustlevel", "dead", "it is declared dead"),
    ],
)
def test_a_setting_that_keeps_contents_away_is_named(
    usb: Annexd, setting: str, value: str, told: str
) -> None:
    usb.repo.config(setting, value)

    assert any(told in each for each in why(usb, "file", "usb")["usb"]["obstacles"])


def test_a_content_that_is_missing_is_traced_to_who_has_it(annexd: Annexd, tmp_path: Path) -> None:
    repo = annexd.repo
    other = repo.clone(tmp_path / "other")
    key = other.add("theirs", CONTENT)
    repo.remote(other)
    repo.config("remote.other.annex-uuid", other.uuid())
    repo.git("pull", "-q", "other", "main")
    text = why(annexd, "theirs")["here"]["text"]
    assert "wants it" in text
    assert "no repository is known to have it" in text

    repo.git("fetch", "-q", "other")
    repo.annex("merge", "-q")
    said = why(annexd, "theirs")
    assert "from other: it is not queued: annexd does not run here" in said["here"]["text"]
    assert said["other"]["has"] is True

    write_reach(annexd.place.remotes, b"other", Reach(here=False, since=0, why="gone"))
    assert "other has it" in why(annexd, key.decode())["here"]["text"]
    repo.git("remote", "remove", "other")
    assert "to which no remote leads from here" in why(annexd, "theirs")["here"]["text"]


def reasons(annexd: Annexd, name: str) -> str:
    return "; ".join(why(annexd, name)["file"]["reasons"])


def test_what_keeps_a_file_from_being_committed_is_named(annexd: Annexd) -> None:
    repo = annexd.repo
    for name in ("a.tmp", ".~lock.b.odt#", "new"):
        repo.write(name, b"x")
    repo.write(".gitignore", b"# rubbish\n*.tmp\n")

    assert "ignored by .gitignore, line 2: *.tmp" in reasons(annexd, "a.tmp")
    assert "a lock or an unfinished file" in reasons(annexd, ".~lock.b.odt#")
    assert reasons(annexd, "new") == "annexd does not run here (annexd start)"
    with (repo.path / "new").open("ab"):
        assert f"open for writing, by process {os.getpid()}" in reasons(annexd, "new")
    (repo.path / "new").chmod(0)
    if os.geteuid():  # root reads it all the same
        assert "cannot be read" in reasons(annexd, "new")
    repo.config("annex.autocommit", "false")
    assert "annex.autocommit is false, or annexd.commit is off" in reasons(annexd, "new")
    annexd("hold")
    assert "commits are held (annexd release)" in reasons(annexd, "new")


def test_what_is_committed_is_not_called_changed_for_its_times(annexd: Annexd) -> None:
    """What was committed within the second in which it was written cannot be told by its times."""
    repo = annexd.repo
    repo.config("annex.addunlocked", "true")
    repo.write("file", CONTENT)
    repo.annex("add", "-q", "file")
    assert "is staged" in why(annexd, "file")["file"]["text"]

    repo.git("commit", "-q", "-m", "file")
    os.utime(repo.path / "file")
    assert why(annexd, "file")["file"]["committed"]
    repo.write("file", CONTENT + b"more")
    assert not why(annexd, "file")["file"]["committed"]


def test_deletions_that_are_held_back_say_so(annexd: Annexd) -> None:
    repo = annexd.repo
    add_many(repo, [("gone", b"x")])
    repo.remove("gone")
    state = State(Activity.IDLE, 0, (("held", "40 deletions; if that is right: annexd accept"),))
    write_state(annexd.place.state, "watcher", state)

    assert "held back: 40 deletions" in reasons(annexd, "gone")


def test_what_could_not_be_added_says_so(annexd: Annexd) -> None:
    annexd.repo.write("new", b"x")
    state = State(Activity.IDLE, 0, (("skipped", "new"),))
    write_state(annexd.place.state, "watcher", state)

    assert "could not be added" in reasons(annexd, "new")


def test_whose_a_path_is_if_it_is_not_ours(annexd: Annexd, tmp_path: Path) -> None:
    repo = annexd.repo
    Repo.plain(repo.path / "nested").write("file", b"x")
    (repo.path / "link").symlink_to(tmp_path)

    assert "repository of its own, nested" in why(annexd, "nested/file")["file"]["text"]
    assert "outside of the work tree" in why(annexd, "link/file")["file"]["text"]
    assert "is a directory: ask about a file" in why(annexd, "nested")["file"]["text"]
    assert "git's own" in why(annexd, ".git/config")["file"]["text"]
    assert "there is no file nothing" in why(annexd, "nothing")["file"]["text"]


def test_which_rule_makes_a_file_git_s_or_git_annex_s(annexd: Annexd) -> None:
    repo = annexd.repo
    for name in ("new", ".dot", "notes.txt"):
        repo.write(name, b"x")

    def kind(name: str) -> dict[str, Any]:
        return why(annexd, name)["kind"]

    assert (kind("new")["kind"], kind("new")["rule"]) == ("annex_unlocked", "shared")
    assert (kind(".dot")["kind"], kind(".dot")["rule"]) == ("git", "dotfile")
    repo.annex("config", "--set", "annex.largefiles", "largerthan=1kb")
    assert "git annex config annex.largefiles: largerthan=1kb" in kind("new")["text"]
    repo.write(".gitattributes", b"*.txt annex.largefiles=nothing\n")
    assert "in .gitattributes: nothing" in kind("notes.txt")["text"]
    repo.config("annex.largefiles", "anything")
    assert ".git/config: anything" in kind("notes.txt")["text"]

    repo.add("old", b"y")
    assert kind("old")["kind"] == "git-annex"
    assert "a file that is tracked stays where it is" in kind("old")["text"]


def test_names_of_others_reach_no_terminal_raw(annexd: Annexd) -> None:
    evil = "\x1b]0;x\x07"
    annexd.repo.add(evil, CONTENT)

    assert b"\x1b" not in annexd("why", evil).stdout
    assert why(annexd, evil)["content"]["files"] == [evil]


def test_a_remote_that_is_none_is_refused(usb: Annexd) -> None:
    ended = usb("why", "file", "nowhere")

    assert ended.status == 100
    assert b"there is no remote 'nowhere'" in ended.stderr


def test_nobody_wishes_for_less_than_one_copy(annexd: Annexd) -> None:
    """git-annex never drops the last one; and a lost content lacks a copy, whatever is set."""
    repo = annexd.repo
    repo.add("file", CONTENT)
    repo.write(".gitattributes", b"* annex.numcopies=0\n")
    repo.git("add", ".gitattributes")
    repo.git("commit", "-qm", "file")
    assert why(annexd, "file")["copies"]["numcopies"] == 1

    repo.annex("drop", "--force", "-q", "file")

    assert b"file: 0 of 1 (.gitattributes)" in annexd("status", "--copies").stdout


def test_files_with_too_few_copies_are_listed(annexd: Annexd) -> None:
    repo = annexd.repo
    keys = add_many(repo, [("one", b"1" * 1000), ("two", b"2" * 2000), ("enough", b"3")])
    assert annexd("status", "--copies").status == 0
    repo.write(".gitattributes", b"two annex.numcopies=3\n")
    repo.annex("numcopies", "2", "-q")
    other = "00000000-0000-0000-0000-000000000001"
    repo.annex("setpresentkey", keys["enough"], other, "1")
    repo.annex("setpresentkey", keys["one"], other, "1")
    repo.annex("untrust", "-q", "--force", other)
    repo.annex("setpresentkey", keys["enough"], other[:-1] + "2", "1")

    ended = annexd("status", "--copies", "--json")

    assert ended.status == 1
    found = {each["file"]: each for each in json.loads(ended.stdout)["lacking_copies"]}
    assert {name: (each["copies"], each["numcopies"]) for name, each in found.items()} == {
        "one": (1, 2),
        "two": (1, 3),
    }
    listed = set(repo.annex("find", "--lackingcopies=1", "--in=here").decode().split())
    assert found.keys() == listed
    assert b"2 contents with too few copies (3.0 kB)" in annexd("status", "--copies").stdout
