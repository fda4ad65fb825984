"""What keeping a prediction costs: on the thread of the request, on the thread that writes, and on disk.

    python -m bench.prediction_log --json bench/results/prediction_log.json

Predictions of 20 of 200 tags from rows of 1,400 columns are handed over, 2,000 at a time, then written in one go.
``request_us`` is CPU time of the thread that hands over, per prediction; ``writer_us`` what writing costs per
prediction, by the clock; ``bytes`` what it takes on disk. Medians of the rounds, contestants in turn:

- ``off``, ``sampled``, ``all``: nothing is kept, 1 % of predictions, all; ``features``: all, with their rows;
- ``line``: a service that writes each answer and its row as a line of JSON as it is made, without fsync.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench.harness import medians, report, write_json
from serving.messages.schemas import TagAnswer
from serving.predictions.ids import new_id
from serving.predictions.log import PredictionLog
from serving.predictions.record import Made

_MANY: Final = 2_000
_ROUNDS: Final = 5
_KEPT: Final = {"off": 0.0, "sampled": 0.01, "all": 1.0, "features": 1.0}


def made(
    name: str, person: str, row: np.ndarray[Any, Any], scores: np.ndarray[Any, Any], tags: list[TagAnswer]
) -> Made:
    """Return what a request hands over."""
    asked = {"top": 20, "min_probability": 0.0}
    return Made(
        name, "tags", person, "tags-0123456789ab", "layout", "v12-1-ab", 1, 1, asked, tags, row, scores.copy()
    )


def kept(name: str, folder: Path, people: list[Any]) -> dict[str, float]:
    """Measure the prediction log."""
    log = PredictionLog(folder, share=_KEPT[name], days=30, features=name == "features", reserve_bytes=0)
    makers = [
        partial(made, person=person, row=row, scores=scores, tags=tags) for person, row, scores, tags in people
    ]
    begun = time.thread_time()
    for make in makers:
        log.keep(make)
    handed = time.thread_time() - begun
    begun = time.perf_counter()
    log.flush()
    figures = {"request_us": handed / _MANY * 1e6}
    counts = log.counts()
    if counts.dropped:
        raise AssertionError(counts)
    if counts.written > _MANY / 2:
        figures["writer_us"] = (time.perf_counter() - begun) / counts.written * 1e6
        figures["bytes"] = sum(path.stat().st_size for path in folder.iterdir()) / counts.written
    return figures


def line(folder: Path, people: list[Any]) -> dict[str, float]:
    """Measure a line of JSON per answer."""
    folder.mkdir()
    with (folder / "predictions.jsonl").open("w") as file:
        begun = time.thread_time()
        for person, row, _, tags in people:
            answer = [{"id": tag.id, "probability": tag.probability, "assigned": tag.assigned} for tag in tags]
            said = {"id": new_id(), "person": person, "answer": answer, "row": row.tolist()}
            file.write(json.dumps(said) + "\n")
        file.flush()
        handed = time.thread_time() - begun
    size = sum(path.stat().st_size for path in folder.iterdir())
    return {"request_us": handed / _MANY * 1e6, "bytes": size / _MANY}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rng = np.random.default_rng(7)
    people = []
    for _ in range(_MANY):
        row = np.floor(rng.exponential(1.0, 1_400)).astype(np.float32)
        row[rng.random(1_400) < 0.5] = 0.0
        scores = rng.random(200)
        top = np.argsort(-scores)[:20].tolist()
        tags = [
            TagAnswer(f"category-{n}.will-buy", "name", "名", round(float(scores[n]), 6), bool(n % 2), None)
            for n in top
        ]
        people.append((rng.bytes(16).hex(), row, scores, tags))
    results: dict[str, list[dict[str, float]]] = {name: [] for name in (*_KEPT, "line")}
    for _ in range(_ROUNDS):
        for name, figures in results.items():
            with tempfile.TemporaryDirectory() as folder:
                place = Path(folder) / "predictions"
                figures.append(line(place, people) if name == "line" else kept(name, place, people))
    found = {name: medians(figures) for name, figures in results.items()}
    report("a prediction, µs and bytes", found, ["request_us", "writer_us", "bytes"])
    write_json(arguments.json, {"rounds": _ROUNDS, "predictions": _MANY, **found})


if __name__ == "__main__":
    main()
