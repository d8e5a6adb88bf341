"""git-annex is the oracle for how the logs of the git-annex branch are read."""

from pathlib import Path

from spool.transfer import UUID
from tests.annex.world import World, by_name, by_uuid, key, uuid
from tests.repo import Repo
from workers.annex import maplog, uuidlogs
from workers.annex.uuidlogs import Trust

LINES = {
    "plain": b"U include=a timestamp=1s\n",
    "no timestamp": b"U include=a\n",
    "no timestamp is older": b"U include=a\nU include=b timestamp=-1s\n",
    "whatever the order": b"U include=b timestamp=-1s\nU include=a\n",
    "a tie": b"U include=b timestamp=1s\nU include=a timestamp=1s\n",
    "a clock that is none": b"U include=b timestamp=1s\nU include=a timestamp=foo\n",
    "no unit": b"U include=b timestamp=1s\nU include=a timestamp=2\n",
    "fractions": b"U include=b timestamp=1.10s\nU include=a timestamp=1.9s\n",
    "spaces": b"U   include=a   timestamp=1s\n",
    "two timestamps": b"U include=b timestamp=1s\nU include=a timestamp=5s timestamp=0.5s\n",
    "an empty one unsets": b"U include=a timestamp=1s\nU  timestamp=2s\n",
    "without its space too": b"U include=a timestamp=1s\nU timestamp=2s\n",
    "CRLF": b"U include=a timestamp=1s\r\n",
    "CR": b"U include=a timestamp=1s\rU include=b timestamp=2s\n",
    "a leading space": b" U include=a timestamp=1s\n",
    "a tab": b"U\tinclude=a timestamp=1s\n",
    "exponent": b"U include=b timestamp=5s\nU include=a timestamp=1e3s\n",
    "plus": b"U include=b timestamp=5s\nU include=a timestamp=+9s\n",
    "huge": b"U include=b timestamp=5s\nU include=a timestamp=99999999999999999999s\n",
    "no digits": b"U include=b timestamp=0.1s\nU include=a timestamp=.5s\n",
    "no fraction": b"U include=b timestamp=5s\nU include=a timestamp=6.s\n",
    "garbage": b"foo\n\n  \nU include=a timestamp=1s\n\xff\xfe\n",
}


def test_lines_by_uuid_count_as_they_do_for_git_annex(world: World) -> None:
    repositories = {name: uuid(number) for number, name in enumerate(LINES)}
    log = b"".join(LINES[name].replace(b"U", each) for name, each in repositories.items())
    world.pretend({b"a": key(1), b"b": key(2)}, {})
    world.pretend_logs({b"preferred-content.log": log}, known=repositories.values())
    ours = maplog.by_uuid(log)

    theirs = {
        name: world.find(f"--want-get-by={each.decode()}") for name, each in repositories.items()
    }

    assert theirs == {
        name: {value.strip().removeprefix(b"include=")} if (value := ours.get(each)) else set()
        for name, each in repositories.items()
    }


def test_lines_by_name_count_as_they_do_for_git_annex(world: World) -> None:
    lines = {
        b"plain": b"1s G include=a\n",
        b"tie": b"1s G include=b\n1s G include=a\n",
        b"order": b"2s G include=a\n1s G include=b\n",
        b"none": b"G include=a\n",
        b"spaces": b"1s  G include=a\n",
        b"more": b"1s G  include=a\n",
        b"unset": b"1s G include=a\n2s G \n",
        b"short": b"1s G include=a\n2s G\n",
        b"wrong": b"1s G include=a\nx G include=b\n",
    }
    repositories = {name: uuid(number) for number, name in enumerate(lines)}
    log = b"".join(text.replace(b"G", name) for name, text in lines.items())
    world.pretend({b"a": key(1), b"b": key(2)}, {})
    world.pretend_wanted(
        dict.fromkeys(repositories.values(), b"groupwanted"),
        group=by_uuid({each: name for name, each in repositories.items()}),
        group_preferred_content=log,
    )
    ours = maplog.by_name(log)

    theirs = {
        name: world.find(f"--want-get-by={each.decode()}") for name, each in repositories.items()
    }

    assert theirs == {
        name: {value.strip().removeprefix(b"include=")} if (value := ours.get(name)) else set()
        for name in lines
    }


def test_trust_is_what_git_annex_takes_it_for(world: World) -> None:
    levels = [b"1", b"0", b"X", b"?", b"Z", b"x", b"00", b"1 2", b"", b" 0", b"0 "]
    repositories = {uuid(number): level for number, level in enumerate(levels)}
    log = by_uuid(repositories) + uuid(50) + b"\n"
    asked = {uuid(100): Trust.TRUSTED, uuid(101): Trust.SEMITRUSTED, uuid(102): Trust.UNTRUSTED}
    files = {b"f%d" % number: key(number) for number in [*range(len(levels)), 50]}
    world.pretend(files, {key(number): [uuid(number)] for number in [*range(len(levels)), 50]})
    world.pretend_wanted(
        {each: f"copies={level.value}:1".encode() for each, level in asked.items()}, trust=log
    )

    theirs = dict.fromkeys(files, Trust.DEAD)  # of a dead one there are no copies at all
    for each, level in asked.items():
        theirs |= dict.fromkeys(world.find(f"--want-get-by={each.decode()}"), level)

    ours = uuidlogs.trust(log)
    assert theirs == {b"f%d" % int(each[-12:]): level for each, level in ours.items()}


def test_groups_are_separated_by_spaces(world: World) -> None:
    values = [b"y g", b"y  g", b"y\tg", b"g g", b"yg", b""]
    repositories = {uuid(number): value for number, value in enumerate(values)}
    log = by_uuid(repositories)
    world.pretend({b"a": key(1)}, {})
    world.pretend_wanted(
        dict.fromkeys(repositories, b"groupwanted"),
        group=log,
        group_preferred_content=by_name({b"g": b"include=a"}),
    )

    in_g = {each for each in repositories if world.find(f"--want-get-by={each.decode()}")}

    assert in_g == {each for each, groups in uuidlogs.groups(log).items() if b"g" in groups}


def test_the_settings_of_a_special_remote_are_read_back(repo: Repo, tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    odd = "foo bar & é\tx"

    repo.annex(
        "initremote", "-q", "d", "type=directory", f"directory={store}", "encryption=none",
        f"preferreddir={odd}",
    )  # fmt: skip
    log = repo.git("cat-file", "-p", "git-annex:remote.log")

    uuid_of_d = UUID(repo.git("config", "remote.d.annex-uuid").strip())
    settings = uuidlogs.remote_settings(log)[uuid_of_d]
    assert settings[b"preferreddir"] == odd.encode()
    assert settings[b"type"] == b"directory"
    assert settings[b"name"] == b"d"


def test_numcopies_is_what_git_annex_says(repo: Repo) -> None:
    repo.annex("numcopies", "2")
    repo.annex("numcopies", "3")
    repo.annex("mincopies", "2")

    assert maplog.number(repo.git("cat-file", "-p", "git-annex:numcopies.log")) == 3
    assert maplog.number(repo.git("cat-file", "-p", "git-annex:mincopies.log")) == 2
