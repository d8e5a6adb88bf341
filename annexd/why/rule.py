"""Which setting decides what a repository wants.  Pure."""

from annexd.why.line import shown
from spool.transfer import UUID
from workers.annex import standardgroups
from workers.annex.preferred import Preferences, Trouble


def rule_of(preferences: Preferences, uuid: UUID) -> str:
    """The expressions that decide, with what they stand for."""
    rule = preferences.rule(uuid)
    if rule is None:
        return "no preferred content is set, so it wants everything"
    said = []
    preferred, required = preferences.preferred.get(uuid), preferences.required.get(uuid)
    if preferred:
        said.append(
            f"preferred content: {shown(preferred)}{_meaning(preferences, uuid, preferred)}"
        )
    if required:
        said.append(f"required content: {shown(required)}{_meaning(preferences, uuid, required)}")
    match rule.trouble:
        case Trouble.UNSTABLE:
            said.append(f"which matches nothing, as {rule.reason}")
        case Trouble.BROKEN:
            said.append(f"which git-annex cannot use: {shown(rule.reason.encode())}")
        case Trouble.EXOTIC | None:
            pass
    return "; ".join(said)


def _meaning(preferences: Preferences, uuid: UUID, text: bytes) -> str:
    words = text.replace(b"(", b" ").replace(b")", b" ").split()
    groups = sorted(preferences.groups.get(uuid, frozenset()))
    said = []
    if b"standard" in words:
        known = [name for name in groups if name.decode(errors="replace") in _STANDARD]
        said += [f"group {shown(name)}: {_STANDARD[name.decode()]}" for name in known]
        if len(known) != 1:
            said.append("in no standard group" if not known else "in several, so: present")
    if b"groupwanted" in words:
        wanted = preferences.group_preferred
        said += [f"group {shown(name)}: {shown(wanted[name])}" for name in groups if name in wanted]
    return f" ({'; '.join(said)})" if said else ""


_STANDARD = standardgroups.EXPRESSIONS
