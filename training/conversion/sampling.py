"""Which impressions are looked at: every one that led to something, and a share of the others."""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from training.conversion.examples import Floats, Ints, Mask

_LEAST_SHARE = 0.001


def share_of_others(impressions: int, hits: int, *, most: int, per_hit: float) -> float:
    """Return which share of the impressions that led to nothing is kept.

    Parameters
    ----------
    impressions, hits
        How many there are, and how many of them led to something.
    most
        About how many are looked at in all.
    per_hit
        So many of the others per hit are enough.

    Examples
    --------
    >>> share_of_others(10_000_000, 500_000, most=1_500_000, per_hit=10)
    0.10526315789473684
    """
    others = max(impressions - hits, 1)
    return float(min(max(min(most - hits, per_hit * max(hits, 1)) / others, _LEAST_SHARE), 1.0))


def thinned(event_ids: pa.ChunkedArray, hit: Mask, share: float, seed: int) -> tuple[Ints, Floats]:
    """Keep hits and a share of the others, by the hash of their event ids: the same ones in every run.

    Parameters
    ----------
    event_ids
        Of n impressions.
    hit
        Which ones led to something, bool [n].
    share
        Share of the others.
    seed
        Another one keeps others.

    Returns
    -------
    tuple
        Numbers of the kept impressions, and how many of its kind each stands for.

    Examples
    --------
    >>> ids = pa.chunked_array([["a", "b", "c", "d"]])
    >>> kept, weight = thinned(ids, np.array([True, False, False, False]), 1.0, 7)
    >>> kept.tolist(), weight.tolist()
    ([0, 1, 2, 3], [1.0, 1.0, 1.0, 1.0])
    """
    kept = np.flatnonzero(hit | (hash_share(event_ids, seed) < share))
    return kept, np.where(hit[kept], 1.0, 1.0 / share)


def hash_share(event_ids: pa.ChunkedArray, seed: int) -> NDArray[np.float64]:
    """Return a number in [0, 1) for each event id, drawn by its hash."""
    given = pa.table({"event_id": event_ids})  # noqa: F841  (read by the query)
    con = duckdb.connect(":memory:", config={"threads": 1})
    hashes = con.sql("SELECT hash(event_id, $seed) AS h FROM given", params={"seed": int(seed)}).fetchnumpy()["h"]
    con.close()
    return np.asarray(hashes.astype(np.float64) / 2.0**64)
