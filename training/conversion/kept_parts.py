"""Parts of a sample on disk, so that a run that was cut off goes on behind the last finished one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.durable import publish, write_durably
from features.impressions.table import IMPRESSION_SCHEMA
from training.conversion.examples import Floats, Ints, Matrix

_FACTS: Final = "facts.json"
_TABLE: Final = "impressions.parquet"


@dataclass(frozen=True)
class Part:
    """Some impressions of a sample.

    Parameters
    ----------
    table
        n impressions, schema `features.impressions.table.IMPRESSION_SCHEMA`.
    known_at
        From when their answers were known, int64 [n, K].
    weight
        How many impressions each stands for, float64 [n].
    rows
        float32 [n, F].
    """

    table: pa.Table
    known_at: Ints
    weight: Floats
    rows: Matrix


class KeptParts:
    """Finished parts of a sample, by number.

    Parameters
    ----------
    folder
        Where they are kept; parts of another sample are deleted.
    facts
        Everything that the sample depends on, JSON-able.
    """

    def __init__(self, folder: Path, facts: Mapping[str, Any]) -> None:
        self.folder = folder
        wanted, said = json.dumps(facts, sort_keys=True), folder / _FACTS
        if not said.exists() or said.read_text(encoding="utf-8") != wanted:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            write_durably(said, wanted)

    def __contains__(self, number: int) -> bool:
        return self._place(number).exists()

    def keep(self, number: int, part: Part) -> None:
        """Write a part; it is there wholly or not at all."""
        draft = self.folder / f".part-{number}"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        pq.write_table(part.table, draft / _TABLE, compression="zstd")
        for name in ("known_at", "weight", "rows"):
            np.save(draft / f"{name}.npy", getattr(part, name), allow_pickle=False)
        publish(draft, self._place(number))

    def read(self, number: int) -> Part:
        """Return a part; its rows are memory-mapped."""
        place = self._place(number)
        known_at, weight = (np.load(place / f"{name}.npy", allow_pickle=False) for name in ("known_at", "weight"))
        rows = np.load(place / "rows.npy", mmap_mode="r", allow_pickle=False)
        return Part(pq.read_table(place / _TABLE, schema=IMPRESSION_SCHEMA), known_at, weight, rows)

    def together(self, numbers: Sequence[int]) -> Part:
        """Return all parts as one, in the order of time, then event id, whatever the parts are."""
        parts = [self.read(number) for number in numbers]
        table = pa.concat_tables([part.table for part in parts])
        by_time = pc.sort_indices(table, [("time", "ascending"), ("event_id", "ascending")])
        order = by_time.to_numpy().astype(np.int64)
        rows = np.empty((len(table), parts[0].rows.shape[1]), np.float32)
        place = np.empty(len(table), np.int64)
        place[order] = np.arange(len(table))
        start = 0
        for part in parts:
            rows[place[start : start + len(part.table)]] = part.rows
            start += len(part.table)
        return Part(
            table.take(pa.array(order)),
            np.concatenate([part.known_at for part in parts])[order],
            np.concatenate([part.weight for part in parts])[order],
            rows,
        )

    def _place(self, number: int) -> Path:
        return self.folder / f"part-{number}"
