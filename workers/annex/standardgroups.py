"""What ``standard`` stands for: the preferred content of git-annex's standard groups.

Facts about git-annex, each held against the real one by the tests.  Behind the words:

* ``client`` wants all files, but lets go of what is in an ``archive`` directory and has reached
  an archive.  ``manual`` is a client that gets nothing by itself.
* ``transfer`` keeps things until all clients have them.  ``source`` keeps them until anybody has.
* ``archive``, ``smallarchive`` and ``incrementalbackup`` want one copy among themselves.
* All but four also want what would otherwise be kept by untrusted repositories only.

Source: git-annex.branchable.com, "preferred content: standard groups".
"""

from typing import Final

_LACKING: Final = "approxlackingcopies=1"
_ARCHIVED: Final = "(copies=archive:1 or copies=smallarchive:1)"

_CLIENT: Final = (
    f"(include=* and (exclude=*/archive/* and exclude=archive/* or not {_ARCHIVED})) or {_LACKING}"
)

EXPRESSIONS: Final = {
    "client": _CLIENT,
    "transfer": f"not (inallgroup=client and copies=client:2) and ({_CLIENT})",
    "backup": "anything",
    "incrementalbackup": f"not copies=backup:1 and not copies=incrementalbackup:1 or {_LACKING}",
    "smallarchive": (
        f"((include=*/archive/* or include=archive/*) and not {_ARCHIVED}) or {_LACKING}"
    ),
    "archive": f"not {_ARCHIVED} or {_LACKING}",
    "source": "not copies=1",
    "manual": f"present and ({_CLIENT})",
    "public": "inpreferreddir",
    "unwanted": "nothing",
}
"""Group -> expression."""
