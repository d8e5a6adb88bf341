"""Imports point one way: annexd -> workers -> workers.annex -> workers.git -> spool."""

import ast
from pathlib import Path

TOP = Path(__file__).parents[2]
LAYERS = ("spool", "workers.git", "workers.annex", "workers", "annexd")  # lowest first
ROLES = {f"workers.{name}" for name in ("watcher", "pusher", "scanner", "transferrer", "sentry")}


def module_name(path: Path) -> str:
    """The dotted name of a source file; a package is named after its directory."""
    parts = path.relative_to(TOP).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def layer(module: str) -> int | None:
    """The most specific layer that ``module`` belongs to; None if it is not ours."""
    found = [name for name in LAYERS if module == name or module.startswith(name + ".")]
    return LAYERS.index(max(found, key=len)) if found else None


def imports(path: Path) -> set[str]:
    """Every module that ``path`` imports, functions' bodies included."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            assert node.level == 0, f"{path}: relative import"
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def sources() -> list[Path]:
    """All source files of the three packages."""
    return [path for top in ("spool", "workers", "annexd") for path in (TOP / top).rglob("*.py")]


def role_of(module: str) -> str | None:
    """The role that a module is part of: a package ``workers/watcher/`` counts as one."""
    name = ".".join(module.split(".")[:2])
    return name if name in ROLES else None


def test_imports_point_down() -> None:
    for path in sources():
        own = layer(module_name(path))
        assert own is not None
        for name in imports(path):
            theirs = layer(name)
            assert theirs is None or theirs <= own, f"{path} imports {name}"


def test_no_role_imports_a_role() -> None:
    for path in sources():
        own = role_of(module_name(path))
        for name in imports(path):
            theirs = role_of(name)
            if own is not None and theirs is not None:
                assert own == theirs, f"{path} imports {name}"


def test_modules_are_named_for_what_they_are() -> None:
    banned = {
        "util",
        "utils",
        "helper",
        "helpers",
        "common",
        "misc",
        "base",
        "core",
        "manager",
        "handler",
    }
    for path in sources():
        assert path.stem not in banned, path


def test_no_interpreter_is_started_where_a_peer_could_plant_a_module() -> None:
    """``python -m workers`` inside a user's repository would import what a peer pushed there."""
    for path in sources():
        assert path.stem != "__main__"
        text = path.read_text()
        assert "'-m', 'workers" not in text
        for line in text.splitlines():
            assert "sys.executable" not in line or '"-P"' in line, f"{path}: {line.strip()}"
