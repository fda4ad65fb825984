"""What persons did, as arrays of integers: the form in which a person's history is kept and counted.

Texts become 64-bit codes that depend on the text alone, so that a history that was packed elsewhere, of one person
or of millions, counts alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.asof import Int64
from features.days import day_of
from features.errors import FeatureError
from features.events import KINDS
from features.joins import relation_of
from features.people.person_links import PersonLinks, numbers_of
from features.spine import LATEST_INSTANT

ACT_COLUMNS: Final[dict[str, type[np.generic]]] = {
    "person": np.int64,  # code of the person and version, see `person_codes`
    "kind": np.uint8,  # place in features.events.KINDS
    "deep": np.bool_,  # long or far enough for a deep read
    "time": np.int64,
    "since": np.int64,  # from when it is known and the person's
    "note": np.int64,  # codes, 0 for none
    "creator": np.int64,
    "topic": np.int64,
    "campaign": np.int64,
    "brand": np.int64,
    "category": np.int64,
    "item": np.int64,
    "amount": np.int64,
    "quantity": np.int64,  # at least 1
}
CODED: Final = ("note", "creator", "topic", "campaign", "brand", "category", "item")
READ: Final = (
    "account", "kind", "event_time", "arrived_at", "dwell_ms", "read_percent", *CODED, "amount", "quantity",
)  # fmt: skip
"""Columns of events that `read_acts` reads."""
MOST_REMEMBERED: Final = 100_000
"""Texts whose codes are kept: about 25 MB with ids of 32 characters."""
_VERSION_STEP: Final = 0x5851F42D4C957F2D
_QUERY: Final = """
select o.number, e.kind, coalesce(e.dwell_ms, 0) >= 5000 or coalesce(e.read_percent, 0) >= 50 as deep,
    e.event_time as time, greatest(e.event_time + 1, e.arrived_at, o.since) as since, {coded},
    coalesce(e.amount, 0) as amount, greatest(coalesce(e.quantity, 1), 1) as quantity
from events_ e join owned_ o using (account)
where (e.event_time >= {after} or e.kind in ({kept})) and e.event_time < {before}
"""
Array = npt.NDArray[Any]


@lru_cache(maxsize=MOST_REMEMBERED)
def code_of(text: str) -> int:
    """Return the 64-bit code of a text, never 0, which stands for no text.

    Examples
    --------
    >>> code_of("tea") == code_of("tea"), code_of("tea") == code_of("milk")
    (True, False)
    """
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little", signed=True) or 1


def codes_of(column: pa.ChunkedArray | pa.Array) -> Int64:
    """Return the codes of a column of texts, 0 where it is null."""
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    encoded = whole.dictionary_encode()
    codes = np.array([0, *map(code_of, encoded.dictionary.to_pylist())], np.int64)
    return codes[numbers_of(pc.fill_null(encoded.indices, -1)) + 1]


def person_codes(persons: pa.ChunkedArray | pa.Array, versions: Int64 | None = None) -> Int64:
    """Return the codes of persons; of each version another one, see `PersonLinks.holdings`."""
    codes = codes_of(persons)
    return codes if versions is None else codes + versions * np.int64(_VERSION_STEP)


@dataclass(frozen=True)
class Acts:
    """Events of persons, column by column in any order.

    Parameters
    ----------
    columns
        The columns of ``ACT_COLUMNS``, all of one length.
    """

    columns: Mapping[str, Array]

    def __post_init__(self) -> None:
        if list(self.columns) != list(ACT_COLUMNS):
            raise FeatureError("acts have other columns", value=list(self.columns), valid=ACT_COLUMNS)

    def __len__(self) -> int:
        return len(self.columns["time"])

    def __getitem__(self, name: str) -> Array:
        return self.columns[name]

    def take(self, rows: npt.ArrayLike) -> Acts:
        """Return the given rows (numbers or a mask)."""
        chosen = np.asarray(rows)
        return Acts({name: column[chosen] for name, column in self.columns.items()})

    def days(self, timezone: str) -> npt.NDArray[np.int32]:
        """Return the day of each act in a time zone."""
        return day_of(self["time"], timezone)


def read_acts(
    events: Any,
    links: PersonLinks,
    persons: pa.Array,
    *,
    after: int = 0,
    before: int = LATEST_INSTANT,
    kept: tuple[str, ...] = KINDS,
    at: int | None = None,
) -> Acts:
    """Read what some persons did, with all accounts that were ever theirs.

    Parameters
    ----------
    events
        Canonical events, as `features.rows.batch.aggregate` takes them but for Spark.
    links
        Whose accounts are whose.
    persons
        Person keys; repeats are welcome.
    after, before
        Leave out what happened before the one or from the other on, epoch seconds.
    kept
        Kinds that are read from the beginning all the same.
    at
        Only what counts for the persons at that instant and after it, until an account is taken from one: the codes
        are then those of the persons alone, without a version. By default each version has its acts.

    Returns
    -------
    Acts
        In no particular order.
    """
    owned = links.accounts_of(pc.unique(persons))
    if at is not None:
        present = links.versions(owned["person"].combine_chunks(), np.full(len(owned), at))
        owned = owned.filter(pa.array(numbers_of(owned["version"]) == present))
    codes = person_codes(owned["person"], numbers_of(owned["version"]) if at is None else None)
    owned_ = pa.table({"account": owned["account"], "number": np.arange(len(codes)), "since": owned["since"]})  # noqa: F841
    question = _QUERY.format(
        coded=", ".join(f"e.{name}" for name in CODED),
        after=int(after),
        before=int(before),
        kept=", ".join(f"'{k}'" for k in kept) or "''",
    )
    found = relation_of(events).query("events_", question).to_arrow_table()
    kinds = pa.array(KINDS)
    made: dict[str, Array] = {
        "person": codes[numbers_of(found["number"])],
        "kind": numbers_of(pc.index_in(found["kind"], kinds)),
    }
    for name in ACT_COLUMNS:
        if name in CODED:
            made[name] = codes_of(found[name])
        elif name not in made:
            made[name] = found[name].to_numpy()
    return Acts({name: made[name].astype(dtype) for name, dtype in ACT_COLUMNS.items()})
