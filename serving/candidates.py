"""Candidate notes as impressions that might happen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from features.days import day_of
from features.impressions import IMPRESSION_SCHEMA, Impressions
from serving.conversion_schemas import Candidate, Context
from serving.note_catalogue import NoteCatalogue


def impressions_of(
    candidates: Sequence[str | Candidate],
    notes: NoteCatalogue,
    *,
    person: str,
    context: Context,
    time: int,
    timezone: str,
) -> Impressions:
    """Return one impression per candidate, all at once and of one person, as the log would tell of them.

    Parameters
    ----------
    candidates
        Ids of notes, or notes by what is known of them.
    notes
        What the log knows of notes.
    person
        Key.
    context
        Where it would happen.
    time
        When, epoch seconds.
    timezone
        The log's.

    Examples
    --------
    >>> notes = NoteCatalogue(pa.table({"note": ["n1"], "brand": ["x"], "campaign": ["c"], "price": [500]}))
    >>> made = impressions_of(["n1", Candidate(brand="y", price=7)], notes, person="p",
    ...     context=Context(platform="red"), time=86_400, timezone="UTC").table
    >>> made.select(["note", "brand", "price", "paid", "platform", "day"]).to_pylist()[1]
    {'note': None, 'brand': 'y', 'price': 7, 'paid': False, 'platform': 'red', 'day': 1}
    >>> made["brand"].to_pylist(), made["paid"].to_pylist()
    (['x', 'y'], [True, False])
    """
    ids = [candidate if isinstance(candidate, str) else candidate.note for candidate in candidates]
    found = notes.find(ids)
    columns = dict(zip(found.column_names, found.columns, strict=True))
    columns["note"] = pa.array(ids, pa.string())
    described = {row: given for row, given in enumerate(candidates) if isinstance(given, Candidate)}
    if described:
        columns |= _overruled(columns, described)
    same: dict[str, Any] = {
        "time": time,
        "day": int(day_of(time, timezone)),
        "person": person,
        "platform": context.platform,
        "position": context.position,
    }
    for field in IMPRESSION_SCHEMA:
        if field.name in same:
            columns[field.name] = pa.repeat(pa.scalar(same[field.name], field.type), len(ids))
        columns.setdefault(field.name, pa.nulls(len(ids), field.type))
    # As `features.impressions` reads it from the log.
    columns["paid"] = pc.or_(
        pc.is_valid(columns["campaign"]), pc.fill_null(columns["paid"].cast(pa.bool_()), False)
    )
    arrays = [columns[field.name].cast(field.type) for field in IMPRESSION_SCHEMA]
    return Impressions(pa.table(arrays, schema=IMPRESSION_SCHEMA), timezone, time)


def _overruled(columns: Mapping[str, Any], described: Mapping[int, Candidate]) -> dict[str, pa.Array]:
    """Return the columns that some candidates say more about than the log."""
    said: dict[str, dict[int, Any]] = {}
    for row, candidate in described.items():
        given = candidate.model_fields_set - {"note"}
        if "item" in given:
            said.setdefault("price", {})[row] = None  # the price that is known is another item's
        for name in sorted(given):
            said.setdefault(name, {})[row] = getattr(candidate, name)
    changed = {}
    for name, values in said.items():
        column = columns[name].to_pylist() if name in columns else [None] * len(columns["note"])
        for row, value in values.items():
            column[row] = value
        changed[name] = pa.array(column, IMPRESSION_SCHEMA.field(name).type)
    return changed
