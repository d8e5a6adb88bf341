"""One thing that there is to say, for people and for programs."""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import final

from spool.record import escape


@final
@dataclass(frozen=True, slots=True)
class Line:
    """What is said about something."""

    about: str
    """``file``, ``content``, ``copies``, ``here``, or a remote's name."""

    text: str
    """A sentence or two, escaped."""

    facts: Mapping[str, object] = field(default_factory=dict)
    """The same for programs."""


def to_text(lines: Iterable[Line]) -> str:
    """Every line behind what it is about."""
    said = list(lines)
    width = max((len(line.about) for line in said), default=0) + 2
    return "\n".join(f"{line.about + ':':{width}}{line.text}" for line in said)


def to_json(lines: Iterable[Line]) -> str:
    """One object on one line."""
    return json.dumps(
        {"lines": [{"about": line.about, "text": line.text, **line.facts} for line in lines]}
    )


def shown(name: bytes) -> str:
    """A name that came from elsewhere, fit for a terminal."""
    return escape(os.fsdecode(name))
