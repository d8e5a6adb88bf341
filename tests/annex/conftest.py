"""What the tests against the real git-annex share."""

from collections.abc import Iterator

import pytest

from tests.annex.world import World


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One invented world for all tests of a module; each pretends what it needs."""
    home = tmp_path_factory.mktemp("home")
    (home / ".gitconfig").write_text("[user]\n\tname = t\n\temail = t@example.com\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        yield World.create(tmp_path_factory.mktemp("world") / "repo")
