"""What every bench needs: a child process per contestant, medians, a table and a JSON file."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table


def peak_mb() -> float:
    """Return the largest resident size that this process had, in MB.

    ``ru_maxrss`` would not do: a child starts with its parent's.
    """
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    raise OSError("/proc/self/status names no VmHWM: this bench runs on Linux")


def child(module: str, *arguments: str) -> dict[str, float]:
    """Run ``python -m module arguments``, which prints a JSON object of numbers as its last line."""
    done = subprocess.run([sys.executable, "-m", module, *arguments], check=True, stdout=subprocess.PIPE, text=True)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def measured(module: str, *arguments: str, runs: int = 3) -> dict[str, float]:
    """Return the median of each number over several runs of `child`."""
    return medians([child(module, *arguments) for _ in range(runs)])


def in_turn(module: str, contestants: Mapping[str, Sequence[str]], runs: int = 3) -> dict[str, dict[str, float]]:
    """Return the medians per contestant, run in turn, so that a busy spell of the machine hits all alike."""
    results: dict[str, list[dict[str, float]]] = {name: [] for name in contestants}
    for _ in range(runs):
        for name, arguments in contestants.items():
            results[name].append(child(module, *arguments))
    return {name: medians(figures) for name, figures in results.items()}


def medians(results: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the median of each number."""
    return {name: statistics.median(result[name] for result in results) for name in results[0]}


def report(title: str, rows: Mapping[str, Mapping[str, float]], columns: Sequence[str]) -> None:
    """Print one line per contestant."""
    table = Table(title=title)
    table.add_column("")
    for column in columns:
        table.add_column(column, justify="right")
    for name, row in rows.items():
        table.add_row(name, *(f"{row[column]:,.4g}" if column in row else "" for column in columns))
    Console().print(table)


def write_json(path: Path | None, result: Mapping[str, object]) -> None:
    """Write the figures where a path was given."""
    if path is not None:
        path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
