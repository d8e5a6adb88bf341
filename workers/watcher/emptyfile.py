"""Annexed files that are empty.

In git's index a recorded size of 0 means that the file has to be read ("smudged"); so nothing that
is recorded of an empty file is believed, unless its blob is empty, too.  That of an annexed file is
a pointer.  Killed: nothing is kept here.
"""

import os

from spool.key import parts
from workers.annex.pointer import POINTER_MAX, parse_pointer
from workers.git.index_entry import Entry, same_type
from workers.watcher.desk import Desk


def is_content(desk: Desk, entry: Entry, st: os.stat_result) -> bool:
    """Whether a file is empty, and its entry points to what is.  Raises ``StreamEndedError``."""
    if st.st_size > 0 or not same_type(entry.mode, st, desk.conventions.stat):
        return False
    found = desk.reader.get_small(entry.oid.encode(), POINTER_MAX)
    key = None if found is None else parse_pointer(found.data)
    return key is not None and parts(key).size == 0
