"""Remotes: whether what can be reached is the repository that the configuration says.

That a remote cannot be reached is no fault: a drive is in a drawer, a laptop sleeps.  ``annexd
status`` tells.
"""

from collections.abc import Iterator
from contextlib import closing
from typing import Final

from annexd.deep.scene import Scene
from annexd.finding import Finding, quoted, wrong
from spool.transfer import UUID, parse_uuid
from workers.annex import p2p, ssh
from workers.annex.ownssh import OwnSsh
from workers.annex.pathremote import State
from workers.annex.pathremote import look as look_at
from workers.annex.remotes import Remote
from workers.annex.remoteurl import LocalPath, Ssh
from workers.annex.uuidlogs import descriptions
from workers.git.run import GitError, run
from workers.probes import Probes

PATIENCE_S: Final = 10.0
"""A path that takes longer to look at: a dead network file system, perhaps."""

SSH_S: Final = 30.0
_UUID: Final = b"annex.uuid="


def look(scene: Scene) -> Iterator[Finding]:
    """Each remote that is a path or is behind ssh; git-annex itself checks the others."""
    with scene.branch() as branch:
        known = frozenset(descriptions(branch.read(b"uuid.log")))
    with closing(Probes.of_command(PATIENCE_S)) as probes:
        for remote in scene.remotes:
            if isinstance(remote.way, LocalPath):
                yield from _path(remote, remote.way, known, probes)
            elif isinstance(remote.way, Ssh) and remote.uuid is not None and not remote.ignored:
                found = _behind_ssh(scene, remote, remote.way)
                if found not in {None, remote.uuid}:
                    yield _impostor(remote, found, known)


def _path(
    remote: Remote, way: LocalPath, known: frozenset[UUID], probes: Probes
) -> Iterator[Finding]:
    if not probes.answers(way.path):
        yield wrong(
            f"the remote {remote.name} does not answer: {way.path} takes more than "
            f"{PATIENCE_S:.0f} s to look at",
            f"umount -l the file system of {quoted(way.path)}, or bring back its server",
        )
        return
    found = look_at(remote)
    if found.state is State.IMPOSTOR and found.uuid not in known:
        yield _impostor(remote, found.uuid, known)
    elif found.state is State.REFUSED:
        yield wrong(f"git will not work with the remote {remote.name}: {found.reason}")
    elif found.state is State.UNINITIALISED and remote.uuid is not None:
        yield wrong(
            f"the remote {remote.name} was the repository {remote.uuid.decode()}, and is "
            "no annex any more",
            f"git annex reinit {remote.uuid.decode()} there, or: git remote remove "
            f"{quoted(remote.name)}",
        )


def _behind_ssh(scene: Scene, remote: Remote, way: Ssh) -> UUID | None:
    """The uuid that git-annex-shell says; None if nobody answers, or it is no annex."""
    # Not over the connection that annexd keeps: its master would outlive us, with our pipes.
    own = OwnSsh.of(scene.repository)
    wanted = ssh.wanted_options(remote.settings)
    called = own.argv() if own is not None else ("ssh", *wanted, *ssh.OPTIONS)
    port = () if way.port is None else ("-p", str(way.port))
    shell = (remote.settings.get("shell") or "git-annex-shell").encode()
    command = b"%b configlist %b" % (shell, p2p.quote(way.path))
    try:
        said = run(
            (*called, *port, way.destination, command), cwd=scene.repository.top, timeout_s=SSH_S
        )
    except (GitError, FileNotFoundError):
        return None
    for line in said.splitlines():
        if line.startswith(_UUID):
            try:
                return parse_uuid(line.removeprefix(_UUID))
            except ValueError:
                return None
    return None


def _impostor(remote: Remote, found: UUID | None, known: frozenset[UUID]) -> Finding:
    """Another repository; ``known`` are those of this annex."""
    kind = "another repository of this annex" if found in known else "a stranger"
    expected = (remote.uuid or b"").decode()
    return wrong(
        f"at the address of the remote {remote.name} is not {expected}, but {kind}, "
        f"{(found or b'').decode()}",
        f"bring back the right one, or: git config {quoted(f'remote.{remote.name}.annex-uuid')} "
        f"{(found or b'').decode()}",
    )
