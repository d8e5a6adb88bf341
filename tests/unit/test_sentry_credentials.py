"""What the sentry takes for a reason to try again where it was refused."""

import time
from pathlib import Path

import pytest

from workers.sentry import credentials
from workers.sentry.credentials import Credentials
from workers.wakeup import Wakeup


@pytest.mark.parametrize(
    ("name", "times"), [("ssh_known_hosts", 1), ("ssh_config", 1), ("moduli", 0)]
)
def test_files_for_all_users_count_too(
    name: str,
    times: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An administrator adds host keys there."""
    system = tmp_path / "system"
    system.mkdir()
    monkeypatch.setattr(credentials, "SYSTEM", str(system))
    monkeypatch.setattr(credentials, "SETTLE_S", 0.0)
    wakeup = Wakeup()
    seen = Credentials(wakeup, tmp_path / "annex")

    (system / name).write_text("a key")

    def told() -> bool:
        for event in wakeup.wait(time.monotonic() + 0.1).events:
            seen.hear(event)
        return seen.have_changed()

    try:
        assert sum(told() for _ in range(5)) == times
    finally:
        wakeup.close()
