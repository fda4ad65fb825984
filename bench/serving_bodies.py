"""What `bench.serving` asks: bodies of requests about people of the home, in files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import numpy as np

from features.log.event_log import EventLog
from features.settings import Settings
from serving.histories.sqlite_store import SqliteHistories
from serving.online.sqlite_store import SqliteStore
from serving.online.store import RowBlock
from training.bundles.champion import champion_path
from training.tags.bundle import load_bundle

ASKED: Final = 200
"""Bodies of each kind, sent in turn."""
CANDIDATES: Final = 500
_DAY: Final = 86_400


def tag_bodies(home: Path, folder: Path) -> dict[str, Path]:
    """Write bodies for all tags of one person each: for us, and as rows of features for MLflow and BentoML."""
    settings = Settings(home=home)
    block, layout = _some_people(settings), load_bundle(champion_path(settings)).layout
    # A missing value travels as null, which data frames read as one.
    rows = [[None if np.isnan(value) else round(float(value), 6) for value in row] for row in block.matrix]
    columns = list(layout.columns)
    kinds = {
        "keys": [{"people": [{"person": person}], "top": 1000} for person in block.persons],
        "mlflow": [{"dataframe_split": {"columns": columns, "data": [row]}} for row in rows],
        "bentoml": [{"rows": [dict(zip(columns, row, strict=True))]} for row in rows],
    }
    return {kind: _written(folder / f"{kind}.json", bodies) for kind, bodies in kinds.items()}


def conversion_bodies(home: Path, folder: Path) -> Path:
    """Write bodies for many candidates of one person each, notes and people drawn at random."""
    settings = Settings(home=home)
    histories = SqliteHistories(settings.histories_file)
    as_of = histories.describe().as_of
    histories.close()
    people = _some_people(settings).persons
    notes = _notes(settings)
    rng = np.random.default_rng(3)
    bodies = [
        {
            "person": {"person": people[rng.integers(len(people))]},
            "candidates": [notes[place] for place in rng.choice(len(notes), CANDIDATES, replace=False)],
            "context": {"platform": "xhs", "position": 3, "time": as_of + int(rng.integers(_DAY))},
        }
        for _ in range(ASKED)
    ]
    return _written(folder / "candidates.json", bodies)


def _some_people(settings: Settings) -> RowBlock:
    store = SqliteStore(settings.store_file)
    block = next(store.scan(store.describe().fill, "", None, ASKED))
    store.close()
    return block


def _notes(settings: Settings) -> list[str]:
    log = EventLog.open(settings)
    known = log.table(log.connect(), "notes")
    return [note for (note,) in known.project("note").distinct().order("note").fetchall()]


def _written(path: Path, bodies: list[object]) -> Path:
    path.write_text(json.dumps([json.dumps(body) for body in bodies]), encoding="utf-8")
    return path
