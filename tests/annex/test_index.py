"""The index, read and written natively, with git as the judge."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.processes import run
from tests.repo import Repo
from tests.staging import Staging
from workers.git.index import Index
from workers.git.index_entry import (
    ASSUME_VALID,
    INTENT_TO_ADD,
    SECOND_NS,
    SKIP_WORKTREE,
    TICK_NS,
    Entry,
    StatData,
    StatSettings,
    is_clean,
    is_racy,
)
from workers.git.index_format import UnsupportedIndexError
from workers.git.index_git import flatten
from workers.git.index_install import Prepared, Refusal, prepare
from workers.git.index_racy import Staged
from workers.git.objectid import ObjectFormat, blob_id
from workers.git.permissions import Sharing
from workers.git.stream import ObjectId

HOSTILE: Final = (
    b"new\nline",
    b"\xff\xfe invalid",
    b'quo"te\\',
    b"-leading",
    b" space ",
    b"tab\there",
    b"n" * 255,
    b"a/b/c/d/deep",
    b"a.b",
    b"a-b",
    b"a0",
)


@pytest.fixture(params=list(ObjectFormat), ids=lambda each: str(each.value))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Staging:
    return Staging(Repo.plain(tmp_path / "repo", request.param.value), request.param)


@pytest.fixture
def sha1(tmp_path: Path) -> Staging:
    return Staging(Repo.plain(tmp_path / "repo"), ObjectFormat.SHA1)


def git_entries(store: Staging) -> list[Entry]:
    """What ``git ls-files --debug`` says of each entry."""
    out = store.repo.git("ls-files", "--stage", "--debug", "-z")
    found = []
    while out:
        meta, _, rest = out.partition(b"\t")
        path, _, rest = rest.partition(b"\0")
        *debug, out = rest.split(b"\n", 5)
        mode, oid, stage = meta.split()
        value = dict(pair.split(b": ") for line in debug for pair in line.strip().split(b"\t"))
        ctime_s, ctime_ns = value[b"ctime"].split(b":")
        mtime_s, mtime_ns = value[b"mtime"].split(b":")
        names = (b"dev", b"ino", b"uid", b"gid", b"size")
        stat = (ctime_s, ctime_ns, mtime_s, mtime_ns, *(value[name] for name in names))
        flags = int(value[b"flags"], 16) & (ASSUME_VALID | SKIP_WORKTREE | INTENT_TO_ADD)
        found.append(
            Entry(
                path,
                int(mode, 8),
                ObjectId(oid.decode()),
                StatData(*map(int, stat)),
                int(stage),
                flags,
            )
        )
    return found


@pytest.mark.parametrize("version", ["2", "4"])
def test_every_entry_reads_as_git_reads_it(store: Staging, version: str) -> None:
    for name in HOSTILE:
        store.repo.write(name, b"content of " + name)
    os.symlink("target", store.repo.path / "link")
    (store.repo.path / "a.b").chmod(0o755)
    store.repo.git("add", "-A")
    store.repo.write("later", b"")
    store.repo.git("add", "--intent-to-add", "later")
    store.repo.git("update-index", "--skip-worktree", "a0")
    store.repo.git("update-index", "--assume-unchanged", "a-b")
    oid = store.blob(b"x").encode()
    conflict = b"".join(b"100644 %s %d\tconflict\n" % (oid, stage) for stage in (1, 2, 3))
    store.repo.git(
        "update-index", "--index-info", stdin=conflict + b"100644 %s\t%s\n" % (oid, b"l" * 4200)
    )
    store.repo.git("update-index", "--index-version", version)

    index = store.read()

    assert index.version == (4 if version == "4" else 3)  # 3: 2 with extended flags
    assert list(index) == git_entries(store)
    for entry in index:
        assert entry in index.stages(entry.path)
        assert (index.get(entry.path) == entry) == (entry.stage == 0)
    assert [entry.stage for entry in index.stages(b"conflict")] == [1, 2, 3]
    assert [entry.stage for entry in index.unmerged()] == [1, 2, 3]
    assert index.get(b"absent") is None
    assert [entry.path for entry in index.under(b"a")] == [b"a/b/c/d/deep"]
    assert list(index.under(b"")) == list(index)


def test_a_file_that_git_added_is_clean_until_it_changes(store: Staging) -> None:
    store.repo.write("file", b"one")
    os.symlink("to", store.repo.path / "link")
    store.repo.git("add", "-A")
    index = store.read()
    file, link = index.get(b"file"), index.get(b"link")
    assert file is not None
    assert link is not None

    def lstat(name: str) -> os.stat_result:
        return os.lstat(store.repo.path / name)

    plain = StatSettings()
    assert StatData.of(lstat("file")) == file.stat
    assert is_clean(file, lstat("file"), plain)
    assert is_clean(link, lstat("link"), plain)
    assert not is_clean(link, lstat("file"), plain)
    assert not is_clean(file, lstat("link"), plain)
    (store.repo.path / "file").chmod(0o755)
    assert not is_clean(file, lstat("file"), plain)
    assert is_clean(file, lstat("file"), StatSettings(file_mode=False, trust_ctime=False))
    (store.repo.path / "file").chmod(0o644)
    assert is_clean(file, lstat("file"), StatSettings(trust_ctime=False))
    copy = store.repo.write("copy", b"two")
    os.utime(copy, ns=(0, lstat("file").st_mtime_ns))
    assert not is_clean(file, lstat("copy"), plain)
    assert is_clean(file, lstat("copy"), StatSettings(check_minimal=True))


def test_blobs_are_found_wherever_they_are_used(sha1: Staging) -> None:
    for number in range(40):
        sha1.repo.write(f"d{number % 3}/f{number}", b"content %d" % (number % 20))
    # A name that holds the bytes of a blob's id must not be taken for it.
    oid = blob_id(ObjectFormat.SHA1, b"content 7")
    raw = bytes.fromhex(oid)
    assert b"/" not in raw
    assert b"\0" not in raw
    sha1.repo.write(raw, b"not it")
    sha1.repo.git("add", "-A")
    index = sha1.read()
    few = frozenset({oid})
    many = frozenset(blob_id(ObjectFormat.SHA1, b"content %d" % number) for number in range(18))

    assert [entry.path for entry in index.with_blobs(few)] == [b"d0/f27", b"d1/f7"]
    assert list(index.with_blobs(many)) == [entry for entry in index if entry.oid in many]
    assert len(list(index.with_blobs(many))) == 36
    assert list(index.with_blobs(frozenset())) == []


def test_a_version_that_was_read_stays_readable_and_knows_that_it_is_old(sha1: Staging) -> None:
    assert len(sha1.read()) == 0
    absent = sha1.read()
    sha1.repo.write("one", b"1")
    sha1.repo.git("add", "one")
    assert not absent.is_current()
    first = sha1.read()
    assert first.is_current()
    sha1.repo.write("two", b"2")
    sha1.repo.git("add", "two")

    assert not first.is_current()
    assert [entry.path for entry in first] == [b"one"]
    assert [entry.path for entry in sha1.read()] == [b"one", b"two"]


@pytest.mark.parametrize("kind", ["split", "sparse"])
def test_what_only_git_can_read_becomes_an_ordinary_index(sha1: Staging, kind: str) -> None:
    sha1.repo.write("in/file", b"1")
    sha1.repo.write("out/file", b"2")
    sha1.repo.git("add", "-A")
    sha1.repo.git("commit", "-q", "-m", "start")
    if kind == "split":
        sha1.repo.git("config", "core.splitIndex", "true")
        sha1.repo.git("update-index", "--split-index")
    else:
        sha1.repo.git("sparse-checkout", "set", "--cone", "--sparse-index", "in")
    with pytest.raises(UnsupportedIndexError, match=kind):
        sha1.read()

    assert flatten(sha1.repo.plumbing, sha1.path) is None

    assert [entry.path for entry in sha1.read()] == [b"in/file", b"out/file"]
    assert sha1.repo.status() == b""
    assert not [n for n in os.listdir(sha1.repo.path / ".git") if "annexd" in n or "lock" in n]


def test_a_git_at_work_is_waited_for_there_too(sha1: Staging) -> None:
    sha1.repo.write("file", b"1")
    sha1.repo.git("add", "file")
    sha1.repo.git("update-index", "--split-index")
    (sha1.repo.path / ".git/index.lock").touch()

    assert flatten(sha1.repo.plumbing, sha1.path) is Refusal.BUSY

    with pytest.raises(UnsupportedIndexError):
        sha1.read()


DAY_NS: Final = 24 * 3600 * SECOND_NS


@pytest.mark.parametrize(
    ("written_ns", "changed_ns", "racy"),
    [
        (0, 0, True),
        (-3 * TICK_NS, -3 * TICK_NS, False),
        (-DAY_NS, 0, False),  # renamed, or its times were set back
        (DAY_NS // 2, -3 * TICK_NS, False),  # dated in the future, some time ago
        (DAY_NS // 2, 0, True),  # just now
        (DAY_NS // 2, DAY_NS // 2, True),  # by a clock that is ahead of ours
        (3 * DAY_NS, 3 * DAY_NS, False),  # on a file system whose ctime is the mtime
    ],
)
def test_a_file_is_racy_if_it_was_written_just_now(
    written_ns: int, changed_ns: int, *, racy: bool
) -> None:
    seen_ns = 1_800_000_000_123_456_789
    changed, written = (divmod(seen_ns + each, SECOND_NS) for each in (changed_ns, written_ns))
    assert is_racy(StatData(*changed, *written, *[0] * 5), seen_ns) is racy


COMPONENTS: Final = st.sampled_from((b"a", b"b", b"a-", b"a.", b"c\n", b"\xff", b"0"))
PATHS: Final = st.lists(COMPONENTS, min_size=1, max_size=3).map(b"/".join)
MODES: Final = st.sampled_from((0o100644, 0o100755, 0o120000))


def info(path: bytes, mode: int, oid: str, stage: int = 0) -> bytes:
    return b"%o %s %d\t%s\0" % (mode, oid.encode(), stage, path)


def without_parents(paths: set[bytes]) -> list[bytes]:
    return [p for p in sorted(paths) if not any(q.startswith(p + b"/") for q in paths)]


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    version=st.sampled_from(("2", "4")),
    before=st.sets(PATHS, max_size=8),
    conflicts=st.sets(PATHS, max_size=2),
    changed=st.sets(PATHS, min_size=1, max_size=6),
    data=st.data(),
)
def test_any_change_gives_the_index_that_git_would_make(  # noqa: PLR0913, PLR0917 -- strategies
    store: Staging,
    version: str,
    before: set[bytes],
    conflicts: set[bytes],
    changed: set[bytes],
    data: st.DataObject,
) -> None:
    """The entries, the tree written from it through the cache of trees, and fsck's opinion."""
    oids = [store.blob(b"%d" % number) for number in range(3)]
    repo = store.repo
    repo.git("mktree")  # the empty tree: the cache may name it, and fsck would miss it
    repo.git("read-tree", "--empty")
    repo.git("update-index", "--index-version", version, "--force-write-index")
    possible = without_parents(before | conflicts)
    lines = [info(path, 0o100644, oids[0]) for path in possible if path in before]
    repo.git("update-index", "-z", "--index-info", stdin=b"".join(lines))
    repo.git("write-tree")  # fills the cache of trees
    torn = [path for path in possible if path not in before]
    lines = [info(path, 0o100644, oids[n], n + 1) for path in torn for n in (0, 1, 2)]
    repo.git("update-index", "-z", "--index-info", stdin=b"".join(lines))
    start = Path(os.fsdecode(store.path)).read_bytes()
    settable = set(without_parents(changed))
    changes: dict[bytes, Staged | None] = {}
    for path in sorted(changed):
        keep = path in settable and data.draw(st.booleans(), label=repr(path))
        oid = data.draw(st.sampled_from(oids)) if keep else oids[0]
        changes[path] = Staged(data.draw(MODES), oid, None) if keep else None

    index = store.splice(changes)

    ours = (store.listed(), repo.git("fsck", "--no-dangling"), list(index))
    ours_tree = repo.git("write-tree") if not list(index.unmerged()) else b""
    assert git_entries(store) == ours[2]
    assert list(store.read()) == ours[2]
    Path(os.fsdecode(store.path)).write_bytes(start)
    zero = "0" * len(oids[0])
    lines = [info(path, 0, zero) for path, staged in changes.items() if staged is None]
    lines += [info(path, s.mode, s.oid) for path, s in changes.items() if s is not None]
    repo.git("update-index", "-z", "--index-info", stdin=b"".join(lines))
    assert ours[0] == store.listed()
    if ours_tree:
        assert ours_tree == repo.git("write-tree")


