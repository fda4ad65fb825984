"""A full retraining at several sizes: how long, how much memory, and which step grows fastest with people.

    python -m bench.retrain --json PATH

Simulated worlds of 90 days, about 670 events a person, 224 tags and conversions. `zhongcao retrain` runs in a
process of its own, in a home that holds the log alone, and is watched ten times a second. Growth is the exponent of
a power law through the sizes' CPU seconds by least squares on logarithms: 1 is in proportion to people. CPU is
compared and not wall time because other work on the machine lengthens the latter. Worlds, homes and finished
figures stay in the folder (5 GB per 100,000 people), so that the command goes on where it was cut off.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench.harness import report, write_json
from bench.retrain_home import DAYS, fresh_run, made_home
from bench.retrain_run import retrained
from training.code import code_version

PEOPLE: Final = (50_000, 100_000, 200_000, 400_000)
WISHED: Final = 200_000
"""The size that the goal names: at most 20 minutes and 8 GiB."""
_SMALLEST: Final = 1.0
"""CPU seconds that a step must take at the largest size for its growth to be told."""


def main() -> None:
    """Measure each size that was not measured with this code before, and compare them."""
    parser = argparse.ArgumentParser(prog="python -m bench.retrain")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument(
        "--folder", type=Path, default=Path("var/bench-retrain"), help="keeps worlds, homes and finished figures"
    )
    parser.add_argument("--people", type=int, nargs="+", default=PEOPLE)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--again", action="store_true", help="measure anew what this code was measured with")
    options = parser.parse_args()
    sizes = {}
    for people in sorted(options.people):
        sizes[people] = _measured(options.folder.absolute(), people, options.threads, again=options.again)
        result = compared(sizes)
        _show(sizes, result)
        write_json(options.json, result)


def _measured(folder: Path, people: int, threads: int, *, again: bool) -> dict[str, Any]:
    kept = folder / f"people-{people}" / "figures.json"
    if kept.exists() and not again:
        found: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
        if found["code"] == code_version():
            return found
    made_home(folder, people)
    home, tags = fresh_run(folder, people)
    figures = {"code": code_version(), "threads": threads, "load_before": round(os.getloadavg()[0], 1)}
    figures |= retrained(home, tags, threads)
    kept.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    shutil.rmtree(home.parent)
    return figures


def compared(sizes: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the figures of all sizes, how each step grows, and whether the goal was met.

    Parameters
    ----------
    sizes
        People → what `bench.retrain_run.retrained` returned.
    """
    people = sorted(sizes)
    result: dict[str, Any] = {"days": DAYS, "sizes": {str(n): dict(sizes[n]) for n in people}}
    if len(people) > 1:
        names = [name for name in sizes[people[-1]]["steps"] if all(name in sizes[n]["steps"] for n in people)]
        cpu = {name: [sizes[n]["steps"][name]["cpu_seconds"] for n in people] for name in names}
        memory = [sizes[n]["whole"]["peak_mb"] for n in people]
        growth = {name: growth_of(people, values) for name, values in cpu.items() if values[-1] >= _SMALLEST}
        result |= {
            "growth": dict(sorted(growth.items(), key=lambda each: -each[1])),
            "growth_whole": growth_of(people, [sizes[n]["whole"]["cpu_seconds"] for n in people]),
            "growth_peak_mb": growth_of(people, memory),
            "fastest_growing": max(growth, key=lambda name: growth[name]) if growth else None,
        }
    if WISHED in sizes:
        whole = sizes[WISHED]["whole"]
        result |= {
            "minutes_200k": round(whole["seconds"] / 60, 1),
            "peak_gib_200k": round(whole["peak_mb"] / 1024, 2),
        }
    return result


def growth_of(people: Sequence[int], values: Sequence[float]) -> float:
    """Return the exponent of the power law that fits best.

    Examples
    --------
    >>> growth_of([10, 20, 40], [3.0, 6.0, 12.0])
    1.0
    """
    slope = np.polyfit(np.log(people), np.log(np.maximum(values, 0.01)), 1)[0]
    return round(float(slope), 2)


def _show(sizes: Mapping[int, Mapping[str, Any]], result: Mapping[str, Any]) -> None:
    growth = {**result.get("growth", {}), "whole": result.get("growth_whole")}
    rows: dict[str, dict[str, float]] = {}
    for people, figures in sizes.items():
        for name, step in {**figures["steps"], "whole": figures["whole"]}.items():
            row = rows.setdefault(name, {})
            row |= {f"{people:,} CPU s": step["cpu_seconds"], f"{people:,} s": step["seconds"]}
            row |= {f"{people:,} MB": step["peak_mb"]}
            if growth.get(name) is not None:
                row["growth"] = growth[name]
    columns = ["growth", *(f"{people:,} {what}" for people in sizes for what in ("CPU s", "s", "MB"))]
    report("retraining by step", rows, columns)


if __name__ == "__main__":
    main()
