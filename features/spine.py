"""The spine: for whom and as of when features are computed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.days import DAY_SECONDS, day_of
from features.errors import FeatureError

LATEST_INSTANT: Final = 4_102_444_800
"""2100-01-01: a later instant is a wrong unit."""
SPINE_SCHEMA = pa.schema(
    [
        pa.field("row", pa.int64()),  # 0..n-1, the order of every matrix
        pa.field("person", pa.string()),
        pa.field("instant", pa.int64()),  # epoch seconds: events strictly before it are the past
        pa.field("instant_day", pa.int32()),  # day of the instant in the log's time zone
        pa.field("known_at", pa.int64()),  # only events that had arrived by then are used
    ]
)
ACCOUNTS_SCHEMA = pa.schema([pa.field("row", pa.int64()), pa.field("account", pa.string())])


@dataclass(frozen=True)
class Spine:
    """People × instants, and which accounts were theirs at each.

    Parameters
    ----------
    rows
        One row per feature row, schema ``SPINE_SCHEMA``, ordered by ``row``; further columns may carry further
        keys that an event must share, such as ``brand``.
    accounts
        The accounts whose events count for each row, schema ``ACCOUNTS_SCHEMA``; a pair occurs once.
    timezone
        The log's time zone, in which days are counted.
    """

    rows: pa.Table
    accounts: pa.Table
    timezone: str = "UTC"

    def __len__(self) -> int:
        return int(self.rows.num_rows)

    @property
    def persons(self) -> list[str]:
        """Person keys in row order."""
        names: list[str] = self.rows["person"].to_pylist()
        return names

    @property
    def instants(self) -> npt.NDArray[np.int64]:
        """Instants in row order."""
        return self._column("instant")

    @property
    def days(self) -> npt.NDArray[np.int64]:
        """Days of the instants, in row order."""
        return self._column("instant_day")

    @property
    def known_at(self) -> npt.NDArray[np.int64]:
        """By when an event must have arrived, in row order."""
        return self._column("known_at")

    def take(self, rows: npt.ArrayLike) -> Spine:
        """Return the given rows, numbered anew from 0 in the given order.

        Examples
        --------
        >>> two = spine_of({"ann": ["a"], "bob": ["b", "c"]}, [86_400])
        >>> two.take([1]).accounts.to_pylist()
        [{'row': 0, 'account': 'b'}, {'row': 0, 'account': 'c'}]
        """
        chosen = np.asarray(rows, dtype=np.int64)
        number = np.full(len(self), -1, np.int64)
        number[chosen] = np.arange(len(chosen))
        renumbered = number[np.asarray(self.accounts["row"])]
        kept = renumbered >= 0
        accounts = self.accounts.filter(pa.array(kept)).set_column(0, "row", pa.array(renumbered[kept]))
        table = self.rows.take(pa.array(chosen))
        return Spine(_with(table, "row", np.arange(len(chosen))), accounts, self.timezone)

    def chunks(self, size: int) -> Iterator[tuple[npt.NDArray[np.int64], Spine]]:
        """Yield (row numbers, part of the spine) of about `size` rows, a person's rows always together.

        Parameters
        ----------
        size
            Most rows in a part, unless one person alone has more.
        """
        if not len(self):
            return
        codes = self.rows["person"].combine_chunks().dictionary_encode().indices.to_numpy(zero_copy_only=False)
        order = np.argsort(codes, kind="stable")
        ends = np.append(np.flatnonzero(np.diff(codes[order])) + 1, len(order))
        start = 0
        while start < len(order):
            last = int(np.searchsorted(ends, start + size, side="right")) - 1
            end = int(ends[max(last, int(np.searchsorted(ends, start, side="right")))])
            part = np.sort(order[start:end])
            yield part, self.take(part)
            start = end

    def shift(self, days: int) -> Spine:
        """Move every instant back by `days` × 86,400 seconds; what is known and whose accounts are kept.

        Examples
        --------
        >>> spine_of({"ann": ["a"]}, [10 * 86_400]).shift(3).rows["instant_day"].to_pylist()
        [7]
        """
        instants = self.instants - days * DAY_SECONDS
        table = _with(self.rows, "instant", instants)
        return Spine(_with(table, "instant_day", day_of(instants, self.timezone)), self.accounts, self.timezone)

    def known(self, at: int) -> Spine:
        """Return the same rows knowing all that had arrived by `at`, as labels do once they are mature."""
        return Spine(_with(self.rows, "known_at", np.full(len(self), at)), self.accounts, self.timezone)

    def _column(self, name: str) -> npt.NDArray[np.int64]:
        return np.asarray(self.rows[name].to_numpy(), dtype=np.int64)


def spine_of(
    accounts: Mapping[str, Sequence[str]],
    instants: Sequence[int],
    timezone: str = "UTC",
    known_at: int | None = None,
) -> Spine:
    """Make a spine of people whose accounts are known already.

    Parameters
    ----------
    accounts
        Person key → account keys.
    instants
        Epoch seconds; every person is asked for at each.
    timezone
        The log's time zone.
    known_at
        Only events that had arrived by then count; each instant itself by default.

    Returns
    -------
    Spine
        Instants in the given order, and people by key within each.

    Raises
    ------
    FeatureError
        An instant is not in epoch seconds.

    Examples
    --------
    >>> len(spine_of({"ann": ["a"], "bob": ["b"]}, [86_400, 172_800]))
    4
    """
    persons = sorted(accounts)
    owned = [list(dict.fromkeys(accounts[person])) for person in persons]
    owner = np.repeat(np.arange(len(persons)), [len(keys) for keys in owned])
    rows = (np.arange(len(instants))[:, None] * len(persons) + owner).ravel()
    return assemble(
        pa.array(persons * len(instants), pa.string()),
        np.repeat(np.array(instants, np.int64), len(persons)),
        pa.table([rows, [key for keys in owned for key in keys] * len(instants)], schema=ACCOUNTS_SCHEMA),
        timezone,
        known_at,
    )


def assemble(
    persons: Any, instants: npt.NDArray[np.int64], accounts: pa.Table, timezone: str, known_at: int | None
) -> Spine:
    """Put the columns of a spine together; `known_at` None means each row's own instant."""
    if len(instants) and instants.max() >= LATEST_INSTANT:
        raise FeatureError("an instant is not in epoch seconds", value=int(instants.max()))
    columns = [
        np.arange(len(instants)),
        persons,
        instants,
        day_of(instants, timezone),
        instants if known_at is None else np.full(len(instants), known_at),
    ]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, SPINE_SCHEMA, strict=True)]
    return Spine(pa.table(arrays, schema=SPINE_SCHEMA), accounts, timezone)


def _with(table: pa.Table, name: str, values: npt.NDArray[Any]) -> pa.Table:
    field = table.schema.field(name)
    return table.set_column(table.schema.get_field_index(name), field, pa.array(values, field.type))