def test_what_no_index_can_hold_is_refused(sha1: Staging) -> None:
    one = Staged(0o100644, sha1.blob(b"1"), None)
    for changes in ({b"a": one, b"a/b": one}, {b"a/.git/x": one}, {b"/a": one}, {b"../a": one}):
        with pytest.raises(ValueError, match=r"refuses|both"):
            sha1.splice(changes)
    assert os.listdir(sha1.repo.path / ".git").count("index") == 0
    assert not [name for name in os.listdir(sha1.repo.path / ".git") if "annexd" in name]


@pytest.mark.parametrize("version", ["2", "4"])
def test_flags_version_and_permissions_survive(store: Staging, version: str) -> None:
    for name in ("a", "b", "c"):
        store.repo.write(name, b"1")
    store.repo.git("add", "-A")
    store.repo.git("update-index", "--skip-worktree", "a")
    store.repo.git("update-index", "--assume-unchanged", "b")
    store.repo.git("update-index", "--index-version", version)
    os.chmod(store.path, 0o640)
    oid = store.blob(b"2")

    store.splice({name: Staged(0o100644, oid, None) for name in (b"a", b"b", b"c", b"d")})

    flags = {entry.path: entry.flags for entry in git_entries(store)}
    assert flags == {b"a": SKIP_WORKTREE, b"b": ASSUME_VALID, b"c": 0, b"d": 0}
    assert store.read().version == (4 if version == "4" else 3)
    assert os.stat(store.path).st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("value", "expected"), [("group", 0o664), ("all", 0o664), ("0660", 0o660), ("umask", 0o644)]
)
def test_a_shared_repository_stays_shared(sha1: Staging, value: str, expected: int) -> None:
    sha1.repo.config("core.sharedRepository", value)
    sha1.repo.write("a", b"1")
    sha1.repo.git("add", "a")
    assert os.stat(sha1.path).st_mode & 0o777 == expected
    os.unlink(sha1.path)
    sharing = Sharing.parse(value.encode())

    for _ in (1, 2):
        prepared = prepare(
            sha1.read(),
            {b"a": Staged(0o100644, sha1.blob(b"2"), None)},
            lstat=sha1.lstat,
            settings=StatSettings(),
            sharing=sharing,
        )
        assert isinstance(prepared, Prepared)
        prepared.install()
        assert os.stat(sha1.path).st_mode & 0o777 == expected


