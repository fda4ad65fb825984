"""What a person did as one Arrow record batch: the form in which a store of histories keeps it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np
import pyarrow as pa

from features.asof import in_order, packed
from features.impressions.columns import STATISTICS
from features.people.acts import ACT_COLUMNS, Acts
from serving.histories.store import ORDER

_PERSON: Final = "person"
ACTS_SCHEMA: Final = pa.schema(
    [(name, pa.from_numpy_dtype(np.dtype(kind))) for name, kind in ACT_COLUMNS.items() if name != _PERSON],
    metadata={"statistics": hashlib.sha256(" ".join(s.name for s in STATISTICS).encode()).hexdigest()},
)
"""Every column of acts but whose they are, which the store's key says; and what was tallied beside them."""


def person_batches(acts: Acts, persons: Mapping[int, str]) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yield each person's acts, oldest first.

    Parameters
    ----------
    acts
        Of any number of persons.
    persons
        Code of a person → key; acts of other codes are left out.

    Examples
    --------
    >>> none = {name: np.zeros(3, kind) for name, kind in ACT_COLUMNS.items()}
    >>> acts = Acts(none | {"person": np.array([8, 5, 8]), "time": np.array([30, 20, 10])})
    >>> [(key, batch["time"].to_pylist()) for key, batch in person_batches(acts, {8: "ann", 7: "bob"})]
    [('ann', [10, 30])]
    """
    codes, person, many = np.unique(acts[_PERSON], return_inverse=True, return_counts=True)
    sorted_acts = acts.take(in_order(packed(person, acts["time"]), [acts[name] for name in ORDER]))
    table = pa.RecordBatch.from_arrays(
        [pa.array(sorted_acts[name]) for name in ACTS_SCHEMA.names], schema=ACTS_SCHEMA
    )
    ends = np.cumsum(many)
    for code, start, end in zip(codes.tolist(), (ends - many).tolist(), ends.tolist(), strict=True):
        if code in persons:
            yield persons[code], table.slice(start, end - start)


def acts_of(batch: pa.RecordBatch | None, code: int) -> Acts:
    """Return a person's acts under a code; None is a person of whom nothing is known.

    Examples
    --------
    >>> len(acts_of(None, 7))
    0
    """
    rows = 0 if batch is None else batch.num_rows
    columns = {_PERSON: np.full(rows, code, np.int64)}
    for name, kind in ACT_COLUMNS.items():
        if name != _PERSON:
            columns[name] = (
                np.empty(0, kind) if batch is None else batch[name].to_numpy(zero_copy_only=False).astype(kind)
            )
    return Acts(columns)
