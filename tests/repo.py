"""Repositories, as the tests speak of them: real git, real git-annex."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from tests.processes import run
from workers.git.run import Git


@dataclass(frozen=True, slots=True)
class Repo:
    """An initialised git-annex repository with a work tree at ``path``."""

    path: Path

    @classmethod
    def create(cls, path: Path, description: str | None = None) -> "Repo":
        """``git init`` and ``git annex init``; on branch main, with no commit."""
        run(["git", "init", "-q", "-b", "main", path])
        repo = cls(path)
        repo.annex("init", "-q", description or path.name)
        return repo

    @classmethod
    def plain(cls, path: Path, object_format: str = "sha1") -> "Repo":
        """``git init`` only: a repository that git-annex has never seen."""
        run(["git", "init", "-q", "-b", "main", f"--object-format={object_format}", path])
        return cls(path)

    def clone(self, path: Path, description: str | None = None) -> "Repo":
        """Clone over the local path; the origin remote is named ``origin``."""
        run(["git", "clone", "-q", self.path, path])
        repo = type(self)(path)
        repo.annex("init", "-q", description or path.name)
        return repo

    def git(self, *args: str | bytes | Path, stdin: bytes = b"") -> bytes:
        """Run git here; returns its stdout."""
        return run(["git", *args], cwd=self.path, stdin=stdin)

    def annex(self, *args: str | bytes | Path, stdin: bytes = b"") -> bytes:
        """Run git-annex here; returns its stdout."""
        return run(["git-annex", *args], cwd=self.path, stdin=stdin)

    @property
    def plumbing(self) -> Git:
        """The repository as ``workers.git`` addresses it."""
        return Git(self.path / ".git", self.path)

    def config(self, name: str, value: str) -> None:
        """Set one git setting of this repository."""
        self.git("config", name, value)

    def write(self, name: str | bytes, content: bytes) -> Path:
        """Write a work-tree file (parents are made) and close it."""
        path = self.path / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def read(self, name: str | bytes) -> bytes:
        """The bytes of a work-tree file, links followed."""
        return (self.path / os.fsdecode(name)).read_bytes()

    def exists(self, name: str | bytes) -> bool:
        """Whether there is such a name in the work tree, dangling links included."""
        return os.path.lexists(self.path / os.fsdecode(name))

    def add(self, name: str | bytes, content: bytes) -> bytes:
        """``git annex add`` and commit one file; returns its key."""
        self.write(name, content)
        self.annex("add", "-q", "--", os.fsdecode(name))
        self.git("commit", "-q", "-m", f"add {os.fsdecode(name)!r}")
        return self.key(name)

    def key(self, name: str | bytes) -> bytes:
        """The key of an annexed file; fails if it is not annexed."""
        return self.annex("lookupkey", "--", os.fsdecode(name)).strip()

    def files(self) -> set[tuple[bytes, bytes]]:
        """The annexed files: key and path."""
        listed = self.annex("find", "--anything", "--format=${key}\\000${file}\\000")
        words = listed.split(b"\0")
        return set(zip(words[::2], words[1::2], strict=False))

    def here(self) -> set[bytes]:
        """The annexed files whose content is here."""
        return set(self.annex("find", "--print0").split(b"\0")) - {b""}

    def uuid(self) -> str:
        """This repository's uuid."""
        return self.git("config", "annex.uuid").decode().strip()

    def whereis(self, key: bytes) -> set[bytes]:
        """The uuids that git-annex thinks have the key."""
        # Status 1 says that the key is nowhere.
        asked = ["sh", "-c", "git-annex whereis --json --batch-keys || test $? = 1"]
        said = run(asked, cwd=self.path, stdin=key + b"\n")
        return {place["uuid"].encode() for place in json.loads(said)["whereis"]}

    def annex_tip(self) -> str:
        """The commit that the git-annex branch is at."""
        return self.git("rev-parse", "refs/heads/git-annex").decode().strip()

    def head(self) -> str:
        """The commit that HEAD names."""
        return self.git("rev-parse", "HEAD").decode().strip()

    def tree(self) -> dict[bytes, tuple[bytes, bytes]]:
        """HEAD's tree: path -> (mode, blob)."""
        out = self.git("ls-tree", "-r", "-z", "--full-tree", "HEAD")
        entries = (line.split(b"\t", 1) for line in out.split(b"\0") if line)
        return {path: (meta.split()[0], meta.split()[2]) for meta, path in entries}

    def status(self) -> bytes:
        """``git status --porcelain``: empty when the work tree, index and HEAD agree."""
        return self.git("status", "--porcelain")

    def check(self) -> None:
        """``git fsck`` and ``git annex fsck`` find nothing wrong."""
        self.git("fsck", "--full", "--strict", "--no-dangling")
        self.annex("fsck", "-q")
