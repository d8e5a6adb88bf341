"""What should be where: the transfers that a key needs, from here, now.

Flooding, filtered by preferred content: what is here goes to every repository that can be reached,
wants it and lacks it; what is wanted here and is missing comes from the cheapest repository that
has it.  Never to or from a dead repository; from an untrusted one, or one with which transfers just
fail, only if no other has it; once to a repository that several remotes lead to.

Pure, and cheap: a key that is everywhere costs a microsecond, for it is asked about at every scan.

Source: ``git annex sync --content`` is the oracle, with two differences on purpose.  Contents too
obey ``annex-pull`` and ``annex-push`` (git-annex applies them to refs only), and nothing is sent to
dead repositories (git-annex does that).
"""

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, Self, final

from spool.key import Key
from spool.transfer import UUID, Direction, Transfer
from workers.annex.contentterms import Content
from workers.annex.preferred import Preferences
from workers.annex.remotes import Remote, routes
from workers.annex.settings import Settings
from workers.annex.sharedsettings import with_shared
from workers.annex.uuidlogs import Trust


class Item(NamedTuple):
    """One key, and what is known about it."""

    key: Key
    paths: tuple[bytes, ...]
    """The files that have this content, from the top of the work tree.

    Without any it is wanted only by who has an expression that says so: a repository without one
    wants all files, and no old versions of them (as with ``git annex sync``).
    """

    locations: frozenset[UUID]
    """By the location log, dead repositories included."""

    numcopies: int | None = None
    """As ``Content.numcopies``; only expressions with ``lackingcopies=`` look at it."""


class Decision(NamedTuple):
    """What to do about one key."""

    transfers: tuple[Transfer, ...]
    """Wanted; the cheapest first."""

    ask: tuple[Transfer, ...] = ()
    """Wanted if git-annex says so (``questions.Wants``): ``asked_of`` is whom to ask about."""


NOTHING: Final = Decision(())


@final
@dataclass(frozen=True, slots=True)
class Plan:
    """Who may get and give contents, as of now."""

    here: UUID
    preferences: Preferences
    uploads: tuple[UUID, ...]
    """Where contents may be sent; the cheapest first."""

    downloads: tuple[UUID, ...]
    """Where contents may be fetched from; the best first."""

    speculative: tuple[UUID, ...]
    """Where to look for contents though the location log does not know of them."""

    _receivers: frozenset[UUID]
    """``uploads`` as a set, to see at once that all of them have a key."""

    @classmethod
    def make(
        cls,
        here: UUID,
        preferences: Preferences,
        remotes: Iterable[Remote],
        reachable: Container[str],
        failing: Container[str] = (),
    ) -> Self:
        """From all remotes, and the names of those that can be reached.

        From those in ``failing`` contents are fetched only if no other repository has them.
        """
        ways = {
            uuid: [remote for remote in leading if remote.name in reachable]
            for uuid, leading in routes(remotes).items()
            if uuid != here and preferences.level(uuid) is not Trust.DEAD
        }
        sending = {uuid: [way for way in each if way.sends] for uuid, each in ways.items()}
        fetching = {uuid: [way for way in each if way.fetches] for uuid, each in ways.items()}
        uploads = tuple(sorted(filter(sending.get, sending), key=lambda u: sending[u][0].cost))
        downloads = sorted(
            filter(fetching.get, fetching),
            key=lambda u: (
                all(way.name in failing for way in fetching[u]),
                preferences.level(u) is Trust.UNTRUSTED,
                fetching[u][0].cost,
            ),
        )
        return cls(
            here=here,
            preferences=preferences,
            uploads=uploads,
            downloads=tuple(downloads),
            speculative=tuple(
                u for u in downloads if any(way.speculate_present for way in fetching[u])
            ),
            _receivers=frozenset(uploads),
        )

    def decide(self, item: Item) -> Decision:
        """The transfers that one key needs."""
        if self.here in item.locations:
            if self._receivers <= item.locations:
                return NOTHING
            return self._uploads(item)
        return self._download(item)

    def sources(self, item: Item) -> Iterator[UUID]:
        """Where the content can be had; the best first."""
        for uuid in self.downloads:
            if uuid in item.locations:
                yield uuid
        for uuid in self.speculative:
            if uuid not in item.locations:
                yield uuid

    def asked_of(self, transfer: Transfer) -> UUID:
        """The repository that has to want the content, for this transfer to be wanted."""
        return transfer.uuid if transfer.direction is Direction.UPLOAD else self.here

    def wants(self, uuid: UUID, item: Item, alive: frozenset[UUID] | None = None) -> bool | None:
        """Whether a repository wants a key while ``alive`` have it; None: only git-annex knows.

        Without ``alive``: as things are.
        """
        rule = self.preferences.rule(uuid)
        if rule is None:
            return bool(item.paths)
        if alive is None:
            alive = self.preferences.alive(item.locations)
        match = rule.compiled.match
        return _any(map(match, _contents(item, alive, rule.compiled.by_path)))

    def unwanted(self, uuid: UUID, item: Item) -> bool | None:
        """Whether a repository has the content and would not miss it; None: only git-annex knows.

        Then git-annex may be asked to drop it (``oneshot.drop_unwanted``).
        """
        rule = self.preferences.rule(uuid)
        if rule is None or uuid not in item.locations:
            return False
        contents = _contents(item, self.preferences.alive(item.locations), rule.compiled.by_path)
        kept = _any(self.preferences.would_keep(uuid, content) for content in contents)
        return None if kept is None else not kept

    def _uploads(self, item: Item) -> Decision:
        alive = self.preferences.alive(item.locations)
        transfers: list[Transfer] = []
        ask: list[Transfer] = []
        for uuid in self.uploads:
            if uuid in item.locations:
                continue
            wanted = self.wants(uuid, item, alive)
            if wanted is None:
                ask.append(Transfer(Direction.UPLOAD, uuid, item.key))
            elif wanted:
                transfers.append(Transfer(Direction.UPLOAD, uuid, item.key))
        return Decision(tuple(transfers), tuple(ask)) if transfers or ask else NOTHING

    def _download(self, item: Item) -> Decision:
        source = next(self.sources(item), None)
        if source is None:
            return NOTHING
        wanted = self.wants(self.here, item, self.preferences.alive(item.locations))
        if wanted is False:
            return NOTHING
        transfer = Transfer(Direction.DOWNLOAD, source, item.key)
        return Decision((transfer,)) if wanted else Decision((), (transfer,))


def syncs_content(settings: Settings, shared: Mapping[bytes, bytes]) -> bool:
    """Whether contents are transferred at all: ``annex.synccontent``, which may say no.

    ``shared`` is what ``config.log`` says; git's configuration goes first.
    """
    return with_shared(settings, shared).flag("annex.synccontent", default=True)


def _contents(
    item: Item,
    alive: frozenset[UUID],
    by_path: bool,  # noqa: FBT001 -- a property of a rule
) -> Iterator[Content]:
    """What to ask about a key: each of its files, or any one if it makes no difference."""
    paths: tuple[bytes | None, ...] = item.paths or (None,)
    for path in paths if by_path else paths[:1]:
        yield Content(item.key, path, alive, alive, item.numcopies)


def _any(answers: Iterable[bool | None]) -> bool | None:
    """Content is wanted if one of its files is; None if that is not known."""
    unknown = False
    for answer in answers:
        if answer:
            return True
        unknown = unknown or answer is None
    return None if unknown else False
