"""Which impressions are looked at: every one that led to the shop, and a share of the others."""

from __future__ import annotations

from typing import NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from training.conversion.examples import Floats, Ints, Mask

_LEAST_SHARE = 0.001


class Shares(NamedTuple):
    """Which shares of the impressions are looked at.

    Parameters
    ----------
    clicked
        Of those that were clicked and led no further; whatever led further is looked at whole.
    others
        Of those that led to nothing.
    """

    clicked: float
    others: float


def shares_of(impressions: int, clicks: int, most: int) -> Shares:
    """Return the shares with which about `most` impressions are looked at, clicked and others alike.

    Examples
    --------
    >>> shares_of(10_000_000, 1_000_000, 900_000)
    Shares(clicked=0.45, others=0.05)
    >>> shares_of(1_000, 100, 900_000)
    Shares(clicked=1.0, others=1.0)
    """
    clicked = min(1.0, most / 2 / max(clicks, 1))
    left = most - clicked * clicks
    return Shares(clicked, min(1.0, max(left / max(impressions - clicks, 1), _LEAST_SHARE)))


def thinned(
    event_ids: pa.ChunkedArray, clicked: Mask, further: Mask, shares: Shares, seed: int
) -> tuple[Ints, Floats]:
    """Choose impressions by the hash of their event ids: the same ones in every run.

    Parameters
    ----------
    event_ids
        Of n impressions.
    clicked, further
        Which ones were clicked (and read), and which led to more than that, bool [n].
    shares
        How many are kept of those that led no further.
    seed
        Another one keeps others.

    Returns
    -------
    tuple
        Numbers of the kept impressions, and how many of its kind each stands for.

    Examples
    --------
    >>> ids = pa.chunked_array([["a", "b", "c"]])
    >>> none, last = np.zeros(3, bool), np.array([False, False, True])
    >>> [x.tolist() for x in thinned(ids, none, last, Shares(1.0, 0.0), 7)]
    [[2], [1.0]]
    """
    share = np.where(further, 1.0, np.where(clicked, shares.clicked, shares.others))
    kept = np.flatnonzero(hash_share(event_ids, seed) < share)
    return kept, 1.0 / share[kept]


def hash_share(event_ids: pa.ChunkedArray, seed: int) -> NDArray[np.float64]:
    """Return a number in [0, 1) for each event id, drawn by its hash."""
    given = pa.table({"event_id": event_ids})  # noqa: F841  (read by the query)
    con = duckdb.connect(":memory:", config={"threads": 1})
    hashes = con.sql(
        "SELECT hash(event_id || chr(31) || $seed) AS h FROM given", params={"seed": str(seed)}
    ).fetchnumpy()["h"]
    con.close()
    return np.asarray(hashes.astype(np.float64) / 2.0**64)
