"""Preferred and required content: which repository wants which content.

A repository without expressions wants everything.  (``git annex find --want-get-by`` says it wants
nothing; ``sync``, ``copy --auto`` and the assistant say everything, and they count.)  With both
kinds, it wants what either matches.  An expression that is not stable (``not present``) matches
nothing.  One that git-annex does not understand makes the repository want what it has.

The answer None means: git-annex must be asked (``workers.annex.questions``).

Pure: built from the bytes of logs, and never changed; when a log changes, build another.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final, Self, final

from spool.transfer import UUID
from workers.annex import expression, maplog, standardgroups, uuidlogs
from workers.annex.contentterms import Content, Context, compile_term
from workers.annex.expression import ExoticExpressionError, Term
from workers.annex.glob import BrokenGlobError
from workers.annex.matcher import BySize, Compiled, any_of, compile_expression, unknown
from workers.annex.uuidlogs import Trust

PREFERRED: Final = b"preferred-content.log"
REQUIRED: Final = b"required-content.log"
GROUP_PREFERRED: Final = b"group-preferred-content.log"
GROUP: Final = b"group.log"
TRUST: Final = b"trust.log"
NUMCOPIES: Final = b"numcopies.log"
REMOTE: Final = b"remote.log"

LOGS: Final = (PREFERRED, REQUIRED, GROUP_PREFERRED, GROUP, TRUST, NUMCOPIES, REMOTE)
"""The files of the git-annex branch that decide what is wanted."""

DEFAULT_PREFERRED_DIR: Final = b"public"


class Trouble(Enum):
    """What is wrong with a repository's expressions."""

    EXOTIC = auto()
    """Not ours to read: git-annex is asked."""

    UNSTABLE = auto()
    """It would get content and drop it again: it matches nothing, as git-annex has it."""

    BROKEN = auto()
    """git-annex dies or hangs over it: nothing is moved on its account."""


@final
@dataclass(frozen=True, slots=True)
class Rule:
    """What one repository wants, ready to be asked."""

    compiled: Compiled[Content]
    trouble: Trouble | None = None
    reason: str = ""
    """For a person; only if there is trouble."""


