"""What a command line of git's says: /proc tells those of others, ``argv`` as it was given."""

from collections.abc import Iterator, Sequence
from typing import Final

_WITH_VALUE: Final = frozenset(
    (b"-C", b"-c", b"--git-dir", b"--work-tree", b"--namespace", b"--exec-path")
)


def words_of(arguments: Sequence[bytes]) -> Iterator[bytes]:
    """The arguments of a git command line that are no options, nor values of git's own options."""
    rest = iter(arguments[1:])
    for argument in rest:
        if argument in _WITH_VALUE:
            next(rest, None)
        elif argument and not argument.startswith(b"-"):
            yield argument
