"""What is installed, and what of it a hostile repository could replace."""

import re
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.processes import run, run_to_end

TOP = Path(__file__).parents[2]
UNITS = ("contrib/annexd@.service", "contrib/system/annexd@.service")
SCRIPTS = (
    *("contrib/quickstart", "contrib/test", ".ci/run"),
    *(f"contrib/{which}/{name}" for which in ("s6", "runit") for name in ("run", "finish")),
    "contrib/s6/data/check",
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this tree."""
    directory = tmp_path_factory.mktemp("wheel")
    program = "import sys; from hatchling.cli import hatchling; sys.exit(hatchling())"
    run([sys.executable, "-P", "-c", program, "build", "-t", "wheel", "-d", directory], cwd=TOP)
    (path,) = directory.glob("*.whl")
    return path


def test_the_wheel_has_exactly_three_packages(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()

    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"annexd", "spool", "workers"}
    assert len(tops) == 4
    assert not [name for name in names if "test" in name]
    assert "workers/git/run.py" in names


def test_an_installed_annexd_runs_nothing_that_a_repository_holds(
    wheel: Path, tmp_path: Path
) -> None:
    """A peer may push a ``workers/`` into the repository that annexd is started in."""
    run([sys.executable, "-P", "-m", "venv", "--without-pip", tmp_path / "venv"])
    python = tmp_path / "venv/bin/python"
    pip = (sys.executable, "-P", "-m", "pip", "--python", python)
    run((*pip, "install", "--no-deps", "--no-index", wheel))
    site = run([python, "-P", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"])
    ours = sysconfig.get_path("purelib")  # the dependencies
    Path(site.decode().strip(), "dependencies.pth").write_text(f"{ours}\n")
    repository = tmp_path / "repository"
    run(["git", "init", "-q", repository])
    for package in ("annexd", "spool", "workers", "typer"):
        (repository / package).mkdir()
        code = f"open({str(tmp_path / 'pwned')!r}, 'w')\nraise SystemExit(66)\n"
        (repository / package / "__init__.py").write_text(code)
        (repository / package / "cli.py").write_text(code)
    env = {"PYTHONPATH": ""}

    annexd = tmp_path / "venv/bin/annexd"
    shown = run_to_end([annexd, "--version"], cwd=repository, env=env)
    refused = run_to_end([annexd, "start"], cwd=repository, env=env)

    assert re.fullmatch(rb"annexd [0-9.]+\n", shown.stdout)
    assert refused.status == 100
    assert b"git annex init" in refused.stderr
    assert not (tmp_path / "pwned").exists()


def test_package_files_hold_one_sentence_and_no_code() -> None:
    """So an overwritten one breaks nothing: other distributions may have a ``workers`` too."""
    for path in (
        path for top in ("annexd", "spool", "workers") for path in (TOP / top).rglob("__init__.py")
    ):
        lines = [line for line in path.read_text().splitlines() if line]
        assert len(lines) == (2 if path.parent.name == "annexd" else 1), path


@pytest.mark.parametrize("unit", UNITS)
def test_the_systemd_units_are_understood_by_systemd(unit: str, tmp_path: Path) -> None:
    (tmp_path / "annexd@srv-annex.service").write_bytes((TOP / unit).read_bytes())
    try:
        ended = run_to_end(
            ["systemd-analyze", "verify", "--man=no", tmp_path / "annexd@srv-annex.service"]
        )
    except FileNotFoundError:
        pytest.skip("there is no systemd-analyze on this machine")

    assert (ended.status, ended.stderr) == (0, b"")


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_shell_scripts_are_executable_and_parse(script: str) -> None:
    path = TOP / script

    assert path.stat().st_mode & 0o111 == 0o111
    assert path.read_text().startswith("#!/bin/sh\n")
    run(["sh", "-n", path])
