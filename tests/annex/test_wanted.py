"""``git annex copy --auto``, ``get --auto`` and ``sync --content`` are the oracle for transfers."""

import json
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from spool.key import Key
from spool.transfer import UUID, Direction
from tests.repo import Repo
from workers.annex import preferred, remotes, uuidlogs
from workers.annex.preferred import Preferences
from workers.annex.remotes import Remote
from workers.annex.settings import Settings
from workers.git.run import Git
from workers.wanted import Item, Plan

NAMES = ("hub", "archive", "laptop")
EXPRESSIONS = (
    "standard",
    "present",
    "include=*.jpg",
    "exclude=archive/*",
    "not copies=2",
    "largerthan=2kb or include=archive/*",
    "standard and not include=b*",
    "approxlackingcopies=1 or include=*.txt",
    "not (inallgroup=client) or include=a*",
    "anything",
)
GROUPS = ("client", "archive", "backup", "source", "transfer", "manual", "unwanted", "x")


@dataclass(frozen=True, slots=True)
class Network:
    """A repository and its remotes, each a bare repository at a path."""

    here: Repo
    uuids: dict[str, UUID]

    @classmethod
    def create(cls, top: Path) -> "Network":
        here = Repo.create(top / "here")
        here.git("commit", "-q", "--allow-empty", "-m", "start")
        uuids = {}
        for name in NAMES:
            other = here.clone(top / name)
            uuids[name] = UUID(other.uuid().encode())
            here.git("remote", "add", name, other.path)
        here.annex("sync", "-q", "--no-content")
        return cls(here, uuids)

    def remotes(self) -> tuple[Remote, ...]:
        settings = Settings.read(Git(self.here.path / ".git", self.here.path))
        special = uuidlogs.remote_settings(self.log(preferred.REMOTE))
        return remotes.parse(settings, special, top=self.here.path, home=Path(os.environ["HOME"]))

    def log(self, path: bytes) -> bytes:
        listed = self.here.git("ls-tree", "git-annex", path)
        return self.here.git("cat-file", "-p", b"git-annex:" + path) if listed else b""

    def plan(self, *reachable: str) -> Plan:
        self.here.annex("merge", "-q")
        found = self.remotes()
        preferences = Preferences.parse(
            {path: self.log(path) for path in preferred.LOGS}, remotes.trust_levels(found)
        )
        return Plan.make(UUID(self.here.uuid().encode()), preferences, found, reachable)

    def items(self) -> Iterator[tuple[str, Item]]:
        """Every file, and what is known about its content."""
        for line in self.here.annex("whereis", "--json", "--include=*").splitlines():
            found = json.loads(line)
            places = [place["uuid"].encode() for place in found["whereis"] + found["untrusted"]]
            key = Key(found["key"].encode())
            path = found["file"]
            yield path, Item(key, (path.encode(),), frozenset(map(UUID, places)))

    def files_of(self, plan: Plan, direction: Direction, name: str) -> set[str]:
        """The files that we would transfer to or from a remote."""
        return {
            path
            for path, item in self.items()
            for transfer in plan.decide(item).transfers
            if transfer.direction is direction and transfer.uuid == self.uuids[name]
        }

    def really(self, *command: str) -> set[str]:
        """The files that git-annex transfers."""
        results = map(json.loads, self.here.annex(*command, "--json").splitlines())
        return {
            result["file"]
            for result in results
            # What was there already is a success too, but one without a note.
            if result["success"] and (result.get("note") or command[0] == "drop")
        }


@pytest.mark.parametrize("seed", range(2))
def test_what_we_would_send_is_what_copy_auto_sends(tmp_path: Path, seed: int) -> None:
    """And ``get --auto`` fetches what we would; every file has a copy, so numcopies is no cause."""
    rng = random.Random(seed)  # noqa: S311 -- the same networks in every run
    network = Network.create(tmp_path)
    here = network.here
    names = [
        rng.choice(["", "archive/", "d/archive/"])
        + rng.choice("ab")
        + str(number)
        + rng.choice(["", ".jpg", ".txt"])
        for number in range(16)
    ]
    for name in names:
        here.write(name, name.encode() * rng.choice([1, 300]))
    here.annex("add", "-q", ".")
    here.git("commit", "-q", "-m", "files")
    for name in NAMES:
        here.annex("copy", "-q", "--to", name, *rng.sample(names, 5))
        here.annex("wanted", name, rng.choice(EXPRESSIONS))
        here.annex("group", name, rng.choice(GROUPS))
    here.annex("wanted", "here", rng.choice(EXPRESSIONS))
    here.annex("group", "here", rng.choice(GROUPS))

    for name in rng.sample(NAMES, len(NAMES)):
        ours = network.files_of(network.plan(name), Direction.UPLOAD, name)
        assert ours == network.really("copy", "--auto", "--to", name), name

    here.annex("drop", "-q", "--force", "--copies=2")
    for name in NAMES:
        ours = network.files_of(network.plan(name), Direction.DOWNLOAD, name)
        assert ours == network.really("get", "--auto", "--from", name), name


def test_a_network_without_preferences_is_flooded_as_sync_floods_it(tmp_path: Path) -> None:
    network = Network.create(tmp_path)
    here = network.here
    for name in ("a", "b", "c"):
        here.add(name, name.encode())
    here.annex("copy", "-q", "--to", "hub", "a")
    here.annex("drop", "-q", "a")
    here.config("remote.archive.annex-ignore", "true")
    here.config("remote.laptop.annex-cost", "50")
    plan = network.plan(*NAMES)
    hub, laptop = network.uuids["hub"], network.uuids["laptop"]
    decided = {path: plan.decide(item).transfers for path, item in network.items()}

    here.annex("sync", "-q", "--content")

    assert [(each.direction, each.uuid) for each in decided["a"]] == [(Direction.DOWNLOAD, hub)]
    assert [(each.direction, each.uuid) for each in decided["b"]] == [
        (Direction.UPLOAD, laptop),
        (Direction.UPLOAD, hub),
    ]
    settled = network.plan(*NAMES)
    assert [settled.decide(item).transfers for _path, item in network.items()] == [()] * 3
    archive = network.uuids["archive"]
    assert not any(archive in item.locations for _path, item in network.items())


def test_what_would_not_be_missed_is_what_drop_auto_drops(tmp_path: Path) -> None:
    network = Network.create(tmp_path)
    here = network.here
    for name in ("keep", "archive/old", "archive/new", "twin1", "other"):
        here.write(name, b"twins" if name in {"twin1", "other"} else name.encode())
    here.annex("add", "-q", ".")
    here.git("commit", "-q", "-m", "files")
    here.annex("copy", "-q", "--to", "hub", ".")
    here.annex("copy", "-q", "--to", "archive", "archive/old")
    here.annex("group", "archive", "archive")
    here.annex("wanted", "here", "standard and not include=other")
    here.annex("group", "here", "client")
    plan = network.plan(*NAMES)
    twins = ("other", "twin1")

    unwanted = {
        path
        for path, item in network.items()
        if plan.unwanted(
            plan.here,
            item._replace(paths=tuple(map(str.encode, twins))) if path in twins else item,
        )
    }

    assert unwanted == network.really("drop", "--auto") == {"archive/old"}
