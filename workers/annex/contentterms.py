"""The terms of preferred content: what each says about a file's content and where it is.

A repository that is dead has no copies, whatever the location log says, but is still a member of
its groups (so ``inallgroup`` of a group with a dead member never holds).  A key without a size is
smaller than anything and larger than nothing.  When the question is whether content may be
dropped, ``copies`` and its like leave out the repository that asks; ``present`` does not.

Left to git-annex: ``metadata=``, ``balanced=`` and its kin (they need the metadata and the sizes
of repositories), ``url=``, odd globs and sizes.  Terms that git-annex does not know either make
it take the whole expression for ``present``.

Pure.  Source: git-annex-preferred-content(1), corrected by observation of git-annex 10.20261026.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, final

from spool.key import Key
from spool.transfer import UUID
from workers.annex import datasize, glob
from workers.annex.expression import ExoticExpressionError, Term
from workers.annex.matcher import BySize, Compiled, always, unknown
from workers.annex.uuidlogs import Trust


class Content(NamedTuple):
    """A file with annexed content, as a repository's expression is asked about it."""

    key: Key

    path: bytes | None
    """From the top of the work tree; None for content that no file has."""

    locations: frozenset[UUID]
    """Where the content is, by the location log; no dead repositories."""

    copies: frozenset[UUID]
    """The locations that count as copies: all of them, or all but the one to be dropped."""

    numcopies: int | None = None
    """How many copies the file should have: its ``annex.numcopies`` attribute, else what is
    configured.  None if that was not looked up."""


@final
@dataclass(frozen=True, slots=True)
class Context:
    """What terms depend on besides the content: whose expression it is, and about the others."""

    uuid: UUID
    members: Mapping[str, frozenset[UUID]]
    """Group -> its repositories."""

    trust: Mapping[UUID, Trust]
    """Of those that are not semitrusted."""

    numcopies: int
    """What ``git annex numcopies`` says; 1 if nothing."""

    preferred_dir: bytes


_NUMBER: Final = re.compile("-?[0-9]{1,9}")
_KEY_SIZE: Final = re.compile(rb"[^-]+-s([0-9]+)")
_METADATA: Final = re.compile(r"[\w-]+(?:=|[<>]=?).*", re.DOTALL)
_BALANCED: Final = re.compile(r"[^:]*(?::[0-9]{1,9}|:lackingcopies)?")

_LEVELS: Final = (Trust.DEAD, Trust.UNTRUSTED, Trust.SEMITRUSTED, Trust.TRUSTED)

_SECURE: Final = frozenset(
    name.encode() + suffix
    for name in (
        *("SHA256", "SHA512", "SHA224", "SHA384"),
        *("SHA3_256", "SHA3_512", "SHA3_224", "SHA3_384", "SKEIN256", "SKEIN512"),
        *("BLAKE2B256", "BLAKE2B512", "BLAKE2B160", "BLAKE2B224", "BLAKE2B384"),
        *("BLAKE2BP512", "BLAKE2S256", "BLAKE2S160", "BLAKE2S224"),
        *("BLAKE2SP256", "BLAKE2SP224", "BLAKE3_256", "GITBUNDLE"),
    )
    for suffix in (b"", b"E")
)


def compile_term(term: Term, context: Context) -> Compiled[Content]:
    """A term of a preferred content expression, ``standard`` and ``groupwanted`` excepted.

    Raises ``ExoticExpressionError``, ``BrokenGlobError``.
    """
    if term.value is None:
        plain = _PLAIN.get(term.name)
        if plain is not None:
            return plain(context)
    else:
        valued = _VALUED.get(term.name)
        if valued is not None:
            return valued(term.value, context)
    raise ExoticExpressionError(f"term {term.name}")


def _present(context: Context) -> Compiled[Content]:
    uuid = context.uuid
    return Compiled(lambda content: uuid in content.locations, by_presence=True)


def _in_preferred_dir(context: Context) -> Compiled[Content]:
    name = context.preferred_dir

    def match(content: Content) -> bool:
        if content.path is None:
            return False
        # git-annex compares with the last directory of the path, and with the others only
        # with their slash: the documented "anywhere in the tree" does not include what is below.
        *above, last = (content.path.rpartition(b"/")[0] or b".").split(b"/")
        return name == last or (name[-1:] == b"/" and name[:-1] in above)

    return Compiled(match, by_path=True)


def _secure_hash(_context: Context) -> Compiled[Content]:
    def match(content: Content) -> bool | None:
        backend = content.key.partition(b"-")[0]
        if backend == b"VURL" or backend[:1] == b"X":  # those have to be asked about it
            return None if backend not in {b"XXH3", b"XXH3E"} else False
        return backend in _SECURE

    return Compiled(match, certain=False)


def _include(value: str, _context: Context) -> Compiled[Content]:
    matches = _glob(value)

    def match(content: Content) -> bool:
        return content.path is not None and matches(content.path)

    return Compiled(match, by_path=value != "*")


def _exclude(value: str, _context: Context) -> Compiled[Content]:
    matches = _glob(value)

    def match(content: Content) -> bool:
        return content.path is not None and not matches(content.path)

    return Compiled(match, by_path=value != "*")


