"""Trees, settings, attributes and ignore rules: what git says, as values."""

import os
import signal
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.processes import forked, run
from tests.repo import Repo
from workers.git.attributes import CheckAttributes, CheckIgnore, Rule
from workers.git.conventions import Conventions
from workers.git.index_entry import StatSettings
from workers.git.objectid import ObjectFormat
from workers.git.permissions import Sharing
from workers.git.records import records
from workers.git.run import GitError
from workers.git.settings import SettingError, Settings
from workers.git.stream import CatFile, ObjectId, StreamEndedError
from workers.git.tree import Change, TreeEntry, Version, diff_index, diff_trees, list_tree, look_up

HOSTILE = (
    b"new\nline",
    b"\xff\xfe",
    b'"quoted"',
    b"-dash",
    b":colon",
    b":(top)magic",
    b"!bang",
    b"#hash",
    b"*star",
    b"a b ",
    b"t\tab",
    b"d/e/f",
    b"n" * 255,
)


@pytest.fixture(params=["sha1", "sha256"])
def plain(request: pytest.FixtureRequest, tmp_path: Path) -> Repo:
    repo = Repo.plain(tmp_path / "repo", request.param)
    for name in HOSTILE:
        repo.write(name, b"content of " + name)
    os.symlink("d", repo.path / "link")
    repo.git("add", "-A")
    repo.git("commit", "-q", "-m", "start")
    return repo


def test_a_tree_is_listed_whatever_its_names(plain: Repo) -> None:
    found = list(list_tree(plain.plumbing, "HEAD"))
    assert [entry.path for entry in found] == sorted((*HOSTILE, b"link"))
    assert {entry.path: (b"%06o" % entry.mode, entry.oid.encode()) for entry in found} == (
        plain.tree()
    )
    with pytest.raises(GitError):
        list(list_tree(plain.plumbing, "absent"))


def test_paths_are_looked_up_as_they_are_spelled(plain: Repo) -> None:
    asked = (*HOSTILE, b"d", b"d/e", b"absent", b"*", b"d/*")
    found = {entry.path: entry for entry in look_up(plain.plumbing, "HEAD", *asked)}
    assert set(found) == {*HOSTILE, b"d", b"d/e"}
    assert found[b"d"].mode == 0o040000
    assert found[b"-dash"] == next(
        entry for entry in list_tree(plain.plumbing, "HEAD") if entry.path == b"-dash"
    )
    assert isinstance(found[b"d"], TreeEntry)
    assert list(look_up(plain.plumbing, "HEAD")) == []


def test_two_trees_and_the_index_differ_where_something_changed(plain: Repo) -> None:
    before = versions(plain)
    (plain.path / os.fsdecode(b"\xff\xfe")).rename(plain.path / "renamed")
    (plain.path / "-dash").chmod(0o755)
    (plain.path / "link").unlink()
    plain.write("link", b"now a file")
    plain.git("add", "-A")

    staged = list(diff_index(plain.plumbing, "HEAD"))
    plain.git("commit", "-q", "-m", "next")
    after = versions(plain)
    changed = list(diff_trees(plain.plumbing, "HEAD~", "HEAD"))

    assert changed == [
        Change(path, before.get(path), after.get(path))
        for path in sorted({*before, *after})
        if before.get(path) != after.get(path)
    ]
    assert len(changed) == 4
    assert staged == changed
    assert list(diff_index(plain.plumbing, "HEAD")) == []
    empty = plain.git("mktree").decode().strip()
    assert len(list(diff_trees(plain.plumbing, empty, "HEAD"))) == len(after)


def versions(repo: Repo) -> dict[bytes, Version]:
    return {
        path: Version(int(mode, 8), ObjectId(oid.decode()))
        for path, (mode, oid) in repo.tree().items()
    }


def test_reading_may_stop_early_and_errors_are_quoted(plain: Repo) -> None:
    first = next(list_tree(plain.plumbing, "HEAD"))
    assert first.path == min((*HOSTILE, b"link"))
    with pytest.raises(GitError, match="not a git command"):
        list(records(plain.plumbing, "no-such-command"))
    echoed = list(records(plain.plumbing, "check-attr", "-z", "--stdin", "x", stdin=b"p\0"))
    assert echoed == [b"p", b"x", b"unspecified"]


