"""Parcels: many small contents in one exchange, between two annexds.

git-annex's P2P protocol moves one content at a time, and each waits for the other side's disk.
A parcel is asked for, sent, synced and answered as a whole.  It is an extension, which the server
is asked for once; git-annex's says ``ERROR unknown command``, and goes on as before.

.. code-block:: text

   client: ANNEXD-PARCELS 1            server: ANNEXD-PARCELS 1

   client: PUT-MANY n, then n lines "SIZE AF KEY"
   server: TAKE and n letters: y send it, h have it already, n not in this way (by PUT)
   client: for each y: DATA, the bytes, VALID or INVALID, as after PUT-FROM 0
   server: STORED and a letter for each y: y it is there, durably; n it is not

   client: GET-MANY n, then n lines "AF KEY"
   server: for each: DATA, the bytes, VALID or INVALID, as after GET 0; DATA 0, INVALID: not here

A client may offer the next parcel before it has heard STORED: the answers come in order.
``AF`` and ``KEY`` as in ``p2p``.  DIAGNOSTICS: as ``p2p.Peer``.
"""

from collections.abc import Sequence
from enum import Enum
from typing import Final, NamedTuple

from spool.key import Key
from workers.annex.p2p import Peer, RefusedError, escape

COMMAND: Final = b"ANNEXD-PARCELS"
VERSION: Final = 1

MOST: Final = 256
"""Contents in one parcel: each has its locks as long as that lasts."""

SIZE_MOST: Final = 1 << 20
"""Bytes of one content.  For a larger one, a round trip and a sync of its own are little."""

BYTES_MOST: Final = 8 << 20
"""Of one parcel: it is all or nothing, and nothing else is done meanwhile."""


class Wish(Enum):
    """What the server says to the offer of a content."""

    SEND = b"y"
    HAVE = b"h"
    OTHERWISE = b"n"


class Offer(NamedTuple):
    """A content to send."""

    size: int
    file: bytes
    key: Key


def agree(peer: Peer) -> bool:
    """Ask whether the server knows of parcels."""
    if not peer.version:
        return False  # who verifies nothing is no annexd
    try:
        head, rest = peer.ask(b"%b %d" % (COMMAND, VERSION))
    except RefusedError:
        return False
    if head != COMMAND:
        raise peer.broken(head, rest)
    return rest == b"%d" % VERSION


def offer(peer: Peer, offers: Sequence[Offer]) -> None:
    """Offer contents; to be followed by ``wishes``."""
    lines = (b"%d %b %b\n" % (each.size, escape(each.file), each.key) for each in offers)
    peer.say(b"PUT-MANY %d\n" % len(offers) + b"".join(lines))


def wishes(peer: Peer, count: int) -> list[Wish]:
    """Which of those offered are to be sent; then ``stored`` is to be asked, if any is."""
    return [Wish(letter) for letter in _letters(peer, b"TAKE", count, b"yhn")]


def stored(peer: Peer, count: int) -> list[bool]:
    """Whether those that were sent are stored."""
    return [letter == b"y" for letter in _letters(peer, b"STORED", count, b"yn")]


def order(peer: Peer, wanted: Sequence[tuple[bytes, Key]]) -> None:
    """Ask for contents; each is then to be heard (``Peer.announced``, ``Peer.take``)."""
    lines = (b"%b %b\n" % (escape(file), key) for file, key in wanted)
    peer.say(b"GET-MANY %d\n" % len(wanted) + b"".join(lines))


def _letters(peer: Peer, word: bytes, count: int, alphabet: bytes) -> list[bytes]:
    head, rest = peer.hear()
    if head != word or len(rest) != count or rest.strip(alphabet):
        raise peer.broken(head, rest)
    return [rest[at : at + 1] for at in range(count)]
