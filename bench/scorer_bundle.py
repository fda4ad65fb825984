"""The model of a bundle in `bench.scorer`: all tags of one person, and of a batch."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.harness import report
from bench.scorer_timing import Score, medians
from training.tags.bundle import golden_rows, load_bundle

PEOPLE = 256


def bundle_figures(folder: Path) -> dict[str, float]:
    """Score wide rows through the compact scorer and through the boosters, pairs and calibration included."""
    model = load_bundle(folder).model
    rows = np.tile(golden_rows(model.layout), (PEOPLE // 16, 1))
    model.warm()
    compact, boosters = model.predict(rows), model.predict(rows, compact=False)
    assert np.array_equal(compact, boosters, equal_nan=True), "the bundle's scores differ"
    ways: dict[str, Score] = {"compact": model.predict, "boosters": lambda rows: model.predict(rows, compact=False)}
    single = medians(ways, [row[None] for row in rows[:16]], runs=3)
    batch = {name: us / PEOPLE for name, us in medians(ways, [rows], runs=3).items()}
    table = {
        name: {
            "one row / compact": single[name] / single["compact"],
            "batch / compact": batch[name] / batch["compact"],
            "one row, µs": single[name],
            "batch, µs a person": batch[name],
        }
        for name in single
    }
    title = f"bundle: {model.layout.width:,} columns, {len(model.taxonomy.tags)} tags, {len(model.heads)} heads"
    report(title, table, list(table["compact"]))
    return {
        "one_row_us": single["compact"],
        "batch_us": batch["compact"],
        "boosters_one_row_us": single["boosters"],
        "boosters_batch_us": batch["boosters"],
    }
