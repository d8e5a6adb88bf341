"""What is committed without being asked for: ``annex.autocommit``, and ``annexd.commit``."""

from enum import Enum
from typing import final

from workers.annex.settings import Settings


@final
class Commits(Enum):
    """How much; the value says of a file why it is not committed."""

    AUTO = ""
    """Whatever changes in the work tree."""
    STAGED = "annexd.commit is staged, and it is not"
    """What a user stages."""
    OFF = "annex.autocommit is false, or annexd.commit is off"

    @classmethod
    def of(cls, settings: Settings) -> "Commits":
        """As set; what is not understood is taken for the least."""
        if not settings.flag("annex.autocommit", default=True):
            return cls.OFF
        known = {"auto": cls.AUTO, "true": cls.AUTO, "staged": cls.STAGED}
        return known.get(settings.get("annexd.commit") or "auto", cls.OFF)