def test_settings_are_read_from_every_file(plain: Repo, sealed_home: Path) -> None:
    included = plain.path / ".git/more"
    included.write_text('[Remote "Up.Per"]\n\tURL = second\n[annex]\n\tFlag\n')
    with (plain.path / ".git/config").open("a") as config:
        config.write(
            '[remote "Up.Per"]\n\turl = "first\\nline"\n\turl = b\n[include]\n\tpath=more\n'
        )

    found = Settings.read(plain.plumbing)

    assert found.all(b"REMOTE.Up.Per.Url") == (b"first\nline", b"b", b"second")
    assert found.get(b"remote.Up.Per.url") == b"second"
    assert found.get("remote.up.per.url") is None
    assert found.flag("annex.flag") is True
    assert found.flag("annex.other") is None
    assert found.get("user.name") == b"Test User"
    assert list(found.subsections("remote")) == [b"Up.Per"]
    assert list(found.subsections("user")) == []
    assert {included, plain.path / ".git/config", sealed_home / ".gitconfig"} <= set(found.files)
    from_c = Settings.read(plain.plumbing.__class__(plain.path / ".git", None, ("a.b=c",)))
    assert from_c.get("a.b") == b"c"


WORDS = """
    true True YES on false no OFF 0 1 -1 2 007 010 0x10 0X1f 10k 1M 3g 9G -2k +5 k 1kk 1.5
    99999999999 9223372036854775807 9223372036854775808 8589934592g 08 0xg tru yes! 2147483648
"""
VALUES = st.sampled_from(["", *WORDS.split()]) | st.text("0123456789kmgxXaf+- ", max_size=6)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(value=VALUES)
def test_values_mean_what_they_mean_to_git(sealed_home: Path, value: str) -> None:
    where = sealed_home
    text = value.strip()
    listed = f"command line:\0a.b\n{text}\0".encode()
    ours = Settings.parse(listed, where)
    for kind, ask in (("bool", ours.flag), ("int", ours.number)):
        try:
            asked = ["git", "-c", f"a.b={text}", "config", f"--type={kind}", "--get", "a.b"]
            expected: object = run(asked, cwd=where).strip()
        except AssertionError:
            expected = None
        try:
            answer = ask("a.b")
        except SettingError:
            assert expected is None, (kind, value)
            continue
        said = str(answer).lower() if kind == "bool" else str(answer)
        assert expected == said.encode(), (kind, value)


def test_a_path_is_expanded_as_git_does(sealed_home: Path) -> None:
    listed = b"command line:\0a.home\n~/x\0command line:\0a.plain\nrel/y\0command line:\0a.none\n\0"
    found = Settings.parse(listed, sealed_home)
    asked = ["git", "-c", "a.b=~/x", "config", "--type=path", "--get", "a.b"]
    assert found.path("a.home") == Path(os.fsdecode(run(asked, cwd=sealed_home).strip()))
    assert found.path("a.plain") == Path("rel/y")
    assert found.path("a.none") is None
    assert found.path("a.absent") is None


def test_a_repository_tells_how_it_is_written_into(plain: Repo) -> None:
    before = Conventions.of(Settings.read(plain.plumbing))
    found = plain.git("rev-parse", "--show-object-format").decode().strip()
    assert before == Conventions(ObjectFormat(found), StatSettings(), Sharing())
    for name in ("core.trustctime", "core.fileMode", "core.symlinks"):
        plain.config(name, "false")
    plain.config("core.checkStat", "minimal")
    plain.config("core.sharedRepository", "group")
    after = Conventions.of(Settings.read(plain.plumbing))
    assert after.stat == StatSettings(
        trust_ctime=False, check_minimal=True, file_mode=False, symlinks=False
    )
    assert after.sharing == Sharing(0o660)
    for name, value in (("objectFormat", "sha3"), ("compatObjectFormat", "sha1")):
        listed = f"command line:\0extensions.{name.lower()}\n{value}\0".encode()
        with pytest.raises(ValueError, match=name):
            Conventions.of(Settings.parse(listed, plain.path))


