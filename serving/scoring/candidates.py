"""Candidate notes as impressions that might happen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from features.days import day_of
from features.impressions.numbers import ImpressionNumbers
from features.people.acts import code_of
from serving.histories.note_catalogue import CODED, NoteCatalogue
from serving.messages.conversion_schemas import Candidate, Context

_FOR_VALUE: Final = ("price", "brand", "category")


@dataclass(frozen=True)
class AskedCandidates:
    """Candidates as they were asked for, and as impressions.

    Parameters
    ----------
    notes
        Ids, None where none was given.
    known
        Whether the log knows each note.
    sold
        Price, brand and category of each.
    numbers
        One impression per candidate.
    """

    notes: list[str | None]
    known: list[bool]
    sold: list[tuple[int | None, str | None, str | None]]
    numbers: ImpressionNumbers


def impressions_of(
    candidates: Sequence[str | Candidate],
    notes: NoteCatalogue,
    *,
    context: Context,
    time: int,
    timezone: str,
    platforms: tuple[str, ...],
) -> AskedCandidates:
    """Return one impression per candidate, all at once and of one person, as the log would tell of them.

    Parameters
    ----------
    candidates
        Ids of notes, or notes by what is known of them.
    notes
        What the log knows of notes.
    context
        Where it would happen.
    time
        When, epoch seconds.
    timezone
        The log's.
    platforms
        Those that the model knows.

    Examples
    --------
    >>> import pyarrow as pa
    >>> notes = NoteCatalogue(pa.table({"note": ["n1"], "brand": ["x"], "campaign": ["c"], "price": [500]}))
    >>> made = impressions_of(["n1", Candidate(brand="y", price=7)], notes,
    ...     context=Context(platform="red"), time=86_400, timezone="UTC", platforms=("red",))
    >>> made.notes, made.sold, made.numbers.numbers["paid"].tolist(), made.numbers.day
    (['n1', None], [(500, 'x', None), (7, 'y', None)], [1.0, 0.0], 1)
    """
    ids = [candidate if isinstance(candidate, str) else candidate.note for candidate in candidates]
    places = notes.places(ids)
    codes = {name: notes.codes[name][places] for name in CODED}
    numbers = {name: column[places] for name, column in notes.numbers.items()}
    for row in np.flatnonzero(places < 0).tolist():
        note = ids[row]
        codes["note"][row] = 0 if note is None else code_of(note)
    codes["note_platform"] = notes.on_platform(context.platform, ids, places)
    at = places.tolist()
    sold = [(notes.price[place], notes.brand[place], notes.category[place]) for place in at]
    # As `features.impressions.table` reads it from the log: a campaign pays for what it shows.
    numbers["paid"] = np.where(codes["campaign"] != 0, 1.0, numbers["paid"])
    if context.paid is not None:
        _pay(codes, numbers, slice(None), paid=context.paid)
    for row, given in enumerate(candidates):
        if isinstance(given, Candidate):
            paid = bool(notes.numbers["paid"][at[row]]) if context.paid is None else context.paid
            sold[row] = _overrule(codes, numbers, row, given, sold[row], paid=paid)
    same = {
        "position": np.nan if context.position is None else float(context.position),
        "platform": float(platforms.index(context.platform)) if context.platform in platforms else np.nan,
    }
    numbers |= {name: np.full(len(ids), value) for name, value in same.items()}
    asked = ImpressionNumbers(time, int(day_of(time, timezone)), timezone, codes, numbers)
    return AskedCandidates(ids, (places >= 0).tolist(), sold, asked)


def _overrule(
    codes: dict[str, NDArray[np.int64]],
    numbers: dict[str, NDArray[np.float64]],
    row: int,
    candidate: Candidate,
    sold: tuple[Any, ...],
    *,
    paid: bool,
) -> tuple[Any, ...]:
    """Write what a candidate says over what the log knows; return its price, brand and category.

    Without its campaign, the note is `paid` for or not.
    """
    said = {name: getattr(candidate, name) for name in candidate.model_fields_set}
    if "item" in said:
        said.setdefault("price", None)  # the price that is known is another item's
    for name, value in said.items():
        if name in codes and name != "note":
            codes[name][row] = 0 if value is None else code_of(value)
        elif name in {"price", "published_at"}:
            numbers[name][row] = np.nan if value is None else value
        elif name == "media":
            numbers["video"][row] = np.nan if value is None else value == "video"
    if candidate.paid is not None:
        _pay(codes, numbers, row, paid=candidate.paid)
    elif "campaign" in said or "paid" in said:
        numbers["paid"][row] = codes["campaign"][row] != 0 or (paid and "paid" not in said)
    return tuple(said.get(name, known) for name, known in zip(_FOR_VALUE, sold, strict=True))


def _pay(
    codes: dict[str, NDArray[np.int64]],
    numbers: dict[str, NDArray[np.float64]],
    rows: int | slice,
    *,
    paid: bool,
) -> None:
    numbers["paid"][rows] = float(paid)
    if not paid:  # no campaign shows it then, whatever campaign the note belongs to
        codes["campaign"][rows] = 0
