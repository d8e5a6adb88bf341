"""One connection that speaks git-annex's P2P protocol, the server's side.

The server speaks first.  Versions 0 to 4; an answer is what git-annex-shell would say, error texts
included, since clients show them.  A line that is none of the protocol is answered by an error and
the connection goes on; where a content may follow that we would take for lines, it ends.

Source: git-annex-formats.md §8.3; git-annex-shell 10.20230126 and 10.20261026 are the oracle.
"""

import contextlib
import os
import time
from collections.abc import Callable
from typing import Final, final

from spool import key as keys
from spool.key import Key
from spool.lock import LockBusyError
from spool.transfer import UUID, Direction, Lane
from workers.annex.branch import Branch
from workers.annex.contentlock import keep, promise
from workers.annex.objects import Objects
from workers.annex.p2p import VERSION, unescape
from workers.annex.parcels import COMMAND
from workers.annex.repository import Repository
from workers.shell.books import Books
from workers.shell.changes import Changes
from workers.shell.parcels import Parcels
from workers.shell.receiving import Receiving
from workers.shell.relay import relay
from workers.shell.request import Allowance, RequestError
from workers.shell.sending import Sending
from workers.shell.stock import Stock
from workers.shell.wire import GoneError, HangUpError, Wire
from workers.throttle import Side, Throttle, sleep

PAUSE_S: Final = 0.3
"""A client that says nothing for so long leaves us time for the log."""

PROMISED_S: Final = 600.0
"""So long a content is kept for a client that was cut off while it relied on it."""

READ_ONLY: Final = b"this repository is read-only; write access denied"
APPEND_ONLY: Final = b"this repository is append-only; removal denied"
LIMITED: Final = b"Action blocked by GIT_ANNEX_SHELL_LIMITED"
_UNKNOWN: Final = b"unknown command"
_MISPLACED: Final = frozenset(
    (b"AUTH", b"UNLOCKCONTENT", b"DATA", b"DATA-PRESENT", b"VALID", b"INVALID")
) | {b"SUCCESS", b"FAILURE"}
_DIGITS_MAX: Final = 19


class _RefusedError(Exception):
    """The line cannot be done; the text, in bytes, is the answer."""


