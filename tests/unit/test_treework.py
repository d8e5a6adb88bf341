"""Visits to special remotes that hold trees: the parts that need no remote."""

from workers.git.stream import ObjectId
from workers.pusher.treework import shape


def test_a_commit_s_tree_and_parents_are_read_whatever_its_author_is_called() -> None:
    """A CR in the name is no end of a line; and a signature's lines have words of their own."""
    text = (
        b"tree 11\nparent 22\nparent 33\nauthor a\rb <c> 1 +0000\ncommitter d <e> 1 +0000\n"
        b"gpgsig -----BEGIN\n \n tree 44\n -----END\n\nparent 55\n"
    )

    assert shape(text) == (b"11", [ObjectId("22"), ObjectId("33")])
    assert shape(b"") == (b"", [])