@final
@dataclass(frozen=True, slots=True)
class Preferences:
    """What all repositories want, and how far they are trusted."""

    preferred: Mapping[UUID, bytes]
    required: Mapping[UUID, bytes]
    group_preferred: Mapping[bytes, bytes]
    groups: Mapping[UUID, frozenset[bytes]]

    trust: Mapping[UUID, Trust]
    """Of those that are not semitrusted."""

    numcopies: int
    remotes: Mapping[UUID, Mapping[bytes, bytes]]
    """What ``remote.log`` says about special remotes."""

    dead: frozenset[UUID]

    _members: Mapping[str, frozenset[UUID]]
    _rules: dict[UUID, Rule | None] = field(default_factory=dict, compare=False, repr=False)
    # Compiled when first asked about: a log may have thousands of repositories that nobody can
    # reach.

    @classmethod
    def parse(cls, logs: Mapping[bytes, bytes], overrides: Mapping[UUID, Trust]) -> Self:
        """From the contents of ``LOGS`` (one that is missing is empty).

        ``overrides`` is what git's configuration says about trust (``remotes.trust_levels``).
        """
        trust = uuidlogs.trust(logs.get(TRUST, b"")) | dict(overrides)
        groups = uuidlogs.groups(logs.get(GROUP, b""))
        return cls(
            preferred=maplog.by_uuid(logs.get(PREFERRED, b"")),
            required=maplog.by_uuid(logs.get(REQUIRED, b"")),
            group_preferred=maplog.by_name(logs.get(GROUP_PREFERRED, b"")),
            groups=groups,
            trust={u: level for u, level in trust.items() if level is not Trust.SEMITRUSTED},
            numcopies=max(1, maplog.number(logs.get(NUMCOPIES, b"")) or 1),
            remotes=uuidlogs.remote_settings(logs.get(REMOTE, b"")),
            dead=frozenset(u for u, level in trust.items() if level is Trust.DEAD),
            _members=_members(groups),
        )

    def alive(self, locations: frozenset[UUID]) -> frozenset[UUID]:
        """The locations that count: those of dead repositories do not."""
        return locations if self.dead.isdisjoint(locations) else locations - self.dead

    def level(self, uuid: UUID) -> Trust:
        """How far a repository is trusted."""
        return self.trust.get(uuid, Trust.SEMITRUSTED)

    def rule(self, uuid: UUID) -> Rule | None:
        """What a repository wants; None if it wants everything."""
        try:
            return self._rules[uuid]
        except KeyError:
            return self._rules.setdefault(uuid, self._compile(uuid))

    def by_size(self, uuid: UUID) -> BySize:
        """Whether it depends on sizes what a repository wants."""
        rule = self.rule(uuid)
        return BySize.NO if rule is None else rule.compiled.by_size

    def wants(self, uuid: UUID, content: Content) -> bool | None:
        """Whether the repository wants to have (or get) the content; None: ask git-annex."""
        rule = self.rule(uuid)
        return True if rule is None else rule.compiled.match(content)

    def would_keep(self, uuid: UUID, content: Content) -> bool | None:
        """Whether it would miss the content if that were dropped; None: ask git-annex.

        False does not yet mean that it may be dropped: that takes copies elsewhere, and that
        no other file has the same content and is wanted.
        """
        rule = self.rule(uuid)
        if rule is None:
            return True
        return rule.compiled.match(content._replace(copies=content.copies - {uuid}))

    def _compile(self, uuid: UUID) -> Rule | None:
        texts = (self.preferred.get(uuid), self.required.get(uuid))
        term = self._terms(uuid)
        try:
            parsed = [expression.parse(_text(text)) for text in texts if text]
            parts = [compile_expression(each, term) for each in parsed if each is not None]
        except ExoticExpressionError as odd:
            return Rule(unknown(), Trouble.EXOTIC, str(odd))
        except BrokenGlobError as broken:
            return Rule(term(Term("present", None)), Trouble.BROKEN, str(broken))
        if not parts:
            return None
        either = parts[0] if len(parts) == 1 else any_of(parts)
        if either.by_absence:
            return Rule(term(Term("nothing", None)), Trouble.UNSTABLE, "it wants what is absent")
        if not either.certain:
            return Rule(either, Trouble.EXOTIC, "some of it is left to git-annex")
        return Rule(either)

    def _terms(self, uuid: UUID) -> "_Terms":
        settings = self.remotes.get(uuid, {})
        context = Context(
            uuid=uuid,
            members=self._members,
            trust=self.trust,
            numcopies=self.numcopies,
            preferred_dir=settings.get(b"preferreddir", DEFAULT_PREFERRED_DIR),
        )
        names = [_text(name) for name in self.groups.get(uuid, frozenset())]
        standard = [standardgroups.EXPRESSIONS.get(name) for name in names]
        wanted = [self.group_preferred.get(name) for name in self.groups.get(uuid, frozenset())]
        return _Terms(
            context,
            standard=[text for text in standard if text is not None],
            group_wanted=[_text(text) for text in wanted if text],
        )


@final
@dataclass(frozen=True, slots=True)
class _Terms:
    """Compiles the terms of one repository's expressions."""

    context: Context
    standard: list[str]
    """The standard expressions of the groups it is in: more than one is no use."""

    group_wanted: list[str]

    def __call__(self, term: Term) -> Compiled[Content]:
        if term == Term("standard", None):
            return self._nested(self.standard, self._in_standard)
        if term == Term("groupwanted", None):
            return self._nested(self.group_wanted, self._in_group_wanted)
        return compile_term(term, self.context)

    def _nested(
        self, texts: list[str], term: Callable[[Term], Compiled[Content]]
    ) -> Compiled[Content]:
        """An expression in place of a term; ``present`` if it is not clear which."""
        if len(texts) != 1:
            return compile_term(Term("present", None), self.context)
        parsed = expression.parse(texts[0])
        if parsed is None:
            raise ExoticExpressionError("groupwanted is blank")
        inner = compile_expression(parsed, term)
        # git-annex does not look how presence matters within: what does depend on it must not
        # be negated outside, and is accepted inside.
        return Compiled(
            inner.match,
            certain=inner.certain,
            by_presence=inner.by_presence or inner.by_absence,
            by_path=inner.by_path,
            by_size=inner.by_size,
        )

    def _in_standard(self, term: Term) -> Compiled[Content]:
        return compile_term(term, self.context)

    def _in_group_wanted(self, term: Term) -> Compiled[Content]:
        if term == Term("groupwanted", None):
            raise ExoticExpressionError("groupwanted within groupwanted")
        return self(term)


def _members(groups: Mapping[UUID, frozenset[bytes]]) -> dict[str, frozenset[UUID]]:
    found: dict[str, set[UUID]] = {}
    for uuid, names in groups.items():
        for name in names:
            found.setdefault(_text(name), set()).add(uuid)
    return {name: frozenset(uuids) for name, uuids in found.items()}


def _text(data: bytes) -> str:
    return data.decode(errors="surrogateescape")
