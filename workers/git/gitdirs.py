"""git's directories: found from a path as git finds them, and the one that work trees share.

Source: git's path.c (enter_repo) and setup.c (is_git_directory); gitrepository-layout(5).
"""

import os
from pathlib import Path
from typing import Final

_SUFFIXES: Final = ("/.git", "", ".git/.git", ".git")
"""What git adds to a path to find the repository, in its order (path.c, enter_repo)."""

_GITFILE: Final = b"gitdir: "
_GITFILE_MAX: Final = 4096 + len(_GITFILE)


def find(path: Path) -> Path | None:
    """The git dir that git would find from a path; None if there is none."""
    for suffix in _SUFFIXES:
        candidate = os.fspath(path) + suffix
        gitdir = _pointed_to(candidate) if os.path.isfile(candidate) else candidate
        if gitdir is not None and _is_gitdir(gitdir):
            return Path(gitdir)
    return None


def common_dir(gitdir: Path) -> Path:
    """Where refs and objects are: ``gitdir`` itself unless it belongs to a linked work tree."""
    try:
        text = (gitdir / "commondir").read_bytes()
    except FileNotFoundError:
        return gitdir
    return Path(os.path.normpath(gitdir / os.fsdecode(text.rstrip(b"\n"))))


def _is_gitdir(path: str) -> bool:
    """What git takes for one (setup.c, is_git_directory), linked work trees included."""
    if not os.path.lexists(path + "/HEAD"):
        return False
    if os.path.exists(path + "/commondir"):
        return True
    return os.path.isdir(path + "/objects") and os.path.isdir(path + "/refs")


def _pointed_to(gitfile: str) -> str | None:
    """Where a ``.git`` file leads (submodules, linked work trees); None if nowhere."""
    try:
        with open(gitfile, "rb") as file:
            content = file.read(_GITFILE_MAX)
    except OSError:
        return None
    if not content.startswith(_GITFILE):
        return None
    target = os.fsdecode(content.removeprefix(_GITFILE).rstrip(b"\r\n"))
    return os.path.join(os.path.dirname(gitfile), target)
