"""Hooks of the user's that take long: git waits for them, and annexd for git.

A worker that waits says nothing meanwhile, so this is seen from outside, by /proc: in what runs
below the worker, a hook is whatever git has started by a path that ends in a hook's name.
"""

import os
from typing import Final, NamedTuple, final

from annexd.duration import format_duration
from workers.age import age_s
from workers.git.offspring import descendants

SLOW_S: Final = 2.0
"""So long a hook may run before it is worth a word."""

_NAMES: Final = frozenset(
    b"applypatch-msg pre-applypatch post-applypatch pre-commit prepare-commit-msg commit-msg"
    b" post-commit pre-merge-commit post-merge pre-rebase post-rewrite post-checkout pre-push"
    b" pre-receive update proc-receive post-receive post-update reference-transaction"
    b" push-to-checkout pre-auto-gc fsmonitor-watchman post-index-change"
    b" pre-commit-annex post-update-annex commitmessage-annex freezecontent-annex"
    b" thawcontent-annex secure-erase-annex http-headers-annex pre-init-annex annex-content".split()
)
_WORDS: Final = 3
"""A script's name follows its interpreter's, and perhaps one option."""


@final
class SlowHook(NamedTuple):
    """A hook that is waited for."""

    age_s: float
    name: str

    def __str__(self) -> str:
        return f"waits for the hook {self.name}, for {format_duration(self.age_s)}"


def slow_hook(worker: int | None) -> SlowHook | None:
    """The hook that has been running longest below a worker."""
    hooks = (
        SlowHook(age_s(pid), name.decode())
        for pid in (descendants(worker) if worker is not None else ())
        if (name := _hook(pid))
    )
    return max((hook for hook in hooks if hook.age_s >= SLOW_S), default=None)


def _hook(pid: int) -> bytes | None:
    words = _read(pid, "cmdline").split(b"\0")[:_WORDS]
    paths = (word for word in words if b"/" in word)
    return next((name for each in paths if (name := os.path.basename(each)) in _NAMES), None)


def _read(pid: int, name: str) -> bytes:
    try:
        with open(f"/proc/{pid}/{name}", "rb") as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError, PermissionError):  # it has ended, or is not ours
        return b""
