"""Events of a day, collected as plain arrays and then laid out in canonical columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.days import DAY_SECONDS
from features.events import EVENTS, KINDS
from features.world.catalogue import CATEGORIES, Catalogue
from features.world.content import CREATORS, TOPICS_PER_CATEGORY, Campaigns, Notes
from features.world.draws import Ints, Stream, keys_of
from features.world.names import account_text, numbered, prefix
from features.world.people import CONTENT_PLATFORMS, PLATFORMS
from features.world.settings import WorldSettings

SOURCE: Final = "world"
CURRENCY: Final = "CNY"
_ARRIVES: Final = np.array([30, 30, 600, 600, 600, 600])
# What an event holds before names are put in; the number stands for "none".
_FIELDS: Final[dict[str, tuple[type[np.generic], float]]] = {
    "kind": (np.int8, 0), "time": (np.int64, 0), "platform": (np.int8, 0), "person": (np.int32, 0),
    "note": (np.int32, -1), "item": (np.int32, -1), "brand": (np.int16, -1), "category": (np.int8, -1),
    "order": (np.int32, -1), "amount": (np.int64, -1), "quantity": (np.int8, -1), "discount": (np.int64, -1),
    "dwell": (np.int32, -1), "percent": (np.float32, -1), "cost": (np.int64, -1), "position": (np.int16, -1),
    "propensity": (np.float64, -1), "prediction": (np.int32, -1), "instead_of": (np.int16, -1),
}  # fmt: skip
_KIND_NUMBER: Final = {kind: number for number, kind in enumerate(KINDS)}

Block = dict[str, Any]


@dataclass
class Rows:
    """Events of one day, block by block."""

    blocks: list[Block] = field(default_factory=list)

    def add(self, kind: str, time: Ints, **columns: npt.ArrayLike) -> None:
        """Add events of one kind; columns are arrays as long as `time`, or one value for all."""
        if len(time):
            self.blocks.append({"kind": _KIND_NUMBER[kind], "time": time, **columns})

    def columns(self) -> dict[str, npt.NDArray[Any]]:
        """Return all events by time; equal times keep the order in which they were added."""
        sizes = [len(block["time"]) for block in self.blocks]
        edges = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        time = np.empty(edges[-1], np.int64)
        for block, low, high in zip(self.blocks, edges, edges[1:], strict=False):
            time[low:high] = block["time"]
        order = np.argsort(time, kind="stable")
        found = {"time": time[order]}
        for name, (dtype, none) in _FIELDS.items():
            if name == "time":
                continue
            values = np.full(edges[-1], none, dtype)
            for block, low, high in zip(self.blocks, edges, edges[1:], strict=False):
                if name in block:
                    values[low:high] = block[name]
            found[name] = values[order]
        return found


@dataclass(frozen=True)
class Vocabulary:
    """Names of everything that events refer to by number.

    Parameters
    ----------
    notes
        What notes are about.
    names
        Column → names.
    number
        Numbers of the people in the whole world [people].
    part, days
        Which part of the world these people are, and how many days it has; they keep ids apart.
    """

    notes: Notes
    names: Mapping[str, pa.StringArray]
    number: Ints
    part: int
    days: int

    @classmethod
    def of(
        cls,
        settings: WorldSettings,
        catalogue: Catalogue,
        notes: Notes,
        campaigns: Campaigns,
        *,
        number: Ints,
        part: int,
    ) -> Vocabulary:
        """Make the names."""
        shops = [f"{brand}@{shop}" for brand in catalogue.brand_names for shop in PLATFORMS]
        names = {
            "kind": list(KINDS), "platform": list(PLATFORMS), "note": notes.names, "campaign": campaigns.names,
            "brand": catalogue.brand_names, "category": [category.name for category in CATEGORIES],
            "item": catalogue.item_names, "creator": [f"creator-{n:04d}" for n in range(CREATORS)],
            "topic": topic_names(), "shop": shops,
        }  # fmt: skip
        coded = {name: pa.array(words, pa.string()) for name, words in names.items()}
        return cls(notes, coded, number, part, settings.days)

    def coded(self, name: str, numbers: npt.NDArray[Any]) -> pa.DictionaryArray:
        """Return a column of names; negative numbers are null."""
        codes = pa.array(numbers.astype(np.int32, copy=False), mask=numbers < 0)
        return pa.DictionaryArray.from_arrays(codes, self.names[name])

    def account(self, platform: npt.NDArray[Any], person: npt.NDArray[Any]) -> pa.StringArray:
        """Return the accounts of people, given by row, on platforms."""
        return account_text(platform, self.number[person])

    def prediction(self, day: int, numbers: npt.NDArray[Any]) -> pa.StringArray:
        """Return the ids of a day's predictions, null for negative numbers."""
        return numbered(self.prefix("p", day), np.maximum(numbers, 0).astype(np.int64), numbers >= 0)

    def prefix(self, letter: str, day: int) -> bytes:
        """Return what ids of a day begin with."""
        return prefix(letter, self.part * self.days + day)


