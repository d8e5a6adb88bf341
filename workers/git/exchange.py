"""Exchange refs with a remote: ``git push``, ``git fetch``, ``git ls-remote``.

Nobody sits at a terminal: no password is asked for, by git or by ssh.  Nothing else that git could
do by the way is done: no garbage collection, no submodules, no FETCH_HEAD.

DIAGNOSTICS: ``GitError``, ``GitTimeoutError``.  What a push says of each ref is a value.
Source: git-push(1), "OUTPUT" (``--porcelain``); git-ls-remote(1).
"""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, final

from workers.git.gitdirs import common_dir
from workers.git.patient import run_patiently
from workers.git.pruning import guarded
from workers.git.refname import RefName, parse_ref_name
from workers.git.run import DURABLE, Git, GitError
from workers.git.stream import ObjectId

QUIET: Final = ("gc.auto=0", "maintenance.auto=false", "advice.pushUpdateRejected=false")

RECEIVE: Final = f"git {' '.join(f'-c {setting}' for setting in DURABLE)} receive-pack"
"""What to run where a push goes to a path: by default git syncs neither a few objects nor refs."""

NO_HOOKS: Final = RECEIVE.replace("git ", "git -c core.hooksPath=/dev/null ", 1)
"""What to run in a repository whose hooks are known to have nothing to say."""

NO_HOOKS_NO_GC: Final = NO_HOOKS.replace("git ", "git -c receive.autogc=false ", 1)
"""The same, where somebody else sees to garbage."""

NO_DELTAS: Final = ("pack.window=0",)
"""For a path: there, to look for deltas costs more than it saves."""

UPLOAD: Final = f"git -c {NO_DELTAS[0]} upload-pack"
"""What to run where a fetch is from a path."""

MOVED: Final = (
    *(b"non-fast-forward", b"fetch first", b"stale info", b"needs force"),
    # At this very moment: by its lock, or between git's look and its change.
    *(b"failed to update ref", b"cannot lock ref", b"incorrect old value"),
)
"""Why a ref was refused: somebody else has pushed there."""


_EMPTY: Final = b"git-remote-annex: No git repository found in this remote"
"""Said of a special remote to which nothing has been pushed yet."""

FETCHES: Final = 3
_LOCAL_RACE: Final = b"unable to update local ref"


class Update(NamedTuple):
    """One ref of a push."""

    source: ObjectId | None
    """None: delete it."""
    target: RefName
    expected: ObjectId | None = None
    """If given, the ref may be overwritten, provided that it still has this."""


class Said(NamedTuple):
    """What became of one ref."""

    target: bytes
    accepted: bool
    reason: bytes

    @property
    def moved(self) -> bool:
        """Refused, because somebody else has pushed there."""
        return not self.accepted and any(sign in self.reason for sign in MOVED)


@final
@dataclass(frozen=True, slots=True)
class Way:
    """How to reach a remote."""

    name: str
    env: Mapping[str, str] = field(default_factory=dict)
    """For git: how it calls ssh."""
    verify: bool = True
    """Whether our own pre-push hook is to be asked."""
    receive_pack: str | None = None
    upload_pack: str | None = None
    settings: tuple[str, ...] = ()
    """For our own side."""
    names: Mapping[ObjectId, RefName] = field(default_factory=dict)
    """Refs of ours to push instead of commits, where a remote helper wants them."""


def push(git: Git, way: Way, updates: Sequence[Update]) -> list[Said]:
    """Push; one answer for each ref, in the order in which git gives them.

    Raises ``GitError`` if the remote could not be spoken to, or did not say.
    """
    options = ["--porcelain", "--progress", "--no-recurse-submodules", "--no-follow-tags"]
    options += [] if way.verify else ["--no-verify"]
    options += [] if way.receive_pack is None else [f"--receive-pack={way.receive_pack}"]
    options += [
        f"--force-with-lease={update.target.decode(errors='surrogateescape')}:{update.expected}"
        for update in updates
        if update.expected is not None
    ]
    refs = [b"%b:%b" % (_source(way, update), update.target) for update in updates]
    try:
        out = _run(git, way, "push", *options, "--", way.name, *refs)
    except GitError as failure:
        answers = _parse(failure.stdout)
        if not answers:
            raise
        return answers
    return _parse(out)


def _source(way: Way, update: Update) -> bytes:
    if update.source is None:
        return b""
    return way.names.get(update.source) or update.source.encode()


def fetch(git: Git, way: Way, *refspecs: bytes) -> None:
    """Fetch what the remote's configuration says, or some refs.

    Again, if somebody else fetches too and a ref of ours was not at what it was a moment ago.
    """
    options = ["--progress", "--no-auto-maintenance", "--no-write-fetch-head"]
    options += ["--no-recurse-submodules"]
    options += [] if way.upload_pack is None else [f"--upload-pack={way.upload_pack}"]
    for left in reversed(range(FETCHES)):
        try:
            guard = guarded(common_dir(git.gitdir), "fetch.unpackLimit")
            here = Git(git.gitdir, git.worktree, (*git.settings, *guard))
            _run(here, way, "fetch", *options, "--", way.name, *refspecs)
        except GitError as failure:
            if not left or _LOCAL_RACE not in failure.stderr:
                raise
        else:
            return


def list_refs(git: Git, way: Way, *patterns: bytes) -> dict[RefName, ObjectId]:
    """The refs of the remote that match; names that git would refuse are left out."""
    try:
        out = _run(git, way, "ls-remote", "--refs", "--", way.name, *patterns)
    except GitError as failure:
        if _EMPTY not in failure.stderr:
            raise
        out = b""
    found = {}
    for line in out.splitlines():
        oid, _, name = line.partition(b"\t")
        with contextlib.suppress(ValueError):
            found[parse_ref_name(name)] = ObjectId(oid.decode())
    return found


def _run(git: Git, way: Way, *args: str | bytes) -> bytes:
    quiet = Git(git.gitdir, git.worktree, (*git.settings, *QUIET, *DURABLE, *way.settings))
    return run_patiently(quiet, *args, env=dict(way.env))


def _parse(out: bytes) -> list[Said]:
    """Source: ``flag TAB from:to TAB summary (reason)``."""
    answers = []
    for line in out.splitlines():
        fields = line.split(b"\t")
        if len(fields) == 3 and len(fields[0]) == 1:  # noqa: PLR2004 -- as above
            target = fields[1].rpartition(b":")[2]
            answers.append(Said(target, fields[0] != b"!", fields[2]))
    return answers
