"""contrib/quickstart, with programs that stand for python and annexd and note what they did."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import Ended, run_to_end

SCRIPT = Path(__file__).parents[2] / "contrib/quickstart"

PYTHON = r"""#!/bin/sh
echo "python $*" >>"$NOTES"
case "$*" in
    "-m venv "*)
        [ -z "${NO_VENV:-}" ] || { mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; exit 1; }
        mkdir -p "$3/bin"
        cp "$0" "$3/bin/python"
        printf '#!/bin/sh\necho "annexd $*" >>"$NOTES"\n' >"$3/bin/annexd"
        chmod +x "$3/bin/annexd" ;;
esac
"""


class Machine:
    """A checkout, a HOME, and the programs on the PATH."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.become: tuple[str, ...] = ()
        self.notes = top / "notes"
        self.checkout = top / "check out"
        (self.checkout / "contrib").mkdir(parents=True)
        (self.checkout / "pyproject.toml").write_text("x")
        self.script = self.checkout / "contrib/quickstart"
        self.script.write_bytes(SCRIPT.read_bytes())
        self.script.chmod(0o755)
        self.bin = top / "bin"
        self.bin.mkdir()
        self.have("python3", PYTHON)
        self.have("git", "#!/bin/sh\n")
        for name in ("sh", "sed", "cat", "cksum", "dirname", "mkdir", "cp", "chmod", "rm"):
            (self.bin / name).symlink_to(f"/bin/{name}")

    def have(self, name: str, script: str) -> None:
        """Install a program."""
        (self.bin / name).write_text(script)
        (self.bin / name).chmod(0o755)

    def run(self, *args: str, env: dict[str, str] | None = None) -> Ended:
        """Run the script; the notes begin anew."""
        self.notes.write_text("")
        self.notes.chmod(0o666)
        home = {"HOME": str(self.top / "home"), "PATH": str(self.bin), "NOTES": str(self.notes)}
        return run_to_end((*self.become, self.script, *args), cwd=self.top, env=home | (env or {}))

    def noted(self) -> list[str]:
        """What the programs did, but for the question for the version."""
        return [line for line in self.notes.read_text().splitlines() if " -c " not in line]


@pytest.fixture
def machine() -> Iterator[Machine]:
    """One with git and python, and no git-annex; not in pytest's directory, which is root's."""
    with tempfile.TemporaryDirectory() as top:
        Path(top).chmod(0o777)
        yield Machine(Path(top))


def pip(what: Path | str, *options: str) -> str:
    return " ".join(
        ("python -m pip install --quiet --disable-pip-version-check", *options, str(what))
    )


def test_the_first_run_makes_an_environment_gets_git_annex_and_shows_the_demo(
    machine: Machine,
) -> None:
    assert machine.run().status == 0

    checkout = machine.checkout
    assert machine.noted() == [
        f"python -m venv {checkout}/.venv",
        pip(f"{checkout}[git-annex]", "--editable"),
        "annexd demo",
    ]


def test_with_a_directory_annexd_is_started_there(machine: Machine) -> None:
    machine.have("git-annex", "#!/bin/sh\n")

    assert machine.run("my annex").status == 0

    assert machine.noted()[1:] == [pip(machine.checkout, "--editable"), "annexd start my annex"]


def test_the_second_run_installs_nothing_until_something_changes(machine: Machine) -> None:
    machine.run()
    assert machine.run("x").status == 0
    assert machine.noted() == ["annexd start x"]

    (machine.checkout / "pyproject.toml").write_text("y")
    machine.run("x")
    assert len(machine.noted()) == 2


def test_a_checkout_that_cannot_be_written_is_left_alone(machine: Machine) -> None:
    machine.checkout.chmod(0o555)
    if os.geteuid() == 0:  # who can write everywhere
        machine.become = ("/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")

    assert machine.run().status == 0

    venv = machine.top / "home/.local/share/annexd/venv"
    assert machine.noted()[:2] == [
        f"python -m venv {venv}",
        pip(f"{machine.checkout}[git-annex]"),
    ]


def test_what_is_missing_is_said(machine: Machine) -> None:
    ended = machine.run(env={"NO_VENV": "1"})
    assert ended.status == 100
    assert b"apt install python3-venv" in ended.stderr
    assert not (machine.checkout / ".venv").exists()

    machine.have("python3", "#!/bin/sh\nexit 1\n")
    ended = machine.run()
    assert ended.status == 100
    assert b"there is no Python 3.11 or newer on the PATH" in ended.stderr

    (machine.bin / "git").unlink()
    assert b"there is no git on the PATH" in machine.run().stderr
    assert machine.run("a", "b").status == 100
    assert b"from a fresh checkout" in machine.run("--help").stdout
