"""git-annex's own index, ``annex/index``: a copy of the git-annex branch, from which it commits.

git does not sync it, so a power cut may leave it empty or cut short; then most of git-annex's
commands fail, until somebody removes it.  It holds nothing that the branch and the journal do not:
git-annex makes it again (tried).  annexd itself does without it.

Source: git-annex-formats.md §4.4; gitformat-index(5).
"""

import contextlib
import logging
import os
from typing import Final

from workers.annex.branch import Branch

log = logging.getLogger(__name__)

MAGIC: Final = b"DIRC"
CHUNK: Final = 1 << 20


def remove_torn(branch: Branch) -> None:
    """Remove it if it is no index.  Raises ``OSError``."""
    path = branch.repository.layout.branch_index
    if not _is_torn(branch, path):
        return
    with branch.locked():  # whoever writes it holds that
        if _is_torn(branch, path):
            log.warning("remove annex/index: it is damaged, and git-annex makes it again")
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)


def _is_torn(branch: Branch, path: bytes) -> bool:
    hasher = branch.repository.object_format.hasher()
    size = hasher.digest_size
    try:
        with open(path, "rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                return True
            left = os.fstat(file.fileno()).st_size - size
            if left < len(MAGIC):
                return True
            file.seek(0)
            while left:
                chunk = file.read(min(left, CHUNK))
                if not chunk:
                    return True
                hasher.update(chunk)
                left -= len(chunk)
            sum_ = file.read(size)
    except FileNotFoundError:
        return False
    # All zero: index.skipHash.
    return any(sum_) and sum_ != hasher.digest()
