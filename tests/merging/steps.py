"""What both sides of a merge do, and how they have to be afterwards."""

import shutil

from tests.repo import Repo
from workers.watcher.merging import Merging
from workers.watcher.outcome import Merged


def push(a: Repo) -> None:
    a.git("push", "-q", "b", "main:synced/main", "+git-annex:synced/git-annex")


def save(repo: Repo, name: str, content: bytes) -> None:
    """Commit an unlocked annexed file."""
    repo.write(name, content)
    repo.annex("add", "-q", "-c", "annex.addunlocked=true", "--", name)
    repo.git("commit", "-q", "-m", f"save {name}")


def note(repo: Repo, name: str, content: bytes) -> None:
    """Commit a text."""
    repo.write(name, content)
    repo.git("-c", "annex.largefiles=nothing", "add", "--", name)
    repo.git("commit", "-q", "-m", f"note {name}")


def merged(merging: Merging) -> Merged:
    outcome = merging.merge()
    assert isinstance(outcome, Merged), outcome
    return outcome


def follows(a: Repo, b: Repo) -> None:
    """Both have the same tree; b's index, work tree and HEAD agree without git having to look."""
    assert b.tree() == a.tree()
    assert b.git("diff-files", "--name-only") == b""
    assert b.status() == b""


def arrive(a: Repo, b: Repo, name: str) -> bytes:
    """Put an object where it belongs, by hand; returns its key."""
    key = a.key(name)
    path = b.annex("examinekey", "--format=${objectpath}", key).decode()
    (b.path / path).parent.mkdir(parents=True)
    source = a.path / a.annex("contentlocation", key).decode().strip()
    shutil.copy(source, b.path / path)
    (b.path / path).chmod(0o444)
    return key
