"""What should be where: a table, and promises."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spool.key import Key
from spool.transfer import UUID, Direction, Transfer
from workers.annex import remotes
from workers.annex.preferred import GROUP, PREFERRED, TRUST, Preferences
from workers.annex.settings import Settings
from workers.wanted import NOTHING, Decision, Item, Plan, syncs_content

HERE, A, B, C = UUID(b"here"), UUID(b"a-1"), UUID(b"b-2"), UUID(b"c-3")
KEY = Key(b"SHA256-s3--x")
NAMES = {HERE: "here", A: "a", B: "b", C: "c"}


def log(values: Mapping[UUID, bytes]) -> bytes:
    return b"".join(b"%b %b timestamp=1s\n" % item for item in values.items())


@dataclass(frozen=True)
class Case:
    """A world of three remotes (b is the cheapest, then c, then a)."""

    name: str
    at: set[UUID]
    to: tuple[UUID, ...] = ()
    source: UUID | None = None
    ask: tuple[UUID, ...] = ()
    paths: tuple[bytes, ...] = (b"f",)
    wanted: dict[UUID, bytes] = field(default_factory=dict)
    trust: dict[UUID, bytes] = field(default_factory=dict)
    groups: dict[UUID, bytes] = field(default_factory=dict)
    config: dict[str, str] = field(default_factory=dict)
    """Remote and setting -> value."""

    away: set[str] = field(default_factory=set)
    also: str = ""
    """The cost of another way to b, if there is one."""

    to_self: bool = False
    """One more remote leads to the repository itself."""

    def plan(self) -> Plan:
        leading = {"a": (A, "300"), "b": (B, "100"), "c": (C, "200")}
        if self.also:
            leading["also"] = (B, self.also)
        if self.to_self:
            leading["self"] = (HERE, "1")
        values: dict[str, tuple[str, ...]] = {}
        for name, (uuid, cost) in leading.items():
            values[f"remote.{name}.url"] = (f"/srv/{name}",)
            values[f"remote.{name}.annex-uuid"] = (uuid.decode(),)
            values[f"remote.{name}.annex-cost"] = (cost,)
        for setting, value in self.config.items():
            values["remote.{}.annex-{}".format(*setting.split("."))] = (value,)
        settings = Settings(values)
        found = remotes.parse(settings, {}, top=Path("/"), home=Path("/"))
        preferences = Preferences.parse(
            {PREFERRED: log(self.wanted), TRUST: log(self.trust), GROUP: log(self.groups)},
            remotes.trust_levels(found),
        )
        names = {remote.name for remote in found}
        return Plan.make(HERE, preferences, found, names - self.away - {"web", "bittorrent"})


CASES = [
    Case("what is here goes everywhere, the cheapest first", {HERE}, to=(B, C, A)),
    Case("not where it is", {HERE, B}, to=(C, A)),
    Case("nor to one that is away", {HERE}, to=(C, A), away={"b"}),
    Case("nothing to do", {HERE, A, B, C}),
    Case("what is missing comes from the cheapest", {A, C}, source=C),
    Case("that is not away", {A, C}, source=A, away={"c"}),
    Case("what is nowhere stays there", set()),
    Case("what only an unreachable one has waits", {B}, away={"b"}),
    Case("a dead one gets nothing", {HERE}, to=(B, C), trust={A: b"X"}),
    Case("and gives nothing", {A}, trust={A: b"X"}),
    Case("an untrusted one gets things", {HERE}, to=(B, C, A), trust={B: b"0"}),
    Case("but gives only what no other has", {A, B}, source=A, trust={B: b"0"}),
    Case("then it does", {B}, source=B, trust={B: b"0"}),
    Case("configuration may call it dead", {HERE}, to=(B, C), config={"a.trustlevel": "dead"}),
    Case("an ignored one takes no part", {HERE}, to=(B, C), config={"a.ignore": "true"}),
    Case("in neither direction", {A}, config={"a.ignore": "true"}),
    Case("nor one that does not sync", {HERE}, to=(B, C), config={"a.sync": "false"}),
    Case("nothing is sent to one to read from", {HERE}, to=(B, C), config={"a.readonly": "1"}),
    Case("which can be read from", {A}, source=A, config={"a.readonly": "1"}),
    Case("nor pushed where pushing is off", {HERE}, to=(B, C), config={"a.push": "no"}),
    Case("nor pulled where pulling is off", {A}, config={"a.pull": "no"}),
    Case("one repository, two ways: one upload", {HERE}, to=(B, C, A), also="1"),
    Case("the other way is as good", {HERE}, to=(B, C, A), away={"b"}, also="1"),
    Case("a way that may not be used does not count", {HERE}, to=(C, B, A), also="250",
         config={"b.readonly": "true"}),
    Case("a way to ourselves is no remote", {HERE}, to=(B, C, A), to_self=True),
    Case("only where it is wanted", {HERE}, to=(C, A), wanted={B: b"include=other"}),
    Case("any of its files will do", {HERE}, to=(B, C, A), wanted={B: b"include=g"},
         paths=(b"f", b"g")),
    Case("not wanted here: not fetched", {B}, wanted={HERE: b"nothing"}),
    Case("not fetched to fill a manual repository", {B}, wanted={HERE: b"standard"},
         groups={HERE: b"manual"}),
    Case("unknown: git-annex is asked", {HERE}, to=(C, A), ask=(B,), wanted={B: b"metadata=a=b"}),
    Case("unknown here too", {B}, ask=(B,), wanted={HERE: b"metadata=a=b"}),
    Case("unless one file settles it", {HERE}, to=(B, C, A), paths=(b"f", b"g"),
         wanted={B: b"include=g or metadata=x=y"}),
    Case("a hopeful one is tried when no other has it", {B}, source=A, away={"b"},
         config={"a.speculate-present": "true"}),
    Case("and only then", {B}, source=B, config={"a.speculate-present": "true"}),
    Case("an archive takes one copy", {HERE}, to=(B, C, A), wanted={B: b"standard"},
         groups={B: b"archive"}),
    Case("and not a second", {HERE, A}, to=(C,), wanted={B: b"standard"},
         groups={A: b"archive", B: b"archive"}),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_transfers_that_a_key_needs(case: Case) -> None:
    uploads = tuple(Transfer(Direction.UPLOAD, uuid, KEY) for uuid in case.to)
    downloads = () if case.source is None else (Transfer(Direction.DOWNLOAD, case.source, KEY),)
    direction = Direction.UPLOAD if HERE in case.at else Direction.DOWNLOAD
    ask = tuple(Transfer(direction, uuid, KEY) for uuid in case.ask)

    decision = case.plan().decide(Item(KEY, case.paths, frozenset(case.at)))

    assert decision == Decision(uploads + downloads, ask)


def test_whom_to_ask_about() -> None:
    plan = CASES[0].plan()

    assert plan.asked_of(Transfer(Direction.UPLOAD, B, KEY)) == B
    assert plan.asked_of(Transfer(Direction.DOWNLOAD, B, KEY)) == HERE


def test_all_sources_are_known_for_when_the_first_one_fails() -> None:
    plan = Case("", set(), config={"a.speculate-present": "true"}).plan()

    assert list(plan.sources(Item(KEY, (b"f",), frozenset((B, C))))) == [B, C, A]
    assert list(plan.sources(Item(KEY, (b"f",), frozenset((A,))))) == [A]


@pytest.mark.parametrize(
    ("expression", "at", "paths", "unwanted"),
    [
        (b"", {HERE}, (b"f",), False),
        (b"anything", {HERE}, (b"f",), False),
        (b"nothing", {HERE}, (b"f",), True),
        (b"nothing", {A}, (b"f",), False),
        (b"include=g", {HERE}, (b"f", b"g"), False),
        (b"include=h", {HERE}, (b"f", b"g"), True),
        (b"present", {HERE}, (b"f",), False),
        (b"not copies=1", {HERE}, (b"f",), False),
        (b"not copies=1", {HERE, A}, (b"f",), True),
        (b"metadata=a=b", {HERE}, (b"f",), None),
        (b"not (", {HERE}, (b"f",), None),
    ],
)
def test_what_may_be_dropped_is_what_would_not_be_missed(
    expression: bytes,
    at: set[UUID],
    paths: tuple[bytes, ...],
    unwanted: bool | None,  # noqa: FBT001 -- a case
) -> None:
    plan = Case("", set(), wanted={HERE: expression}).plan()

    assert plan.unwanted(HERE, Item(KEY, paths, frozenset(at))) is unwanted


uuids = st.sampled_from([HERE, A, B, C])


@given(
    st.dictionaries(uuids, st.sampled_from([b"X", b"0", b"1"])),
    st.dictionaries(
        uuids,
        st.sampled_from([b"present", b"copies=1", b"not copies=1", b"metadata=a=b", b"not ("]),
    ),
    st.frozensets(uuids),
    st.sets(st.sampled_from(["a", "b", "c"])),
)
def test_no_transfer_is_pointless_or_impossible(
    trust: dict[UUID, bytes],
    wanted: dict[UUID, bytes],
    at: frozenset[UUID],
    away: set[str],
) -> None:
    plan = Case("", set(), trust=trust, wanted=wanted, away=away).plan()

    decision = plan.decide(Item(KEY, (b"f",), at))

    both = decision.transfers + decision.ask
    assert len(set(both)) == len(both)
    for transfer in both:
        assert NAMES[transfer.uuid] not in away
        assert trust.get(transfer.uuid) != b"X"
        assert transfer.uuid != HERE
        if transfer.direction is Direction.UPLOAD:
            assert HERE in at
            assert transfer.uuid not in at
        else:
            assert HERE not in at
            assert transfer.uuid in at
            assert len(both) == 1


def test_contents_are_synced_unless_somebody_says_no() -> None:
    off = Settings({"annex.synccontent": ("false",)})
    on = Settings({"annex.synccontent": ("true",)})

    assert syncs_content(Settings({}), {})
    assert not syncs_content(off, {})
    assert not syncs_content(Settings({}), {b"annex.synccontent": b"false"})
    assert syncs_content(on, {b"annex.synccontent": b"false"})
    assert not syncs_content(off, {b"annex.synccontent": b"true"})
    assert syncs_content(Settings({}), {b"annex.synccontent": b""})


def test_a_key_that_is_everywhere_costs_nothing_to_decide() -> None:
    plan = CASES[0].plan()

    assert plan.decide(Item(KEY, (b"f",), frozenset((HERE, A, B, C)))) is NOTHING
