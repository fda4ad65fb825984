"""What everybody did with notes as of one hour: a row per note, brand or category, made when first asked for."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Final

import numpy as np
import numpy.typing as npt

from features.asof import Int64
from features.days import DAY_SECONDS, utc_of_local
from features.impressions import context
from features.impressions.columns import Rate
from features.impressions.features import ImpressionFeatures
from features.impressions.history import NoteHistory
from features.impressions.note_tallies import EVERYTHING, GAPS, HOUR, NOTE_KEYS
from features.impressions.statistic_plan import StatisticPlan
from features.people.acts import code_of
from features.people.person_links import numbers_of

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
_HOURS: Final = 4
_MOST_ROWS: Final = 100_000
_FIRST_ROWS: Final = 256
_USUAL: Final = 2
"""Beside the statistics of a category: the usual price of a piece, and the usual days between purchases."""


@dataclass(frozen=True)
class UsualOf:
    """What is usual in categories, float64 [n], NaN where nothing tells."""

    price: Float64
    gap: Float64


class _Rows:
    """Rows of one key as of one hour, in the order in which they were first asked for."""

    def __init__(self, keys: int, width: int, more: int) -> None:
        self.place = np.full(keys, -1, np.int32)
        self.table = np.empty((_FIRST_ROWS, width), np.float32)
        self.more = np.empty((_FIRST_ROWS, more), np.float64)
        self.many = 0

    def add(self, keys: Int64, table: Float32, more: Float64) -> None:
        """Add rows; who reads meanwhile finds either none or the whole row."""
        until = self.many + len(keys)
        if until > len(self.table):
            room = max(2 * len(self.table), until)
            self.table, self.more = (
                np.concatenate([old, np.empty((room - len(old), old.shape[1]), old.dtype)])
                for old in (self.table, self.more)
            )
        self.table[self.many : until], self.more[self.many : until] = table, more
        self.place[keys] = np.arange(self.many, until)
        self.many = until


class NoteMoment:
    """Statistics of notes as of one hour of one day; any number of threads may ask.

    Parameters
    ----------
    history
        The tallies.
    moments
        What is computed.
    hour, day
        Full hours since 1970; the day in the log's time zone, whose start the rates over everybody end with.
    """

    def __init__(self, history: NoteHistory, moments: NoteMoments, hour: int, day: int) -> None:
        self._history, self._moments, self._hour = history, moments, hour
        start = utc_of_local(np.array([day * DAY_SECONDS]), history.timezone)
        pairs = moments.features.priors
        aggregates = list(dict.fromkeys(aggregate for pair in pairs.values() for aggregate in pair))
        found = history.ask(EVERYTHING, np.array([code_of("")]), start, aggregates)
        self.drawn_to: Mapping[Rate, float] = {
            rate: float(context.ratio(found[top], found[base])[0]) for rate, (top, base) in pairs.items()
        }
        self._rows: dict[str, _Rows] = {}
        self._lock = Lock()

    def table(self, of: str, values: Int64) -> Float32:
        """Return the statistics of a key for n codes, float32 [n, statistics]; those of no code are NaN."""
        held, at = self._at(of, values)
        found = held.table[at]
        found[values == 0] = np.nan
        return found

    def usual(self, categories: Int64) -> UsualOf:
        """Return what is usual in n categories."""
        held, at = self._at("category", categories)
        price, gap = held.more[at].T
        return UsualOf(price, gap)

    def _at(self, of: str, values: Int64) -> tuple[_Rows, npt.NDArray[np.int32]]:
        keys = self._moments.keys[of]
        place = (
            np.minimum(np.searchsorted(keys, values), len(keys) - 1) if len(keys) else np.zeros(len(values), int)
        )
        if len(keys):
            place = np.where(keys[place] == values, place, len(keys))
        held = self._rows.get(of)
        at = None if held is None else held.place[place]
        if held is None or at is None or bool((at < 0).any()):
            with self._lock:
                held = self._made(of, np.unique(place))
            at = held.place[place]
        return held, at

    def _made(self, of: str, places: Int64) -> _Rows:
        """Return rows that hold the given places, among others."""
        keys, plan = self._moments.keys[of], self._moments.plans[of]
        more = _USUAL if of == "category" else 0
        held = self._rows.get(of)
        if held is None or held.many + len(places) > _MOST_ROWS:
            held = _Rows(len(keys) + 1, plan.size, more)
        missing = places[held.place[places] < 0]
        # What the tallies do not hold is all alike: one row stands for it.
        values = np.append(keys, 0)[missing]
        needed = self._moments.needed[of]
        instants = np.full(len(values), self._hour * HOUR)
        wanted = (*needed, context.LATELY_PAID, context.LATELY_PIECES) if more else needed
        found = self._history.ask(of, values, instants, wanted)
        beside = np.empty((len(values), more), np.float64)
        if more:
            beside[:, 0] = context.ratio(found[context.LATELY_PAID], found[context.LATELY_PIECES])
            beside[:, 1] = context.ratio(*self._history.gaps(values, instants))
        counted = np.stack([found[a] for a in needed]) if needed else np.empty((0, len(values)), np.int64)
        held.add(missing, plan.table(counted, self.drawn_to).T, beside)
        self._rows[of] = held
        return held


class NoteMoments:
    """The hours that are asked about, the latest few of them kept.

    Parameters
    ----------
    features
        Which statistics.
    history
        The tallies.
    """

    def __init__(self, features: ImpressionFeatures, history: NoteHistory) -> None:
        self.features, self._history = features, history
        self.keys: dict[str, Int64] = {}
        self.needed, self.plans = {}, {}
        for of in NOTE_KEYS:
            if of == EVERYTHING:
                continue
            statistics, self.needed[of] = features.by_key.get(of, ((), ()))
            self.plans[of] = StatisticPlan(statistics, self.needed[of])
            tables = [history.tallies.tables[name] for name in ([of, GAPS] if of == "category" else [of])]
            self.keys[of] = np.unique(np.concatenate([numbers_of(table["key"]) for table in tables]))
        self._moments: OrderedDict[tuple[int, int], NoteMoment] = OrderedDict()
        self._lock = Lock()

    def at(self, time: int, day: int) -> NoteMoment:
        """Return the statistics as of the last full hour before an instant of a day."""
        key = time // HOUR, day
        with self._lock:
            moment = self._moments.get(key)
            if moment is None:
                moment = self._moments[key] = NoteMoment(self._history, self, *key)
            self._moments.move_to_end(key)
            while len(self._moments) > _HOURS:
                self._moments.popitem(last=False)
        return moment
