"""An invented world: files, locations and logs written straight into a repository's branches.

So the real git-annex can be asked about hundreds of files and repositories that need not exist.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from spool import key as keys
from spool.key import Key
from spool.transfer import UUID
from tests.repo import Repo

Files = Mapping[bytes, Key]
Locations = Mapping[Key, Iterable[UUID]]


def uuid(number: int) -> UUID:
    """An invented uuid; the same for the same number."""
    return UUID(b"00000000-0000-4000-8000-%012d" % number)


def key(number: int, size: int = 3) -> Key:
    """An invented key."""
    return Key(b"SHA256-s%d--%064d" % (size, number))


def log_path(a_key: Key) -> bytes:
    """Where the git-annex branch has the key's location log."""
    digest = hashlib.md5(a_key, usedforsecurity=False).hexdigest().encode()
    return digest[:3] + b"/" + digest[3:6] + b"/" + keys.to_file(a_key) + b".log"


def by_uuid(values: Mapping[UUID, bytes]) -> bytes:
    """A log that maps uuids to values."""
    return b"".join(b"%b %b timestamp=1s\n" % item for item in values.items())


def by_name(values: Mapping[bytes, bytes]) -> bytes:
    """A log that maps names to values."""
    return b"".join(b"1s %b %b\n" % item for item in values.items())


@dataclass(frozen=True, slots=True)
class World:
    """One repository, and what is pretended in it."""

    repo: Repo
    uuid_log: bytes

    @classmethod
    def create(cls, path: Path) -> "World":
        repo = Repo.create(path)
        return cls(repo, repo.git("cat-file", "-p", "git-annex:uuid.log"))

    def pretend(self, files: Files, locations: Locations, attributes: bytes = b"") -> None:
        """Put files (unlocked, without content) on main, and say where their contents are."""
        stream = [_commit(b"refs/heads/main"), b"deleteall\n"]
        for path, a_key in files.items():
            stream.append(_file(path, b"/annex/objects/" + keys.to_file(a_key) + b"\n"))
        stream.append(_file(b".gitattributes", attributes))
        self.repo.git("fast-import", "--quiet", "--force", stdin=b"".join(stream))
        self.repo.git("reset", "-q", "--hard", "main")
        self.pretend_logs(
            {
                log_path(a_key): b"".join(b"1s 1 %b\n" % where for where in uuids)
                for a_key, uuids in locations.items()
            }
        )

    def pretend_logs(self, logs: Mapping[bytes, bytes], known: Iterable[UUID] = ()) -> None:
        """Replace files of the git-annex branch; ``known`` are repositories it has heard of."""
        names = b"".join(b"%b r-%b timestamp=1s\n" % (each, each) for each in known)
        stream = [_commit(b"refs/heads/git-annex"), b"from refs/heads/git-annex^0\n"]
        stream += [_file(path, data) for path, data in logs.items()]
        if names:
            stream.append(_file(b"uuid.log", self.uuid_log + names))
        self.repo.git("fast-import", "--quiet", "--force", stdin=b"".join(stream))

    def pretend_wanted(self, wanted: Mapping[UUID, bytes], **logs: bytes) -> None:
        """Set what repositories want, and nothing else but ``logs`` (``required_content=...``)."""
        names = ("required-content", "group-preferred-content", "group", "trust", "remote")
        contents = {f"{name}.log".encode(): b"" for name in (*names, "numcopies")}
        contents |= {f"{name.replace('_', '-')}.log".encode(): log for name, log in logs.items()}
        self.pretend_logs(contents | {b"preferred-content.log": by_uuid(wanted)}, known=wanted)

    def wanted_pairs(self, pairs: Iterable[tuple[UUID, str]]) -> set[str]:
        """Of pairs of a repository and a file (of a plain name), the files it wants.

        All in one process.
        """
        options: list[str] = []
        for where, path in pairs:
            options += ["--or"] if options else []
            options += ["-(", f"--include={path}", "--and"]
            options += [f"--want-get-by={where.decode()}", "-)"]
        return {path.decode() for path in self.find(*options)}

    def find(self, *options: str) -> set[bytes]:
        """The files that ``git annex find`` lists with these options."""
        return set(self.repo.annex("find", "--print0", *options).split(b"\0")) - {b""}


def _commit(ref: bytes) -> bytes:
    return b"commit %b\ncommitter w <w@example.com> 1700000000 +0000\ndata 1\nw\n" % ref


def _file(path: bytes, data: bytes) -> bytes:
    quoted = b"".join(
        bytes((byte,)) if 32 < byte < 127 and byte not in b'"\\' else b"\\%03o" % byte
        for byte in path
    )
    return b'M 100644 inline "%b"\ndata %d\n%b\n' % (quoted, len(data), data)
