"""Hooks of git's that ``git annex init`` has made, and nobody has changed.

They have git-annex merge what has been pushed, which costs two of its processes each time, and is
for nothing where annexd runs, and looks itself.

Source: githooks(5); the hooks as git-annex writes them.
"""

import re
from pathlib import Path
from typing import Final

from workers.annex.settings import Settings

HOOKS_MAX: Final = 4096
"""Bytes; git-annex's own are smaller."""

_STOCK: Final = re.compile(
    rb"#!(?:/usr)?/bin/(?:ba)?sh\n# automatically configured by git-annex\n[^\n]*\n+"
)

PUSH_HOOKS: Final = ("pre-push", "reference-transaction")
"""What a push runs where it comes from."""

RECEIVE_HOOKS: Final = (
    *("pre-receive", "update", "post-receive", "post-update", "proc-receive"),
    *("push-to-checkout", "reference-transaction"),
)
"""What it runs where it goes to."""


def has_nothing_to_say(settings: Settings, common: Path) -> bool:
    """Whether a push into that repository runs no hook but git-annex's own."""
    return (
        settings.get("core.hookspath") is None
        and not updates_instead(settings)
        and only_stock_hooks(common, RECEIVE_HOOKS)
    )


def updates_instead(settings: Settings) -> bool:
    """Whether a push into the checked-out branch changes the files too."""
    return settings.get("receive.denycurrentbranch", "").lower() == "updateinstead"


def only_stock_hooks(common: Path, names: tuple[str, ...]) -> bool:
    """Whether those of the hooks that are there are git-annex's own."""
    return all(_is_stock(common / "hooks" / name) for name in names)


def _is_stock(hook: Path) -> bool:
    try:
        with open(hook, "rb") as file:
            return _STOCK.fullmatch(file.read(HOOKS_MAX)) is not None
    except FileNotFoundError:
        return True
    except OSError:
        return False
