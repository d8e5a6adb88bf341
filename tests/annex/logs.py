"""Location logs, as the tests speak of them."""

import os

from spool.key import Key, parse
from spool.transfer import UUID, parse_uuid
from tests.repo import Repo
from workers.annex import record
from workers.annex.branch import Branch
from workers.annex.location import locations, log_path

NOW = 1_800_000_000.0
OTHER = parse_uuid(b"11111111-1111-1111-1111-111111111111")
THIRD = parse_uuid(b"22222222-2222-2222-2222-222222222222")
FEW, MANY = 3, 40
assert FEW <= record.JOURNAL_MAX < MANY


def some_keys(count: int) -> list[Key]:
    """The first of many keys, the same every time."""
    return [parse(b"SHA256E-s%d--%064x.dat" % (number, number)) for number in range(count)]


def journal(repo: Repo) -> set[str]:
    """The names in the journal."""
    return set(os.listdir(repo.path / ".git" / "annex" / "journal"))


def logged(branch: Branch, key: Key) -> frozenset[UUID]:
    """Where we read that the key is."""
    return locations(branch.read(log_path(key, branch.repository.tuning)))


def push_line(repo: Repo, branch: Branch, key: Key, uuid: UUID) -> None:
    """Put a line into the branch as a ``git push`` does: with no lock, and past the journal."""
    path = log_path(key, branch.repository.tuning)
    tip = branch.at("refs/heads/git-annex")
    log = branch.committed(tip, [path]).get(path, b"") + b"1799999999s 1 %b\n" % uuid
    stream = b"commit refs/heads/git-annex\ncommitter p <p> 1 +0000\ndata 4\npush\n"
    stream += b"from %b\nM 100644 inline %b\ndata %d\n%b\n" % (
        *(tip.commit.encode(), path, len(log), log),
    )
    repo.git("fast-import", "--quiet", stdin=stream)