def test_what_git_remembers_beside_the_entries_stays_true(sha1: Staging) -> None:
    """The untracked cache, the end-of-entries mark, and the record of resolved conflicts."""
    repo = sha1.repo
    for name in ("core.untrackedCache", "index.recordEndOfIndexEntries"):
        repo.config(name, "true")
    repo.write("d/tracked", b"1")
    repo.write("d/new", b"2")
    oids = [sha1.blob(b"%d" % number).encode() for number in range(3)]
    torn = b"".join(b"100644 %s %d\ttorn\n" % (oid, n + 1) for n, oid in enumerate(oids))
    repo.git("add", "d/tracked")
    repo.git("update-index", "--index-info", stdin=torn)
    repo.write("torn", b"resolved")
    repo.git("add", "torn")
    repo.git("commit", "-q", "-m", "start")
    repo.git("status")
    written = Path(os.fsdecode(sha1.path)).read_bytes()
    for extension in (b"UNTR", b"EOIE", b"REUC", b"TREE"):
        assert extension in written

    sha1.splice({b"d/new": sha1.staged(b"d/new", b"2"), b"d/tracked": None})

    assert repo.status() == b"A  d/new\nD  d/tracked\n?? d/tracked\n"
    sha1.splice({b"d/new": None})
    assert repo.status() == b"D  d/tracked\n?? d/\n"
    assert repo.git("fsck", "--no-dangling") == b""
    repo.git("checkout", "--merge", "--", "torn")
    assert [entry.stage for entry in sha1.read().stages(b"torn")] == [1, 2, 3]


