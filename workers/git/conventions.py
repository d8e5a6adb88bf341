"""How a repository is to be written into, as its settings say."""

from dataclasses import dataclass
from typing import Final, Self, final

from workers.git.index_entry import StatSettings
from workers.git.objectid import ObjectFormat
from workers.git.permissions import Sharing
from workers.git.settings import Settings

_MINIMAL: Final = b"minimal"


@final
@dataclass(frozen=True, slots=True)
class Conventions:
    """Object names, stat data and permissions."""

    object_format: ObjectFormat
    stat: StatSettings
    sharing: Sharing

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """From the settings; ``ValueError`` for nonsense, and for formats not known here."""
        said = settings.get("extensions.objectformat")
        try:
            object_format = ObjectFormat.of(None if said is None else said.decode())
        except ValueError:
            raise ValueError(f"extensions.objectFormat {said!r} is not known here") from None
        if settings.get("extensions.compatobjectformat") is not None:
            # Each object would have to be entered in a table of both names.
            raise ValueError("extensions.compatObjectFormat is set, and not known here")
        stat = StatSettings(
            trust_ctime=settings.flag("core.trustctime") is not False,
            check_minimal=(settings.get("core.checkstat") or b"").lower() == _MINIMAL,
            file_mode=settings.flag("core.filemode") is not False,
            symlinks=settings.flag("core.symlinks") is not False,
            sparse=settings.flag("core.sparsecheckout") is True,
        )
        sharing = Sharing.parse(settings.get("core.sharedrepository"))
        return cls(object_format, stat, sharing)
