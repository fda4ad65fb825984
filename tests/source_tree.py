"""The repository as data: which files there are and what each imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LAYERS = ("features", "training", "serving")


def modules(*folders: str) -> list[Path]:
    """Python files of top-level folders (of the three packages by default), relative to the root."""
    found = [path for folder in folders or LAYERS for path in (ROOT / folder).rglob("*.py")]
    return sorted(path.relative_to(ROOT) for path in found)


@cache
def tree(path: Path) -> ast.Module:
    """Syntax tree of a file named relative to the root."""
    return ast.parse((ROOT / path).read_text(encoding="utf-8"), filename=str(path))


def imported(path: Path) -> set[str]:
    """Full dotted names that a file imports, wherever in it the import stands."""
    names: set[str] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add("." * node.level + (node.module or ""))
    return names


def packages_imported(path: Path) -> set[str]:
    """First parts of the names a file imports."""
    return {name.split(".")[0] for name in imported(path)}


def dotted(path: Path) -> str:
    """Module name of a file: ``features/sources/__init__.py`` is ``features.sources``."""
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def is_stub(node: Definition) -> bool:
    """Whether a definition is a mere ``...``, as in a Protocol, whose class says what it means."""
    return [ast.unparse(statement) for statement in node.body] == ["..."]


def public_definitions(path: Path) -> Iterator[tuple[str, Definition]]:
    """Public functions and classes of a module and the public methods of those classes."""

    def walk(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, Definition]]:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name[0] != "_":
                yield prefix + node.name, node
                if isinstance(node, ast.ClassDef):
                    yield from walk(node.body, f"{prefix}{node.name}.")

    return walk(tree(path).body, "")


def committed(pattern: str = "*") -> list[Path]:
    """Top-level entries that the ignore file does not exclude."""
    lines = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    ignored = [line.rstrip("/") for line in lines if line and not line.startswith("#")] + [".git"]
    return sorted(
        path for path in ROOT.glob(pattern) if not any(fnmatch(path.name, pattern) for pattern in ignored)
    )