@final
class Session:
    """One client."""

    def __init__(
        self, wire: Wire, repository: Repository, client: UUID, allowance: Allowance
    ) -> None:
        up, down = (
            Throttle([Side(repository.layout, Lane(direction, client))], sleep)
            for direction in Direction
        )
        wire.keep_to(down, up)
        self._wire = wire
        self._repository = repository
        self._allowance = allowance
        self._objects = Objects(repository)
        self._branch = Branch(repository)
        self._books = Books(repository, self._branch)
        self._stock = Stock(repository, client)
        self._sending = Sending(wire, repository, self._objects, client)
        self._receiving = Receiving(wire, repository, self._objects, self._branch, client)
        self._parcels = Parcels(wire, repository, self._objects, self._branch, client)
        self._changes: Changes | None = None
        self._version = 0
        self._verbs: dict[bytes, Callable[[bytes], None]] = {
            b"VERSION": self._agree,
            b"CHECKPRESENT": self._check_present,
            b"LOCKCONTENT": self._lock_content,
            b"GETTIMESTAMP": self._tell_time,
            b"REMOVE": lambda rest: self._remove(rest, None),
            b"REMOVE-BEFORE": self._remove_before,
            b"PUT": self._put,
            b"GET": self._get,
            b"NOTIFYCHANGE": self._notify_change,
            COMMAND: lambda _rest: self._parcels.agree(),
            b"PUT-MANY": self._put_many,
            b"GET-MANY": lambda rest: self._parcels.give(_number(rest)),
            b"BYPASS": lambda _rest: None,
        } | dict.fromkeys(_MISPLACED, _misplaced)

    def serve(self) -> None:
        """Answer until the client hangs up.  Raises ``RequestError`` if we have to."""
        try:
            self._wire.send(b"AUTH-SUCCESS %b\n" % self._repository.uuid)
            while self._serve_one():
                pass
        except HangUpError as end:
            with contextlib.suppress(GoneError):
                self._wire.send(b"ERROR %b\n" % str(end).encode())
            raise RequestError(str(end)) from end
        except GoneError:
            return
        finally:
            self._close()

    def _close(self) -> None:
        self._sending.close()
        self._receiving.close()
        self._parcels.close()
        self._books.close()
        self._stock.close()
        self._branch.close()

    def _serve_one(self) -> bool:
        """Answer one line; False at the end."""
        pause_s: float | None = PAUSE_S
        while pause_s is not None and self._wire.quiet(pause_s):
            pause_s = self._books.rest()
        line = self._wire.line()
        if line is None:
            return False
        head, _, rest = line.partition(b" ")
        if head == b"ERROR":
            return False  # so the stock server: what the client could not do, we cannot mend
        if head == b"CONNECT":
            return self._connect(rest)
        try:
            self._verbs.get(head, _unknown)(rest)
        except _RefusedError as refused:
            self._wire.send(b"ERROR %b\n" % refused.args[0])
        except RequestError as failed:
            self._wire.send(b"ERROR %b\n" % " ".join(str(failed).split()).encode())
        return True

    def _agree(self, rest: bytes) -> None:
        self._version = min(VERSION, _number(rest))
        self._wire.send(b"VERSION %d\n" % self._version)

    def _check_present(self, rest: bytes) -> None:
        path = self._objects.locate(_key(rest))
        present = path is not None
        if path is not None and os.path.lexists(path + b".lck"):
            with keep(self._repository, path) as kept:
                if not kept:  # it is being dropped, or was just now
                    raise _RefusedError(b"unable to check: the content is locked")
        self._say(_word(present))

    def _lock_content(self, rest: bytes) -> None:
        path = self._objects.locate(_key(rest))
        if path is None:
            self._say(b"FAILURE")
            return
        try:
            with promise(self._repository, path, time.time() + PROMISED_S) as kept:
                self._say(_word(kept))
                if kept:
                    self._wait_for_unlock()
        except OSError as error:
            raise _RefusedError(
                b"cannot lock: %b" % os.strerror(error.errno or 0).encode()
            ) from error
        except LockBusyError as busy:
            raise _RefusedError(b"cannot lock: somebody else is just locking it") from busy

    def _wait_for_unlock(self) -> None:
        self._books.settle()
        said = self._wire.line()
        if said is None:
            raise GoneError  # the promise stands: the client may be relying on it yet
        if said != b"UNLOCKCONTENT":
            raise HangUpError("expected UNLOCKCONTENT")

    def _tell_time(self, _rest: bytes) -> None:
        self._wire.send(b"TIMESTAMP %d\n" % int(time.clock_gettime(time.CLOCK_MONOTONIC)))

    def _remove_before(self, rest: bytes) -> None:
        latest, _, name = rest.partition(b" ")
        self._remove(name, _number(latest))

    def _remove(self, rest: bytes, before: int | None) -> None:
        key = _key(rest)
        self._may_write()
        if self._allowance.append_only:
            raise _RefusedError(APPEND_ONLY)
        if before is not None and time.clock_gettime(time.CLOCK_MONOTONIC) >= before:
            self._say(b"FAILURE")
            return
        if self._objects.locate(key) is None:
            self._say(b"SUCCESS")
            return
        # What we say about the key has to be older than what git-annex is going to say.
        self._books.settle()
        self._say(_word(self._stock.remove(key, before)))

    def _put(self, rest: bytes) -> None:
        name, _, spelled = rest.partition(b" ")
        key = _key(spelled)
        if name[:1] == b"/":
            raise _RefusedError(_UNKNOWN)
        self._may_write()
        if self._objects.locate(key) is not None:
            self._wire.send(b"ALREADY-HAVE\n")
            return
        self._receiving.receive(key, unescape(name), self._version, self._books, self._stock)

    def _put_many(self, rest: bytes) -> None:
        books = None if self._allowance.read_only else self._books
        self._parcels.receive(_number(rest), books)

    def _get(self, rest: bytes) -> None:
        offset, _, rest = rest.partition(b" ")
        name, _, spelled = rest.partition(b" ")
        self._sending.send(_key(spelled), unescape(name), _number(offset), self._version)

    def _notify_change(self, _rest: bytes) -> None:
        self._books.settle()
        if self._changes is None:
            self._changes = Changes(self._repository)
        found = self._changes.wait(self._wire.source)
        if not found:
            raise GoneError
        self._wire.send(b"CHANGED %b\n" % b" ".join(found))

    def _connect(self, service: bytes) -> bool:
        """Run git for the client; the connection ends with it."""
        if service not in {b"git-upload-pack", b"git-receive-pack"}:
            self._wire.send(b"ERROR unknown command\n")
            return True
        if (why := self._why_no_git(service)) is not None:
            self._wire.send(b"ERROR %b\n" % why)
            return True
        self._books.settle()
        relay(self._wire, self._repository, service.removeprefix(b"git-").decode())
        return False

    def _why_no_git(self, service: bytes) -> bytes | None:
        """A push may do anything to refs, so it is no way to append only: so the stock server."""
        allowance = self._allowance
        if allowance.limited:
            return LIMITED
        if service == b"git-receive-pack" and (allowance.read_only or allowance.append_only):
            return READ_ONLY
        return None

    def _may_write(self) -> None:
        if self._allowance.read_only:
            raise _RefusedError(READ_ONLY)

    def _say(self, answer: bytes) -> None:
        self._wire.send(answer + b"\n")


def _unknown(_rest: bytes) -> None:
    raise _RefusedError(_UNKNOWN)


def _misplaced(_rest: bytes) -> None:
    raise _RefusedError(b"unexpected command")


def _word(yes: object) -> bytes:
    return b"SUCCESS" if yes else b"FAILURE"


def _key(spelled: bytes) -> Key:
    try:
        return keys.parse(spelled)
    except ValueError:
        raise _RefusedError(_UNKNOWN) from None


def _number(digits: bytes) -> int:
    if not digits.isdigit() or len(digits) > _DIGITS_MAX:
        raise _RefusedError(_UNKNOWN)
    return int(digits)