def _glob(value: str) -> Callable[[bytes], bool]:
    try:
        return glob.matcher(value)
    except glob.ExoticGlobError as odd:
        raise ExoticExpressionError(str(odd)) from odd


def _larger_than(value: str, _context: Context) -> Compiled[Content]:
    limit = _size(value)

    def match(content: Content) -> bool:
        size = _KEY_SIZE.match(content.key)
        return size is not None and int(size[1]) > limit

    return Compiled(match)


def _smaller_than(value: str, _context: Context) -> Compiled[Content]:
    limit = _size(value)

    def match(content: Content) -> bool:
        size = _KEY_SIZE.match(content.key)
        return size is None or int(size[1]) < limit

    return Compiled(match)


def _size(value: str) -> int:
    try:
        return datasize.parse(value)
    except ValueError as odd:
        raise ExoticExpressionError(str(odd)) from odd


def _in_backend(value: str, _context: Context) -> Compiled[Content]:
    prefix = value.encode(errors="surrogateescape") + b"-"
    return Compiled(lambda content: content.key.startswith(prefix))


def _copies(value: str, context: Context) -> Compiled[Content]:
    """``N``, ``GROUP:N``, ``LEVEL:N`` or ``LEVEL+:N``."""
    who, colon, count = value.rpartition(":")
    wanted = _number(count)
    if not colon:
        return Compiled(lambda content: len(content.copies) >= wanted)
    levels = _levels(who)
    if levels is None:
        members = context.members.get(who, frozenset())
        return Compiled(lambda content: len(content.copies & members) >= wanted)
    if Trust.SEMITRUSTED in levels:  # most repositories have no entry: count those that have not
        others = frozenset(uuid for uuid, level in context.trust.items() if level not in levels)
        return Compiled(lambda content: len(content.copies - others) >= wanted)
    named = frozenset(uuid for uuid, level in context.trust.items() if level in levels)
    return Compiled(lambda content: len(content.copies & named) >= wanted)


def _levels(who: str) -> frozenset[Trust] | None:
    for at, level in enumerate(_LEVELS):
        if who == level.value:
            return frozenset((level,))
        if who == level.value + "+":
            return frozenset(_LEVELS[at:])
    return None


def _lacking_copies(value: str, context: Context) -> Compiled[Content]:
    wanted, untrusted = _number(value), _untrusted(context)

    def match(content: Content) -> bool | None:
        if content.numcopies is None:
            return None
        return max(content.numcopies, 1) - len(content.copies - untrusted) >= wanted

    return Compiled(match, certain=False, by_path=True)


def _approx_lacking_copies(value: str, context: Context) -> Compiled[Content]:
    enough, untrusted = context.numcopies - _number(value), _untrusted(context)
    return Compiled(lambda content: len(content.copies - untrusted) <= enough)


def _untrusted(context: Context) -> frozenset[UUID]:
    return frozenset(uuid for uuid, level in context.trust.items() if level is Trust.UNTRUSTED)


def _in_all_group(value: str, context: Context) -> Compiled[Content]:
    members = context.members.get(value, frozenset())
    return Compiled(lambda content: members <= content.copies)


def _only_in_group(value: str, context: Context) -> Compiled[Content]:
    members = context.members.get(value, frozenset())
    return Compiled(lambda content: bool(content.copies) and content.copies <= members)


def _number(value: str) -> int:
    if _NUMBER.fullmatch(value) is None:
        raise ExoticExpressionError(f"number {value}")
    return int(value)


def _left_to_git_annex(
    shape: re.Pattern[str], *, by_presence: bool = False, by_size: BySize = BySize.NO
) -> "Valued":
    """A term that git-annex must answer, if its value has a shape that git-annex accepts."""

    def compile_it(value: str, _context: Context) -> Compiled[Content]:
        if shape.fullmatch(value) is None:
            raise ExoticExpressionError(f"value {value}")
        return unknown(by_presence=by_presence, by_size=by_size)

    return compile_it


Plain = Callable[[Context], Compiled[Content]]
Valued = Callable[[str, Context], Compiled[Content]]

_PLAIN: Final[Mapping[str, Plain]] = {
    "anything": lambda _context: always(answer=True),
    "nothing": lambda _context: always(answer=False),
    "unused": lambda _context: Compiled(lambda content: content.path is None),
    "present": _present,
    "inpreferreddir": _in_preferred_dir,
    "securehash": _secure_hash,
}

_VALUED: Final[Mapping[str, Valued]] = {
    "include": _include,
    "exclude": _exclude,
    "copies": _copies,
    "lackingcopies": _lacking_copies,
    "approxlackingcopies": _approx_lacking_copies,
    "inbackend": _in_backend,
    "inallgroup": _in_all_group,
    "onlyingroup": _only_in_group,
    "largerthan": _larger_than,
    "smallerthan": _smaller_than,
    "metadata": _left_to_git_annex(_METADATA),
    "balanced": _left_to_git_annex(_BALANCED, by_presence=True, by_size=BySize.ROOM),
    "sizebalanced": _left_to_git_annex(_BALANCED, by_presence=True, by_size=BySize.SHARE),
    "fullybalanced": _left_to_git_annex(_BALANCED, by_size=BySize.ROOM),
    "fullysizebalanced": _left_to_git_annex(_BALANCED, by_size=BySize.SHARE),
}