def test_ignore_rules_decide_for_any_name(plain: Repo) -> None:
    plain.write(".gitignore", b"*.o\n!keep.o\nbuild/\n\\:c*\n")
    plain.write("build/x", b"")
    plain.write("sub/.gitignore", b"*\n")
    plain.write("sub/deep/file", b"")
    asked = [*HOSTILE, b"a.o", b"keep.o", b":x.o", b"build/x", b"build", b"sub/deep/file"]
    with CheckIgnore(plain.plumbing) as check:
        found = dict(zip(asked, check.ask(asked), strict=True))
        again = list(check.ask([b"z.o"] * 5000))

    ignored = {path for path, rule in found.items() if rule is not None and rule.ignores}
    expected = run(
        ["git", "check-ignore", "-z", "--no-index", "--stdin"],
        cwd=plain.path,
        stdin=b"\0".join(b"./" + path for path in asked),
    )
    assert ignored == {path[2:] for path in expected.split(b"\0")[:-1]}
    assert found[b"a.o"] == Rule(b".gitignore", 1, b"*.o")
    assert found[b"keep.o"] == Rule(b".gitignore", 2, b"!keep.o")
    assert found[b"-dash"] is None
    assert {b":colon", b":x.o", b"build", b"build/x", b"sub/deep/file", b"a.o"} == ignored
    assert again == [Rule(b".gitignore", 1, b"*.o")] * 5000


def test_attributes_are_told_for_any_name(plain: Repo) -> None:
    plain.write(".gitattributes", b"*.big annex.largefiles=anything\n-dash -text\nd/** text\n")
    asked = [*HOSTILE, b"x.big"]
    with CheckAttributes(plain.plumbing, "annex.largefiles", "text") as check:
        found = dict(zip(asked, check.ask(asked), strict=True))
        many = list(check.ask(b"%d.big" % number for number in range(20_000)))

    none = {"annex.largefiles": b"unspecified", "text": b"unspecified"}
    assert found == dict.fromkeys(asked, none) | {
        b"x.big": {"annex.largefiles": b"anything", "text": b"unspecified"},
        b"-dash": {"annex.largefiles": b"unspecified", "text": b"unset"},
        b"d/e/f": {"annex.largefiles": b"unspecified", "text": b"set"},
    }
    assert many == [{"annex.largefiles": b"anything", "text": b"unspecified"}] * 20_000


def test_the_path_that_ends_git_is_the_first_without_an_answer(plain: Repo) -> None:
    """P23: a path beyond a symbolic link is fatal to check-ignore."""
    with CheckIgnore(plain.plumbing) as check:
        answers = check.ask([b"a", b"b", b"link/beyond", b"c"])
        assert [next(answers), next(answers)] == [None, None]
        with pytest.raises(StreamEndedError):
            next(answers)


def test_a_killed_git_is_an_error_and_never_an_answer(plain: Repo) -> None:
    with CheckAttributes(plain.plumbing, "text") as attributes:
        os.kill(attributes._process.pid, signal.SIGKILL)
        with pytest.raises(StreamEndedError):
            list(attributes.ask([b"a"]))
    with CheckIgnore(plain.plumbing) as ignore:
        assert list(ignore.ask([b"a"])) == [None]
        os.kill(ignore._process.pid, signal.SIGKILL)
        with pytest.raises(StreamEndedError):
            list(ignore.ask([b"a"]))
        with pytest.raises(ValueError, match="path"):
            list(ignore.ask([b""]))


def test_what_only_answers_ends_at_once_though_a_fork_of_ours_has_its_pipes(repo: Repo) -> None:
    """An errand may hang for a minute: each stream that was closed meanwhile took five seconds."""
    asked = [
        CatFile(repo.plumbing),
        CheckIgnore(repo.plumbing),
        CheckAttributes(repo.plumbing, "annex.backend"),
    ]
    with forked(signal.pause):
        began = time.monotonic()
        for each in asked:
            each.close()

        assert time.monotonic() - began < 3