def test_new_stat_data_keeps_the_cache_of_trees(sha1: Staging) -> None:
    for name in ("a/1", "b/2"):
        sha1.repo.write(name, b"1")
    sha1.repo.git("add", "-A")
    sha1.repo.git("write-tree")
    cached = dict(sha1.read().extensions())[b"TREE"]
    index = sha1.read()
    new = StatData(1, 2, 3, 4, 5, 6, 7, 8, 9)

    known = index.get(b"a/1")
    assert known is not None
    after = sha1.splice({b"a/1": Staged(known.mode, known.oid, new, 10**19)})

    assert dict(after.extensions())[b"TREE"] == cached
    entry = after.get(b"a/1")
    assert entry is not None
    assert entry.stat == new
    assert len(after) == 2


def test_a_large_index_is_read_and_changed_quickly(
    sha1: Staging, record_property: Callable[[str, object], None]
) -> None:
    lines = b"".join(
        info(b"dir%03d/sub%d/file number %06d.dat" % (n % 500, n % 4, n), 0o100644, f"{n + 1:040x}")
        for n in range(100_000)
    )
    sha1.repo.git("update-index", "-z", "--index-info", stdin=lines)
    clock = time.perf_counter
    start = clock()
    index = sha1.read()
    opened = clock()
    assert index.get(b"dir007/sub3/file number 005007.dat") is not None
    found = clock()
    prepared = sha1.prepare(index, {b"dir250/sub1/new": Staged(0o100644, sha1.blob(b"x"), None)})
    ready = clock()
    assert isinstance(prepared.install(), Index)
    done = clock()

    figures = {
        "open_ms": 1e3 * (opened - start),
        "lookup_us": 1e6 * (found - opened),
        "prepare_ms": 1e3 * (ready - found),
        "install_ms": 1e3 * (done - ready),
    }
    for name, figure in figures.items():
        record_property(name, round(figure, 2))  # in the report: pytest --junit-xml
    assert len(run(["git", "ls-files"], cwd=sha1.repo.path).splitlines()) == 100_001
    assert sum(figures.values()) < 10_000  # not ten times what it costs
