"""What was known of persons and of notes as of any instant, in two halves that can live apart.

`PersonHistory` holds what some persons did and answers about them alone, so that it may hold one person or millions
and gives the same numbers. `NoteHistory` holds tallies of notes, creators, brands and categories over everybody, by
full hours: a row at t uses what was known at the last full hour before t.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from threading import Lock
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.asof import NEVER, Int64, Probe, Stream
from features.definitions import Aggregate
from features.errors import FeatureError
from features.events import INTEREST_KINDS, KINDS
from features.impressions.note_items import NoteItems
from features.impressions.note_tallies import GAPS, HOUR, LINKS, Sort, Tallies, sort_of
from features.people.acts import Acts
from features.people.person_links import PersonLinks, numbers_of

Numbers: TypeAlias = dict[Aggregate, Int64]
PERSON_KEYS: Final = {
    "person": None,
    "person_note": "note",
    "person_campaign": "campaign",
    "person_creator": "creator",
    "person_topic": "topic",
    "person_brand": "brand",
    "person_category": "category",
    "person_vertical": "vertical",
    "person_items": "items",
}
"""Key of a statistic of persons → the column that an act shares with the impression (items: one of the note's)."""
SESSION_GAP: Final = 1_800
"""Seconds without an impression after which the next one starts a session."""
_MEASURES: Final = ("count", "days", "sum", "recency", "tenure")
_NOTHING: Final = {"recency": NEVER, "tenure": NEVER}
_MIX: Final = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


def pair_codes(left: Int64, right: Int64) -> Int64:
    """Return one code per pair of codes: a mixing function whose collisions are as rare as those of the codes."""
    mixed = left.astype(np.uint64) * _MIX[0] ^ right.astype(np.uint64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * _MIX[1]
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _MIX[2]
    return (mixed ^ (mixed >> np.uint64(31))).astype(np.int64)


class PersonHistory:
    """Acts of persons, to be counted as of any instant.

    Parameters
    ----------
    acts
        Of one person or of many.
    timezone
        The log's time zone.
    verticals
        Code of a category → code of its vertical, for the key ``person_vertical``.
    """

    def __init__(self, acts: Acts, timezone: str, verticals: Mapping[int, int] | None = None) -> None:
        self.acts, self.timezone = acts, timezone
        self._verticals = dict(verticals or {})

    @cached_property
    def _days(self) -> npt.NDArray[np.int32]:
        return self.acts.days(self.timezone)

    def verticals_of(self, categories: Int64) -> Int64:
        """Return the codes of the verticals of categories, 0 without one."""
        if not self._verticals:
            return np.zeros(len(categories), np.int64)
        known = np.array(sorted(self._verticals), np.int64)
        meant = np.array([self._verticals[code] for code in known.tolist()], np.int64)
        place = np.minimum(np.searchsorted(known, categories), len(known) - 1)
        return np.where(known[place] == categories, meant[place], 0)

    def ask(
        self,
        of: str,
        persons: Int64,
        values: Int64 | None,
        instants: Int64,
        aggregates: Sequence[Aggregate],
        *,
        linked: NoteItems | None = None,
    ) -> Numbers:
        """Return statistics of persons, or of what each did with one value of a column.

        Parameters
        ----------
        of
            One of ``PERSON_KEYS``.
        persons
            n codes of `features.people.acts.person_codes`.
        values
            n codes of the column's values, 0 for none; None for the key ``person``, notes for ``person_items``.
        instants
            n epoch seconds; only what was known by then counts.
        aggregates
            With past windows and the measures count, days, sum, recency and tenure.
        linked
            Which items notes link, for ``person_items``.

        Returns
        -------
        dict
            int64 arrays of n; recency and tenure are `NEVER` without an event.
        """
        acts, keys, probe = self._keyed(of, persons, values, instants, linked)
        days = self._days[acts]
        kinds, since, times = (self.acts[name][acts] for name in ("kind", "since", "time"))
        found: Numbers = {}
        for sort, wanted, windows in _grouped(tuple(aggregates), _MEASURES):
            chosen = np.flatnonzero(self._mask(sort, kinds, acts))
            if not len(chosen):  # often so where one person is asked about
                found |= {a: np.full(len(instants), _NOTHING.get(a.measure, 0), np.int64) for a in wanted}
                continue
            if sort.measure == "days":
                chosen = chosen[_first_of_day(keys[chosen], days[chosen], since[chosen])]
            stream = Stream(
                keys[chosen],
                since[chosen],
                days[chosen],
                windows,
                values=self.acts[sort.of][acts[chosen]] if sort.of else None,
                times=times[chosen],
                timezone=self.timezone,
            )
            found |= {a: _measured(stream, probe, a, instants) for a in wanted}
        return found

    def session(self, persons: Int64, instants: Int64) -> Int64:
        """Return how many impressions the running session has had before each instant."""
        acts, keys, probe = self._keyed("person", persons, None, instants)
        seen = np.flatnonzero(self.acts["kind"][acts] == KINDS.index("impression"))
        return Stream(keys[seen], self.acts["since"][acts[seen]]).run(probe, SESSION_GAP)

    def _keyed(
        self, of: str, persons: Int64, values: Int64 | None, instants: Int64, linked: NoteItems | None = None
    ) -> tuple[npt.NDArray[np.intp], Int64, Probe]:
        """Rows of the acts whose key is asked for, their keys numbered from 0, and the probe."""
        column = PERSON_KEYS[of]
        asked, owned, rows = persons, self.acts["person"], None
        if column is not None and values is not None:
            if column == "items":
                rows, own = self._with_items(values, linked)
                owned, there = owned[rows], values
            elif column == "vertical":
                own, there = self.verticals_of(self.acts["category"]), self.verticals_of(values)
            else:
                own, there = self.acts[column], values
            asked, owned = pair_codes(persons, there), pair_codes(owned, own)
            asked, owned = np.where(there == 0, 0, asked), np.where(own == 0, 0, owned)
        encoded = pa.array(asked).dictionary_encode()
        place = numbers_of(pc.fill_null(pc.index_in(pa.array(owned), encoded.dictionary), NEVER))
        acts = np.flatnonzero((place != NEVER) & (owned != 0))
        return acts if rows is None else rows[acts], place[acts], Probe(numbers_of(encoded.indices), instants)

    def _with_items(self, notes: Int64, linked: NoteItems | None) -> tuple[npt.NDArray[np.intp], Int64]:
        """Rows of acts in shops with an item that a note links, once per note, and the notes."""
        if linked is None:
            return np.empty(0, np.intp), np.empty(0, np.int64)
        rows = np.flatnonzero((self.acts["kind"] >= len(INTEREST_KINDS)) & (self.acts["item"] != 0))
        place, note = linked.among(np.unique(notes)).notes_of(self.acts["item"][rows])
        return rows[place], note

    def _mask(self, sort: Sort, kinds: npt.NDArray[np.uint8], acts: npt.NDArray[np.intp]) -> npt.NDArray[np.bool_]:
        wanted = np.zeros(len(KINDS), bool)
        wanted[[KINDS.index(kind) for kind in sort.kinds]] = True
        mask = wanted[kinds]
        if sort.condition == "deep_read":
            return mask & self.acts["deep"][acts]
        return mask & (self.acts["campaign"][acts] != 0) if sort.condition == "paid" else mask


@lru_cache(maxsize=1_024)
def _grouped(
    aggregates: tuple[Aggregate, ...], measures: tuple[str, ...]
) -> tuple[tuple[Sort, tuple[Aggregate, ...], tuple[int, ...]], ...]:
    """Sorts of events, the aggregates that take them, and their windows in days."""
    groups: dict[Sort, list[Aggregate]] = {}
    for aggregate in aggregates:
        if aggregate.measure == "tenure" and aggregate.window.days is not None:
            raise FeatureError(
                "the first event of a window is not kept, only that of all the past", value=aggregate.name
            )
        groups.setdefault(sort_of(aggregate, measures), []).append(aggregate)
    return tuple(
        (sort, tuple(wanted), tuple(sorted({a.window.days for a in wanted if a.window.days is not None})))
        for sort, wanted in groups.items()
    )


def _measured(stream: Stream, probe: Probe, aggregate: Aggregate, instants: Int64) -> Int64:
    window = aggregate.window.days
    if aggregate.measure not in {"recency", "tenure"}:
        return stream.totals(probe, window)
    found = stream.last(probe) if aggregate.measure == "recency" else stream.first(probe)
    missing = found == NEVER
    if window is not None:
        missing |= stream.totals(probe, window) == 0
    return np.where(missing, NEVER, instants - found)


def _first_of_day(keys: Int64, days: npt.NDArray[np.int32], since: Int64) -> npt.NDArray[np.intp]:
    """Return the numbers of the events that made each day of a key known first."""
    order = np.lexsort((since, days, keys))
    first = np.ones(len(order), bool)
    first[1:] = (keys[order][1:] != keys[order][:-1]) | (days[order][1:] != days[order][:-1])
    return order[first]


class NoteHistory:
    """Tallies over everybody, to be read as of any instant.

    Parameters
    ----------
    tallies
        What `features.impressions.note_tallies.read_tallies` read.
    """

    def __init__(self, tallies: Tallies) -> None:
        self.tallies = tallies
        self.timezone = tallies.timezone
        self._keys: dict[str, Int64] = {}
        self._streams: dict[tuple[str, Sort, tuple[int, ...]], Stream] = {}
        self._gaps: list[tuple[Int64, Stream]] = []
        self._making = Lock()

    def ask(self, of: str, values: Int64, instants: Int64, aggregates: Sequence[Aggregate]) -> Numbers:
        """Return statistics as of the last full hour before each instant.

        Parameters
        ----------
        of
            One of ``NOTE_KEYS``.
        values
            n codes of that key, 0 for none.
        instants
            n epoch seconds.
        aggregates
            Counts and sums that the tallies hold.
        """
        table = self.tallies.tables[of]
        if of not in self._keys:
            self._keys[of] = np.unique(numbers_of(table["key"]))
        probe = self._probe(self._keys[of], values, instants)
        found: Numbers = {}
        for sort, wanted, windows in _grouped(tuple(aggregates), ("count", "sum")):
            stream = self._stream(of, sort, windows)
            found |= {a: stream.totals(probe, a.window.days) for a in wanted}
        return found

    def gaps(self, categories: Int64, instants: Int64) -> tuple[Int64, Int64]:
        """Return the days between purchase days of categories, summed over accounts, and how many gaps they are."""
        table = self.tallies.tables[GAPS]
        if not self._gaps:
            keys = np.unique(numbers_of(table["key"]))
            place, since = _places(keys, numbers_of(table["key"])), numbers_of(table["hour"]) * HOUR
            streams = [Stream(place, since, values=numbers_of(table[c]), grain=HOUR) for c in ("days", "times")]
            self._gaps = [(keys, stream) for stream in streams]
        keys = self._gaps[0][0]
        probe = self._probe(keys, categories, instants)
        days, times = (stream.totals(probe) for _, stream in self._gaps)
        return days, times

    @cached_property
    def linked(self) -> NoteItems | None:
        """Which items notes link, as far as a table said so."""
        return NoteItems.of(self.tallies.tables[LINKS]) if LINKS in self.tallies.tables else None

    def _probe(self, keys: Int64, values: Int64, instants: Int64) -> Probe:
        return Probe(_places(keys, values), instants // HOUR)

    def _stream(self, of: str, sort: Sort, windows: tuple[int, ...]) -> Stream:
        key = (of, sort, windows)
        with self._making:  # one that another thread makes is waited for: it may be large
            if key not in self._streams:
                table = self.tallies.rows(of, sort)
                self._streams[key] = Stream(
                    _places(self._keys[of], numbers_of(table["key"])),
                    numbers_of(table["hour"]) * HOUR,
                    numbers_of(table["day"]),
                    windows,
                    values=numbers_of(table["value"]),
                    timezone=self.timezone,
                    grain=HOUR,
                )
            return self._streams[key]


def _places(keys: Int64, values: Int64) -> Int64:
    """Return each value's place among sorted keys, `NEVER` where it is not one of them."""
    if not len(keys):
        return np.full(len(values), NEVER, np.int64)
    place = np.minimum(np.searchsorted(keys, values), len(keys) - 1)
    return np.where(keys[place] == values, place, NEVER)


@dataclass(frozen=True)
class History:
    """Both halves, and whose accounts were whose.

    Parameters
    ----------
    people
        What persons did.
    notes
        What everybody did with notes.
    links
        Tells the versions of persons from whom accounts were taken; None where the acts are of one version.
    """

    people: PersonHistory
    notes: NoteHistory
    links: PersonLinks | None = None