def topic_names() -> list[str]:
    """Return the names of topics, which tell their category."""
    return [f"{category.name}-{n + 1}" for category in CATEGORIES for n in range(TOPICS_PER_CATEGORY)]


def day_number(settings: WorldSettings, day: int) -> int:
    """Return a day of the world as days since 1970-01-01."""
    return settings.begin // DAY_SECONDS + day


def events_table(settings: WorldSettings, words: Vocabulary, rows: Rows, day: int, policy: str) -> pa.Table:
    """Lay out a day's events in canonical columns; names are dictionary-coded."""
    found = rows.columns()
    size = len(found["time"])
    note, brand, platform = found["note"], found["brand"], found["platform"].astype(np.int64)
    notes = words.notes
    in_shop = platform >= len(CONTENT_PLATFORMS)
    of_note = {
        name: np.where(note >= 0, getattr(notes, name).astype(np.int32)[note], -1)
        for name in ("creator", "topic", "campaign")
    }
    late = (keys_of(settings.seed, Stream.ARRIVAL, day, np.arange(size)) >> np.uint64(54)).astype(np.int64)
    # One event of a shop in a hundred is reported a day late.
    arrived = found["time"] + _ARRIVES[platform] + (late >> 4) + DAY_SECONDS * (in_shop & (late < 10))
    chosen = found["propensity"] >= 0
    columns: dict[str, pa.Array | pa.DictionaryArray] = {
        "event_id": numbered(words.prefix("e", day), np.arange(size)),
        "source": _one(SOURCE, np.ones(size, bool)),
        "arrived_at": pa.array(arrived),
        "kind": words.coded("kind", found["kind"]),
        "event_time": pa.array(found["time"]),
        "day": pa.array(np.full(size, day_number(settings, day), np.int32)),
        "platform": words.coded("platform", platform),
        "account": words.account(platform, found["person"]),
        "note": words.coded("note", note),
        **{name: words.coded(name, numbers) for name, numbers in of_note.items()},
        "item": words.coded("item", found["item"]),
        "brand": words.coded("brand", brand),
        "category": words.coded("category", found["category"]),
        "shop": words.coded("shop", np.where(in_shop & (brand >= 0), brand * len(PLATFORMS) + platform, -1)),
        "order": numbered(
            prefix("o", words.part), np.maximum(found["order"], 0).astype(np.int64), found["order"] >= 0
        ),
        "amount": _known(found["amount"]),
        "currency": _one(CURRENCY, found["amount"] >= 0),
        "quantity": _known(found["quantity"], np.int64),
        "discount": _known(found["discount"]),
        "dwell_ms": _known(found["dwell"], np.int64),
        "read_percent": _known(found["percent"], np.float64),
        "cost_micros": _known(found["cost"]),
        "position": _known(found["position"], np.int64),
        "propensity": _known(found["propensity"]),
        "policy": _policies(policy, words, chosen, found["instead_of"]),
        "prediction_id": words.prediction(day, found["prediction"]),
    }
    none = {column.name: pa.nulls(size, column.arrow) for column in EVENTS.columns if column.name not in columns}
    return pa.table({column.name: (columns | none)[column.name] for column in EVENTS.columns})


def _policies(
    policy: str, words: Vocabulary, chosen: npt.NDArray[np.bool_], instead_of: npt.NDArray[Any]
) -> pa.DictionaryArray:
    """Name who chose each ad: the policy, or the hold-out of the campaign that the policy had chosen."""
    names = [policy, *(f"hold_out:{name}" for name in words.names["campaign"].to_pylist())]
    codes = pa.array(instead_of.astype(np.int32) + 1, mask=~chosen)
    return pa.DictionaryArray.from_arrays(codes, pa.array(names, pa.string()))


def _known(values: npt.NDArray[Any], dtype: type[np.generic] | None = None) -> pa.Array:
    return pa.array(values if dtype is None else values.astype(dtype), mask=values < 0)


def _one(word: str, where: npt.NDArray[np.bool_]) -> pa.DictionaryArray:
    codes = pa.array(np.zeros(len(where), np.int32), mask=~where)
    return pa.DictionaryArray.from_arrays(codes, pa.array([word], pa.string()))
