"""Repositories, as the tests speak of them: real git, real git-annex."""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.processes import run, run_to_end, wait_until
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

    @classmethod
    def bare(cls, path: Path) -> "Repo":
        """A hub: a bare repository, initialised for git-annex, in which nobody works."""
        run(["git", "init", "-q", "--bare", "-b", "main", path])
        repo = cls(path)
        repo.annex("init", "-q", path.name)
        return repo

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

    def holds(self, name: str | bytes, content: bytes) -> bool:
        """Whether there is such a file now; it may be on its way, coming or going."""
        try:
            return self.read(name) == content
        except FileNotFoundError:
            return False

    def exists(self, name: str | bytes) -> bool:
        """Whether there is such a name in the work tree, dangling links included."""
        return os.path.lexists(self.path / os.fsdecode(name))

    def replace(self, name: str | bytes, content: bytes) -> None:
        """Save as careful editors do: write another file, then rename it over the old one."""
        path = self.path / os.fsdecode(name)
        draft = self.write(os.path.join(os.path.dirname(os.fsencode(name)), b".draft~"), content)
        draft.rename(path)

    def remove(self, name: str | bytes) -> None:
        """Delete a work-tree file."""
        (self.path / os.fsdecode(name)).unlink()

    def discard(self, name: str | bytes) -> None:
        """Delete a work-tree file, or a directory with all that is in it."""
        path = self.path / os.fsdecode(name)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()

    def rename(self, old: str | bytes, new: str | bytes) -> None:
        """Rename a work-tree file or directory; parents of the new name are made."""
        target = self.path / os.fsdecode(new)
        target.parent.mkdir(parents=True, exist_ok=True)
        (self.path / os.fsdecode(old)).rename(target)

    def remote(self, other: "Repo") -> None:
        """Make ``other`` a remote, named as its directory is."""
        self.git("remote", "add", other.path.name, other.path)

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

    def contains(self, commit: str) -> bool:
        """Whether some branch here leads to ``commit``."""
        return run_to_end(["git", "cat-file", "-e", commit], cwd=self.path).status == 0 and bool(
            self.git("for-each-ref", "--contains", commit, "refs/heads")
        )

    def commits(self, ref: str = "HEAD") -> list[str]:
        """All commits that ``ref`` leads to, newest first."""
        return self.git("rev-list", ref, "--").decode().split()

    def deletions(self) -> set[bytes]:
        """Every name that some commit in HEAD's history deletes; renames count as deletions."""
        out = self.git(
            "log", "-z", "--format=", "--no-renames", "--diff-filter=D", "--name-only", "HEAD", "--"
        )
        return {name for name in out.split(b"\0") if name}

    def marked(self) -> list[bytes]:
        """Where conflict markers stand: in any blob of any branch's history, or in a file."""
        tips = self.git("for-each-ref", "--format=%(objectname)", "refs/heads", "refs/remotes")
        commits = self.git("rev-list", "--stdin", stdin=tips).decode().split()
        return [*self._grep(*commits), *self._grep("--no-recurse-submodules", "--untracked")]

    def _grep(self, *where: str) -> list[bytes]:
        argv = ["git", "grep", "-a", "-l", "-e", "^<<<<<<< ", *where]
        found = run_to_end(argv, cwd=self.path)
        assert found.status in {0, 1}, found.stderr
        return found.stdout.splitlines()

    def objects(self) -> set[bytes]:
        """The keys, as file names spell them, of which the content is here."""
        top = self.path / (
            ".git/annex/objects" if (self.path / ".git").exists() else "annex/objects"
        )
        return {
            os.fsencode(path.name) for path in top.glob("*/*/*/*") if path.name == path.parent.name
        }

    def in_progress(self) -> list[str]:
        """Which operations of git's, or locks, stand unfinished."""
        gitdir = self.path / ".git"
        names = ("MERGE_HEAD", "CHERRY_PICK_HEAD", "rebase-merge", "rebase-apply", "index.lock")
        return [name for name in names if (gitdir / name).exists()]

    def must_be_at_rest(self) -> None:
        """Fail unless the index is what HEAD is, and no merge and no lock is left behind."""
        wait_until(lambda: not self.in_progress() and not self.staged(), 10, self.in_progress)

    def staged(self) -> bytes:
        """How the index differs from HEAD; the work tree is not looked at, so nothing is hashed."""
        return self.git("diff-index", "--cached", "--name-status", "HEAD", "--")

    def status(self) -> bytes:
        """``git status --porcelain``: empty when the work tree, index and HEAD agree."""
        return self.git("status", "--porcelain")

    def check(self) -> None:
        """``git fsck`` and ``git annex fsck`` find nothing wrong.

        git lists the objects first and reads the refs then, so while a daemon works it may call
        missing what has just come: what really is missing is so the next time, too.
        """
        fsck = ("fsck", "--full", "--strict", "--no-dangling")
        for _attempt in range(3):
            if run_to_end(["git", *fsck], self.path).status == 0:
                break
        else:
            self.git(*fsck)
        self.annex("fsck", "-q")
