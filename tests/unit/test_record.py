"""Text records: what is written is read back, and nothing can forge a line."""

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annexd.bulletin import Bulletin, Life
from annexd.service import State as LifeState
from spool.poke import create, latest
from spool.record import (
    LIMIT_BYTES,
    escape,
    format_record,
    make_directory,
    parse_record,
    read,
    replace,
    take_back,
    unescape,
)
from spool.remotes import (
    Exchange,
    Reach,
    directory_name,
    read_push,
    read_reach,
    read_transfer,
    write_push,
    write_reach,
    write_transfer,
)
from spool.state import Activity, State, read_state, read_states, write_state

ANYTHING = st.binary().map(os.fsdecode) | st.text()
NAMES = st.from_regex(r"[a-z][a-z0-9_-]{0,20}", fullmatch=True)
TIMES = st.integers(0, 10**13).map(lambda ms: ms / 1000)
FIELDS = st.lists(st.tuples(NAMES, ANYTHING)).map(tuple)


@given(FIELDS)
def test_a_record_reads_back_as_it_was_written(fields: tuple[tuple[str, str], ...]) -> None:
    assert parse_record(format_record(fields)) == fields


@given(ANYTHING)
def test_an_escaped_value_is_one_printable_line(value: str) -> None:
    assert escape(value).isprintable()
    assert unescape(escape(value)) == value


@given(FIELDS, st.data())
def test_a_torn_record_is_refused_or_has_fewer_lines(
    fields: tuple[tuple[str, str], ...], data: st.DataObject
) -> None:
    text = format_record(fields)
    torn = text[: data.draw(st.integers(0, max(0, len(text) - 1)))]
    try:
        found = parse_record(torn)
    except ValueError:
        return
    assert found == fields[: len(found)]


@pytest.mark.parametrize("code", ["\\U00110000", "\\U7fffffff", "\\U80000000", "\\Uffffffff"])
def test_what_is_no_character_is_refused(code: str) -> None:
    """The last two were an OverflowError, of which a worker died."""
    with pytest.raises(ValueError, match="no such character"):
        parse_record(f"name {code}\n".encode())


@given(st.binary())
def test_any_bytes_are_parsed_or_refused(data: bytes) -> None:
    try:
        fields = parse_record(data)
    except ValueError:
        return
    assert parse_record(format_record(fields)) == fields


@pytest.mark.parametrize(
    "line", [b"Name x\n", b"name\n", b" x\n", b"a b\\q\n", b"a \x1b[31m\n", b"a \\\n", b"a b"]
)
def test_what_we_do_not_write_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"torn|not a line|backslash"):
        parse_record(line)


def test_a_name_that_is_not_a_word_is_not_written() -> None:
    with pytest.raises(ValueError, match="not the name"):
        format_record([("two words", "x")])


def test_a_record_is_replaced_in_one_step_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "made" / "record"
    replace(path, b"a 1\n")
    replace(path, b"a 2\n")

    assert read(path) == b"a 2\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert os.listdir(path.parent) == ["record"]


def test_reading_never_blocks_follows_a_link_or_swallows_a_giant(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("/etc/passwd")
    (tmp_path / "dir").mkdir()
    with (tmp_path / "giant").open("wb") as file:
        file.truncate(LIMIT_BYTES + 1)

    assert read(tmp_path / "none") is None
    for name in ("fifo", "link", "dir", "giant"):
        with pytest.raises(ValueError, match=name):
            read(tmp_path / name)


def test_the_directory_of_git_annex_itself_is_never_made(tmp_path: Path) -> None:
    """It is missing when the drive is not mounted: what we made would hide below the mount."""
    with pytest.raises(FileNotFoundError):
        make_directory(tmp_path / "annex" / "annexd" / "state")
    assert not (tmp_path / "annex").exists()

    (tmp_path / "annex").mkdir()
    make_directory(tmp_path / "annex" / "annexd" / "state")
    assert (tmp_path / "annex" / "annexd").stat().st_mode & 0o777 == 0o700


STATES = st.builds(State, st.sampled_from(Activity), st.integers(0, 10**15), FIELDS)


@given(STATES)
def test_a_state_reads_back_as_it_was_written(state: State) -> None:
    assert State.parse(state.format()) == state


def test_a_state_is_settled_when_idle_since_the_poke_with_nothing_pending() -> None:
    assert State(Activity.IDLE, 7).settled(7)
    assert not State(Activity.IDLE, 6).settled(7)
    assert not State(Activity.BUSY, 7).settled(7)
    assert not State(Activity.IDLE, 7, (("pending", "2"),)).settled(7)
    assert State(Activity.IDLE, 7, (("pending", "0"), ("pending", "5"))).settled(7)


def test_what_roles_have_said_is_found_and_what_others_left_there_is_not(tmp_path: Path) -> None:
    write_state(tmp_path, "watcher", State(Activity.BUSY, 3, (("file", "a\nidle 9"),)))
    (tmp_path / "torn").write_bytes(b"idle")
    (tmp_path / "odd").write_bytes(b"asleep 3\n")
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / ".watcher.1").write_bytes(b"idle 9\n")
    os.mkfifo(tmp_path / "fifo")

    assert list(read_states(tmp_path)) == ["watcher"]
    said = read_state(tmp_path, "watcher")
    assert said is not None
    assert said.note("file") == "a\nidle 9"
    assert (tmp_path / "watcher").read_bytes() == b"busy 3\nfile a\\nidle 9\n"
    assert read_states(tmp_path / "none") == {}
    assert read_state(tmp_path, "none") is None


def test_pokes_count_upwards_and_only_the_last_stays(tmp_path: Path) -> None:
    directory = tmp_path / "poke"
    assert latest(directory) == 0

    assert [create(directory) for _ in range(3)] == [1, 2, 3]
    assert os.listdir(directory) == ["3"]
    assert latest(directory) == 3


