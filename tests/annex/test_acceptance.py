"""What a content that comes is checked against, as git-annex would."""

from spool.key import parse
from tests.repo import Repo
from workers.annex.acceptance import Acceptance
from workers.annex.branch import Branch
from workers.annex.objects import Objects
from workers.annex.repository import find

MD5 = parse(b"MD5-s3--764efa883dda1e11db47671c4a3bbd9e")
SHA = parse(b"SHA256-s3--98ea6e4f216f2fb4b69fff9b3a44842c38686ca685f3f55dc48c5d3fb1107be4")


def accepts(repo: Repo) -> tuple[bool, bool]:
    """A hash that can be forged, and one that cannot."""
    here = find(repo.path)
    with Branch(here) as branch:
        acceptance = Acceptance(here, Objects(here), branch)
        md5, sha = (acceptance.expected(key, verify=True) for key in (MD5, SHA))
        return md5 is not None, sha is not None


def test_what_all_clones_have_set_refuses_hashes_that_can_be_forged(repo: Repo) -> None:
    """git-annex 10.20261026 writes ``true``, and reads any true value of git's."""
    assert accepts(repo) == (True, True)
    journal = repo.path / ".git/annex/journal/config.log"
    journal.parent.mkdir(exist_ok=True)
    for value in ("true", "yes", "on", "1", "ON"):
        journal.write_text(f"1s annex.securehashesonly {value}\n")

        assert accepts(repo) == (False, True), value

    repo.config("annex.securehashesonly", "false")
    assert accepts(repo) == (True, True)
