"""The house stays as it was planned: layers, sizes, layout, nothing at import."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.source_tree import (
    LAYERS,
    ROOT,
    committed,
    dotted,
    imported,
    is_stub,
    modules,
    packages_imported,
    public_definitions,
)

LONGEST_FILE = 350
TOP_LEVEL = {
    ".ci",
    ".gitignore",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "bench",
    "docs",
    "examples",
    "features",
    "mlruns",
    "pyproject.toml",
    "requirements-scale.lock",
    "requirements.lock",
    "serving",
    "tests",
    "training",
}
OWN_SETTINGS = {"zhongcao.toml"}  # where a user's settings may lie
HEAVY = {
    "bentoml", "dask", "distributed", "duckdb", "lightgbm", "matplotlib", "mlflow", "numba", "pandas", "pyspark",
    "redis", "scipy", "sklearn",
}  # fmt: skip
UNSAFE = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK|NotImplementedError)\b")


def child(code: str, folder: Path) -> str:
    """Run code in a fresh interpreter whose working folder and home are empty; return what it printed."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder / "home"),
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    (folder / "work").mkdir()
    (folder / "home").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder / "work",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("layer", LAYERS)
def test_imports_run_one_way(layer: str) -> None:
    files = modules(layer)
    forbidden = set(LAYERS[LAYERS.index(layer) + 1 :]) | {"tests", "bench"}
    assert files
    assert {str(file): found for file in files if (found := packages_imported(file) & forbidden)} == {}


def test_packages_stand_on_floors() -> None:
    files = {dotted(file): file for file in modules()}
    needed: dict[str, set[str]] = {}
    for name, file in files.items():
        taken = {found for found in imported(file) if found in files}
        # A package counts as one, so that nothing in it is needed below it; a layer's own modules are on their own.
        needed.setdefault(_package(name), set()).update(_package(one) for one in taken if one != name)
    for package, others in needed.items():
        others.discard(package)
    assert list(TopologicalSorter(needed).static_order())


def _package(name: str) -> str:
    return ".".join(name.split(".")[:2])


def test_layers_are_named_in_full() -> None:
    assert [str(file) for file in modules() if any(name.startswith(".") for name in imported(file))] == []


def test_no_file_is_long() -> None:
    files = modules(*LAYERS, "tests", "bench")
    lines = {str(file): len((ROOT / file).read_text(encoding="utf-8").splitlines()) for file in files}
    assert {file: count for file, count in lines.items() if count > LONGEST_FILE} == {}


def test_mlflow_is_imported_in_one_module() -> None:
    # They measure what is not used: scoring through pyfunc, and MLflow's server.
    peers = {"bench/scorer_peers.py", "bench/serving_peers.py", "bench/serving_pyfunc.py"}
    users = {str(file) for file in modules(*LAYERS, "bench") if "mlflow" in packages_imported(file)}
    assert users - peers == {"training/registry.py"}


def test_nothing_can_be_unpickled() -> None:
    assert {str(file): found for file in modules() if (found := packages_imported(file) & UNSAFE)} == {}
    loads = re.compile(r"allow_pickle\s*=\s*True|\.(read|to)_pickle\(")
    assert [str(file) for file in modules() if loads.search((ROOT / file).read_text(encoding="utf-8"))] == []


def test_every_public_name_has_a_docstring() -> None:
    bare = [
        f"{file}: {name}"
        for file in modules()
        for name, node in public_definitions(file)
        if not is_stub(node) and not ast.get_docstring(node)
    ]
    assert bare == []


def test_top_level_is_fixed() -> None:
    names = {path.name for path in committed()}
    assert names - OWN_SETTINGS == TOP_LEVEL


def test_nothing_is_left_unfinished() -> None:
    files = [*modules(*LAYERS, "bench"), *(path.relative_to(ROOT) for path in (ROOT / "docs").rglob("*.md"))]
    files += [Path("Makefile"), Path("README.md"), Path("CONTRIBUTING.md"), Path(".ci/run")]
    assert [str(file) for file in files if UNFINISHED.search((ROOT / file).read_text(encoding="utf-8"))] == []


def test_nothing_happens_on_import(tmp_path: Path) -> None:
    names = [dotted(file) for file in modules()]
    code = f"""
import importlib, threading
before = threading.enumerate()
for name in {names!r}:
    importlib.import_module(name)
started = [thread for thread in threading.enumerate() if thread not in before]
for thread in started:
    thread.join(timeout=2)
print([thread.name for thread in started if thread.is_alive()])
"""
    assert child(code, tmp_path) == "[]\n"
    assert list((tmp_path / "work").iterdir()) == []


def test_command_line_starts_light(tmp_path: Path) -> None:
    code = f"import serving.cli.main, sys; print(sorted({HEAVY!r} & set(sys.modules)))"
    assert child(code, tmp_path) == "[]\n"