def test_a_directory_in_the_way_of_a_record_is_kept_out_of_the_way(tmp_path: Path) -> None:
    (tmp_path / "record").mkdir()
    (tmp_path / "record" / "x").touch()

    replace(tmp_path / "record", b"text")

    assert read(tmp_path / "record") == b"text"
    assert len(list(tmp_path.glob(".record.*/x"))) == 1


def test_what_is_no_poke_is_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()

    assert create(tmp_path) == 8
    assert create(tmp_path) == 9


def test_a_poke_is_higher_than_whatever_a_role_has_said(tmp_path: Path) -> None:
    assert create(tmp_path / "poke", above=57) == 58


def test_a_poke_that_somebody_else_makes_meanwhile_is_not_taken_for_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listdir = os.listdir
    races = [1]

    def lose_the_race(path: Path) -> list[str]:
        names = listdir(path)
        if races:
            (path / str(races.pop())).touch()
        return names

    monkeypatch.setattr(os, "listdir", lose_the_race)
    assert create(tmp_path) == 2


def test_names_that_are_no_pokes_are_left_alone(tmp_path: Path) -> None:
    odd = {"x", "007", "-1", "9" * 30, "1.5", "²"}
    for name in odd:
        (tmp_path / name).touch()

    assert latest(tmp_path) == 0
    assert create(tmp_path) == 1
    assert set(os.listdir(tmp_path)) == odd | {"1"}


REMOTE_NAMES = st.binary(min_size=1, max_size=300).filter(lambda name: b"\0" not in name)


@given(REMOTE_NAMES, REMOTE_NAMES)
def test_every_remote_has_a_directory_of_its_own(one: bytes, other: bytes) -> None:
    name = directory_name(one)
    assert 0 < len(name) <= 200
    assert name.isascii()
    assert name.isprintable()
    assert "/" not in name
    assert not name.startswith(".")
    assert (name == directory_name(other)) == (one == other)


@pytest.mark.parametrize("name", [b"origin", b"usb-drive_2", b"peer@host", b"a.b"])
def test_an_ordinary_remote_keeps_its_name(name: bytes) -> None:
    assert directory_name(name) == name.decode()


@given(st.builds(Reach, st.booleans(), TIMES, ANYTHING, ANYTHING))
def test_reachability_reads_back_as_it_was_written(reach: Reach) -> None:
    assert Reach.parse(reach.format()) == reach


@given(
    st.builds(
        Exchange,
        st.none() | TIMES,
        st.none() | TIMES,
        st.integers(0, 1000),
        st.none() | TIMES,
        ANYTHING,
    )
)
def test_an_exchange_reads_back_as_it_was_written(exchange: Exchange) -> None:
    assert Exchange.parse(exchange.format()) == exchange


def test_what_is_known_of_a_remote_is_kept_by_name(tmp_path: Path) -> None:
    name = b"../odd\n"
    reach = Reach(here=False, since=5.0, why="ssh: \x1b]0;x\x07", uuid="u")
    assert read_reach(tmp_path, name) is None

    write_reach(tmp_path, name, reach)
    write_push(tmp_path, name, Exchange(last_success=1.5))
    write_transfer(tmp_path, name, Exchange(failing_since=2.5, failures=3, last_error="full"))

    assert read_reach(tmp_path, name) == reach
    assert read_push(tmp_path, name) == Exchange(last_success=1.5)
    transfer = read_transfer(tmp_path, name)
    assert transfer is not None
    assert transfer.failures == 3
    (tmp_path / directory_name(name) / "push").write_bytes(b"last_success nan\n")
    assert read_push(tmp_path, name) is None


LIVES = st.builds(
    Life,
    st.from_regex(r"[a-z]+(-[0-9]+)?", fullmatch=True),
    st.none() | st.integers(1, 10**7),
    TIMES,
    st.integers(0, 10**6),
    st.sampled_from(LifeState),
)


@given(
    st.builds(
        Bulletin,
        st.integers(1, 10**7),
        TIMES,
        st.from_regex(r"[0-9a-f]{16}", fullmatch=True),
        st.none() | TIMES,
        st.lists(LIVES).map(tuple),
    )
)
def test_the_bulletin_reads_back_as_it_was_written(bulletin: Bulletin) -> None:
    assert Bulletin.parse(bulletin.format()) == bulletin


@pytest.mark.parametrize(
    "text",
    [b"", b"pid 1\n", b"pid x\nstarted 1\ntoken a\n", b"pid 1\nstarted 1\ntoken a\nworker x\n"],
)
def test_a_foreign_bulletin_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"no '|literal|not a worker"):
        Bulletin.parse(text)


def test_what_we_lack_ourselves_does_not_make_a_record_unreadable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without descriptors, a hold would not have held, and a drive would have been away."""
    (tmp_path / "record").touch()

    def fail(_path: Path, _flags: int) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(os, "open", fail)

    with pytest.raises(OSError, match=os.strerror(errno.EMFILE)):
        read(tmp_path / "record")


def test_what_was_asked_for_by_a_file_is_asked_for_once(tmp_path: Path) -> None:
    asked = tmp_path / "accept"
    assert not take_back(asked)

    asked.touch()
    assert take_back(asked)
    assert not take_back(asked)


def test_a_directory_asks_for_nothing_and_is_out_of_the_way_then(tmp_path: Path) -> None:
    (tmp_path / "accept" / "inside").mkdir(parents=True)

    assert not take_back(tmp_path / "accept")

    assert not (tmp_path / "accept").exists()
    assert [path.name for path in tmp_path.rglob("inside")] == ["inside"]
