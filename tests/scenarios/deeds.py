"""What a person does to the files of one repository, told to the oracle as it is done.

Whatever stands in the way is looked at first, as a person would; that a daemon changes it at that
very moment is what this is all about.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

from tests.processes import run_to_end
from tests.repo import Repo
from tests.scenarios.model import Act, Step
from tests.scenarios.oracle import Oracle
from tests.views import Entry, Kind, digest, key_of_pointer, look


@final
@dataclass(frozen=True, slots=True)
class Person:
    """Somebody at work in one repository."""

    number: int
    repo: Repo
    oracle: Oracle

    def do(self, step: Step) -> bool:
        """Take one step; False if there was nothing to take it with."""
        deeds: dict[Act, Callable[[Step, Path], bool]] = {
            Act.SAVE: self._save,
            Act.REWRITE: self._rewrite,
            Act.APPEND: self._append,
            Act.RENAME: self._rename,
            Act.MOVE: self._move,
            Act.DELETE: self._delete,
            Act.SPLIT: self._split,
            Act.CHMOD: self._chmod,
            Act.LINK: self._link,
            Act.LOCK: self._git_annex,
            Act.UNLOCK: self._git_annex,
        }
        return deeds[step.act](step, self.repo.path / step.name)

    def _save(self, step: Step, path: Path) -> bool:
        if not _room(path):
            return False
        self.repo.replace(step.name, step.content)
        self._wrote(path, Entry(Kind.FILE, digest(step.content)))
        return True

    def _rewrite(self, step: Step, path: Path) -> bool:
        if path.is_symlink():  # root would write through it, into the object
            return self._save(step, path)
        if not _room(path):
            return False
        with path.open("wb") as file:
            file.write(step.content)
            executable = bool(os.fstat(file.fileno()).st_mode & 0o100)
        self._wrote(path, Entry(Kind.FILE, digest(step.content), executable))
        return True

    def _append(self, step: Step, path: Path) -> bool:
        if path.is_symlink() or not path.is_file():
            return False
        try:
            with path.open("r+b") as file:
                before = file.read()
                if key_of_pointer(before) is not None:
                    return False
                file.write(step.content)
                executable = bool(os.fstat(file.fileno()).st_mode & 0o100)
        except FileNotFoundError:
            return False
        self._wrote(path, Entry(Kind.FILE, digest(before + step.content), executable))
        return True

    def _rename(self, step: Step, path: Path) -> bool:
        target = self.repo.path / step.other
        entry = look(os.fsencode(path))
        if entry is None or path == target or path.is_dir() or not _room(target):
            return False
        try:
            path.rename(target)
        except FileNotFoundError:
            return False
        self._moved(path, target, entry)
        return True

    def _move(self, step: Step, path: Path) -> bool:
        """Rename a directory that is there, to a name that is not."""
        tops = sorted(each for each in self.repo.path.iterdir() if each.is_dir())
        sources = [top for top in tops if top.name != ".git" and not top.is_symlink()]
        target = path.parent if path.parent != self.repo.path else self.repo.path / "moved"
        if not sources or os.path.lexists(target):
            return False
        source = sources[int(step.chance * len(sources))]
        inside = [(Path(parent) / name) for parent, _, names in os.walk(source) for name in names]
        entries = {file: look(os.fsencode(file)) for file in inside}
        if target.is_relative_to(source) or not target.parent.is_dir():
            return False
        source.rename(target)
        for file, entry in entries.items():
            if entry is not None:
                self._moved(file, target / file.relative_to(source), entry)
        return True

    def _delete(self, step: Step, path: Path) -> bool:
        assert step.act is Act.DELETE
        return self._unlink(path)

    def _split(self, step: Step, path: Path) -> bool:
        if path.is_symlink() or not path.is_file() or not self._unlink(path):
            return False
        path.mkdir(exist_ok=True)
        inside = path / "inside"
        inside.write_bytes(step.content)
        self._wrote(inside, Entry(Kind.FILE, digest(step.content)))
        return True

    def _chmod(self, step: Step, path: Path) -> bool:
        assert step.act is Act.CHMOD
        entry = look(os.fsencode(path))
        if entry is None or path.is_symlink():
            return False
        try:
            path.chmod(0o644 if entry.executable else 0o755)
        except FileNotFoundError:
            return False
        self._wrote(path, replace(entry, executable=not entry.executable))
        return True

    def _link(self, step: Step, path: Path) -> bool:
        if not _room(path):
            return False
        path.unlink(missing_ok=True)
        path.symlink_to(step.other)
        self._wrote(path, Entry(Kind.LINK, digest(os.fsencode(step.other))))
        return True

    def _git_annex(self, step: Step, path: Path) -> bool:
        """``git annex lock`` and ``unlock``, which refuse what is not theirs or not committed."""
        before = path.is_symlink()
        done = run_to_end(["git-annex", step.act.value, "-q", "--", step.name], self.repo.path)
        entry = look(os.fsencode(path))
        if done.status != 0 or entry is None or path.is_symlink() == before:
            return False
        self._wrote(path, entry)
        return True

    def _unlink(self, path: Path) -> bool:
        if path.is_dir() and not path.is_symlink():
            return False
        try:
            path.unlink()
        except (FileNotFoundError, NotADirectoryError):
            return False
        self.oracle.took_away(self.number, self._name(path))
        return True

    def _moved(self, old: Path, new: Path, entry: Entry) -> None:
        self.oracle.took_away(self.number, self._name(old))
        self._wrote(new, entry)
        self.oracle.renamed_to.add(self._name(new))

    def _wrote(self, path: Path, entry: Entry) -> None:
        self.oracle.wrote(self.number, self._name(path), replace(entry, here=True))

    def _name(self, path: Path) -> bytes:
        return os.fsencode(path.relative_to(self.repo.path))


def _room(path: Path) -> bool:
    """Whether a file can be put there; makes its parents."""
    if path.is_dir() and not path.is_symlink():
        return False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        return False
    return True
