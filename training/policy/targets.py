"""Policies to be valued, as the probability of every note for every logged slot."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.errors import TrainingError
from training.policy.logged import Choices, Flags
from training.policy.off_policy import Floats

_COLUMNS: Final = ("note", "weight")


def uniform(available: Flags) -> Floats:
    """Show each note that is available as often as any other.

    Parameters
    ----------
    available
        As `training.policy.logged.Choices` has it [n, notes].

    Returns
    -------
    numpy.ndarray
        float64 [n, notes]; rows add up to 1.

    Examples
    --------
    >>> uniform(np.array([[True, True], [True, False]])).tolist()
    [[0.5, 0.5], [1.0, 0.0]]
    """
    return by_weight(np.ones(available.shape), available)


def by_score(expected: Floats, available: Flags, *, temperature: float = 1.0, explore: float = 0.1) -> Floats:
    """Show notes the more often, the more is expected of them.

    Parameters
    ----------
    expected
        Expected reward of every note, by a model that did not learn from that person [n, notes].
    available
        As for `uniform`.
    temperature
        A note of which this many mean rewards more are expected is shown e times as often.
    explore
        Share of the slots in which every available note has the same chance.

    Examples
    --------
    >>> by_score(np.array([[0.1, 0.3]]), np.ones((1, 2), bool), temperature=0.5).round(3).tolist()
    [[0.157, 0.843]]
    """
    if temperature <= 0 or not 0 <= explore <= 1:
        raise TrainingError(
            "a tilt needs a temperature and a share of exploration",
            value=(temperature, explore),
            valid=["above 0", "0 to 1"],
        )
    mean = float(expected[available].mean())
    if mean <= 0:
        return uniform(available)
    logits = np.where(available, expected / (temperature * mean), -np.inf)
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray((1 - explore) * by_weight(weights, available) + explore * uniform(available))


def by_weight(weights: Floats, available: Flags) -> Floats:
    """Show available notes in proportion to weights [n, notes]."""
    there = np.where(available, weights, 0.0)
    sums = there.sum(axis=1, keepdims=True)
    if not np.isfinite(there).all() or (there < 0).any() or not (sums > 0).all():
        raise TrainingError(
            "a policy needs a weight above 0 for some note of every slot",
            value=f"{int((~(sums > 0)).sum())} slots without one",
            next_step="give weights, not negative, to notes that were shown on every day",
        )
    return np.asarray(there / sums)


def from_file(path: Path, choices: Choices) -> Floats:
    """Read a policy from a CSV or Parquet file.

    Parameters
    ----------
    path
        Columns ``note`` and ``weight``, in proportion to which the notes available on a day are shown; with a
        column ``event_id`` besides, weights of the slot with that impression.
    choices
        The logged slots.

    Raises
    ------
    TrainingError
        The file lacks a column, names a note or a slot twice, or leaves a slot without any note.
    """
    read = "read_parquet" if path.suffix == ".parquet" else "read_csv"
    if not path.is_file():
        raise TrainingError("no such policy file", value=str(path), valid=["uniform", "by-score", "a file"])
    with duckdb.connect() as con:
        try:
            table = con.sql(f"select * from {read}(?)", params=[str(path)]).to_arrow_table()  # noqa: S608
        except duckdb.Error as broken:
            raise TrainingError(
                "a policy file cannot be read", value=path.name, valid=[".csv, .parquet"]
            ) from broken
    missing = [name for name in _COLUMNS if name not in table.column_names]
    if missing:
        raise TrainingError("a policy file lacks columns", value=missing, valid=[*_COLUMNS, "event_id (may be)"])
    try:
        weight = np.asarray(table["weight"].cast(pa.float64()).fill_null(float("nan")))
    except pa.ArrowInvalid as none:
        raise TrainingError("weights of a policy are numbers", value=str(table["weight"].type)) from none
    note = _places(table["note"], pa.array(choices.notes, pa.string()))
    known = note >= 0
    if "event_id" not in table.column_names:
        _require_once(note[known])
        by_note = np.zeros(len(choices.notes))
        by_note[note[known]] = weight[known]
        return by_weight(np.broadcast_to(by_note, choices.available.shape), choices.available)
    slot = _places(table["event_id"], choices.event_ids.cast(pa.string()))
    known &= slot >= 0
    _require_once(slot[known] * len(choices.notes) + note[known])
    weights = np.zeros(choices.available.shape)
    weights[slot[known], note[known]] = weight[known]
    return by_weight(weights, choices.available)


def _places(column: pa.ChunkedArray, names: pa.Array) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    found = pc.index_in(column.combine_chunks().cast(pa.string()), names)
    return np.asarray(pc.fill_null(found, -1)).astype(np.int64)


def _require_once(places: np.ndarray[tuple[int], np.dtype[np.int64]]) -> None:
    twice = len(places) - len(np.unique(places))
    if twice:
        raise TrainingError("a policy file says the weight of a note twice", value=f"{twice} rows too many")
