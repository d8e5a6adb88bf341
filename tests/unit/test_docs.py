"""The documents say what is so."""

import ast
import re
from pathlib import Path

from tests.processes import python, run

TOP = Path(__file__).parents[2]
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}


def format_strings(path: Path) -> set[str]:
    """The format of every line that a source file logs."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in LEVELS
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == "log"
        ):
            form = node.args[0]
            assert isinstance(form, ast.Constant), f"{path}:{node.lineno}: not a plain format"
            found.add(str(form.value))
    return found


def test_every_line_of_the_log_is_explained_and_no_other() -> None:
    logged: dict[str, Path] = {}
    for package in ("annexd", "workers", "spool"):
        for path in (TOP / package).rglob("*.py"):
            logged |= dict.fromkeys(format_strings(path), path)
    explained = set(re.findall(r"^- `(.+?)`", (TOP / "docs/LOG.md").read_text(), re.MULTILINE))

    assert not {form: str(logged[form]) for form in logged.keys() - explained}
    assert not explained - logged.keys()


def test_every_line_of_the_log_begins_with_a_fixed_lower_case_word() -> None:
    for package in ("annexd", "workers", "spool"):
        for path in (TOP / package).rglob("*.py"):
            for form in format_strings(path):
                assert re.match(r"[a-z]+\b", form), f"{path}: {form}"


def real_help() -> str:
    """``annexd --help``, eighty columns wide."""
    program = python("import sys; from annexd.cli import main; sys.argv[1:] = ['-h']; main()")
    return run(
        program, env={"COLUMNS": "80", "TERMINAL_WIDTH": "80", "PYTHONPATH": str(TOP)}
    ).decode()


def test_the_readme_shows_the_real_help() -> None:
    shown = re.search(r"\$ annexd --help\n(.*?)```", (TOP / "README.md").read_text(), re.DOTALL)

    assert shown is not None
    assert [line.rstrip() for line in shown[1].splitlines()] == [
        line.rstrip() for line in real_help().splitlines()
    ]


def test_the_manual_has_every_command_and_no_other() -> None:
    listed = real_help().partition("\nCommands:\n")[2].partition("\n\n")[0]
    commands = set(re.findall(r"^  ([a-z]+) ", listed, re.MULTILINE))
    manual = (TOP / "docs/annexd.1.md").read_text()
    section = manual.partition("## COMMANDS")[2].partition("\n## ")[0]
    heads = " ".join(re.findall(r"^(\*\*.*)\n: ", section, re.MULTILINE))
    explained = set(re.findall(r"\*\*([a-z]+)\b", heads))

    assert "status" in commands
    assert explained == commands


def test_the_code_and_the_tests_that_the_threat_model_names_are_there() -> None:
    text = (TOP / "docs/SECURITY.md").read_text()
    named = set(re.findall(r"`(test_[a-z0-9_]+)`", text))
    tests = {
        node.name
        for path in (TOP / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
    }

    assert len(named) > 30
    assert not named - tests


def test_the_modules_that_the_documents_name_are_there() -> None:
    packages = (TOP / "annexd", TOP / "spool", TOP / "workers")
    modules = {path.stem for package in packages for path in package.rglob("*")}
    for page in ("ARCHITECTURE", "INTERNALS", "SECURITY", "SHELL", "SPOOL"):
        text = (TOP / f"docs/{page}.md").read_text()
        for path in re.findall(r"`((?:annexd|spool|tests|workers)/[a-z0-9/_]+\.py)`", text):
            assert (TOP / path).is_file(), f"{page}: {path}"
        for module in re.findall(r"\(`([a-z]+)`\)", text):
            assert module in modules, f"{page}: {module}"
