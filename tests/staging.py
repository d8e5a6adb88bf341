"""The index, as the tests speak of it."""

import os
import time

from tests.repo import Repo
from workers.git.commit import Commits
from workers.git.conventions import Conventions
from workers.git.index import Index, read_index
from workers.git.index_entry import StatData, StatSettings
from workers.git.index_install import Prepared, Refusal, prepare
from workers.git.index_racy import Changes, Staged
from workers.git.objectid import ObjectFormat, blob_id
from workers.git.permissions import Sharing
from workers.git.refname import RefName
from workers.git.settings import Settings
from workers.git.stream import ObjectId
from workers.git.syscalls import sync_file_system


def commits_of(repo: Repo, private: RefName) -> Commits:
    """A maker of commits, which syncs for real."""
    where = os.fsencode(repo.path / ".git")
    conventions = Conventions.of(Settings.read(repo.plumbing))
    return Commits(repo.plumbing, conventions, private, lambda: sync_file_system(where))


class Staging:
    """A repository's index, and the files that go into it."""

    def __init__(self, repo: Repo, object_format: ObjectFormat) -> None:
        self.repo = repo
        self.object_format = object_format
        self.path = os.fsencode(repo.path / ".git/index")

    def read(self) -> Index:
        return read_index(self.path, self.object_format)

    def lstat(self, path: bytes) -> os.stat_result | None:
        try:
            return os.lstat(os.path.join(os.fsencode(self.repo.path), path))
        except OSError:
            return None

    def try_prepare(self, index: Index, changes: Changes) -> Prepared | Refusal:
        settings = StatSettings()
        return prepare(index, changes, lstat=self.lstat, settings=settings, sharing=Sharing())

    def prepare(self, index: Index, changes: Changes) -> Prepared:
        prepared = self.try_prepare(index, changes)
        assert isinstance(prepared, Prepared), prepared
        return prepared

    def splice(self, changes: Changes) -> Index:
        installed = self.prepare(self.read(), changes).install()
        assert isinstance(installed, Index), installed
        return installed

    def blob(self, data: bytes) -> ObjectId:
        made = self.repo.git("hash-object", "-w", "--stdin", stdin=data).decode().strip()
        assert made == blob_id(self.object_format, data)
        return ObjectId(made)

    def staged(self, name: bytes, content: bytes) -> Staged:
        """A file that was just written, as its owner stages it."""
        path = os.path.join(os.fsencode(self.repo.path), name)
        oid = self.blob(content)
        st_now = os.lstat(path)
        return Staged(0o100644, oid, StatData.of(st_now), time.time_ns())

    def listed(self) -> bytes:
        return self.repo.git("ls-files", "--stage", "-z")
