"""Rows of impressions of one person at one instant: those of `features.impressions.features`, bit by bit.

What is the same for all candidates is computed once, and what is the same for all persons once an hour.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from features.asof import Int64
from features.days import day_of
from features.definitions import Aggregate
from features.events import INTEREST_KINDS
from features.impressions import context
from features.impressions.features import Float32, ImpressionFeatures
from features.impressions.history import PERSON_KEYS, NoteHistory, pair_codes
from features.impressions.note_links import NoteLinks
from features.impressions.note_moment import NoteMoment, NoteMoments
from features.impressions.note_tallies import EVERYTHING, NOTE_KEYS
from features.impressions.numbers import CODES, NUMBERS, ImpressionNumbers
from features.impressions.person_moment import PersonMoment, PersonPlan
from features.impressions.statistic_plan import StatisticPlan
from features.impressions.tag_scores import TagScores
from features.people.acts import ACT_COLUMNS, Acts, code_of

_MORE: Final[dict[str, tuple[Aggregate, ...]]] = {
    "person": (context.PAID, context.PIECES),
    "person_category": (context.PAID, context.PIECES, context.DAYS, context.LAST, context.FIRST),
}
"""What columns need beside the statistics."""


class MomentRows:
    """Computes rows; made once per model and once per reading of the tallies.

    Parameters
    ----------
    features
        F columns.
    notes
        Tallies over everybody.
    """

    def __init__(self, features: ImpressionFeatures, notes: NoteHistory) -> None:
        self.features = features
        self._notes = NoteMoments(features, notes)
        self._links = NoteLinks(notes.linked)
        self._timezone = notes.timezone
        by_key = features.by_key
        self._needed = {
            of: tuple(dict.fromkeys((*by_key.get(of, ((), ()))[1], *_MORE.get(of, ())))) for of in PERSON_KEYS
        }
        self._person = PersonPlan(self._needed)
        self._plans = {
            of: StatisticPlan(by_key.get(of, ((), ()))[0], needed) for of, needed in self._needed.items()
        }
        verticals = sorted((code_of(category), code_of(vertical)) for category, vertical in features.verticals)
        self._categories, self._verticals = np.array([*verticals, (0, 0)], np.int64)[: len(verticals)].T
        made = [
            statistic.name
            for of in (*PERSON_KEYS, *(of for of in NOTE_KEYS if of != EVERYTHING))
            for statistic in by_key.get(of, ((), ()))[0]
        ]
        every = replace(features, only=()).columns
        self._made = (*made, *context.CONTEXT, *every[len(every) - len(features.patterns) :])
        place = {name: number for number, name in enumerate(self._made)}
        self._order = np.array([place[name] for name in features.columns], np.intp)

    def warm(self, time: int) -> None:
        """Sort the tallies, which the first rows would have to wait for; `time` is an instant that may be asked."""
        day = int(day_of(time, self._timezone))
        codes, numbers = dict.fromkeys(CODES, np.zeros(1, np.int64)), dict.fromkeys(NUMBERS, np.zeros(1))
        nobody = Acts({name: np.empty(0, kind) for name, kind in ACT_COLUMNS.items()})
        self.rows(nobody, ImpressionNumbers(time, day, self._timezone, codes, numbers))

    def rows(
        self, acts: Acts, asked: ImpressionNumbers, scores: TagScores | None = None, person: int = 0
    ) -> Float32:
        """Return the rows, float32 [n, F].

        Parameters
        ----------
        acts
            What the person did.
        asked
            The impressions.
        scores, person
            Tag scores, and the code of the person; their columns are NaN without.
        """
        mine = PersonMoment(self._person, acts, asked.time, self._timezone)
        notes = self._notes.at(asked.time, asked.day)
        made = np.empty((len(asked), len(self._made)), np.float32)
        at = 0

        def write(block: npt.NDArray[Any]) -> None:
            nonlocal at
            made[:, at : at + block.shape[1]] = block
            at += block.shape[1]

        person_ = mine.everything()
        write(self._plans["person"].table(person_, notes.drawn_to).T)
        columns = {}
        for of, column in PERSON_KEYS.items():
            if column is None:
                continue
            if column == "items":
                block, columns["linked_items"] = self._of_items(mine, notes, asked)
            else:
                found, place, lacking = self._by_value(of, column, mine, asked)
                table = self._plans[of].table(found, notes.drawn_to)
                table[:, lacking] = np.nan
                block = table.T[place]
                if of == "person_category":
                    here, where = found, place
            write(block)
        for of in self._notes.plans:
            write(notes.table(of, asked.codes[of]))
        usual = notes.usual(asked.codes["category"])
        columns |= context.moment_columns(asked)
        columns |= self._shopping(asked, person_, here[:, where], usual.price, usual.gap)
        columns["session_impressions"] = np.array(float(mine.session()))
        for name in context.CONTEXT:
            made[:, at] = columns[name]
            at += 1
        made[:, at:] = np.nan
        if scores is not None and self.features.patterns:
            persons, times = np.full(len(asked), person), np.full(len(asked), asked.time)
            found_scores = scores.columns(self.features.patterns, persons, asked.codes["category"], times)
            for number, pattern in enumerate(self.features.patterns):
                made[:, at + number] = found_scores[pattern]
        return made.take(self._order, axis=1)

    def _by_value(
        self, of: str, column: str, mine: PersonMoment, asked: ImpressionNumbers
    ) -> tuple[Int64, npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
        """Return the counts for distinct values, which of them each impression has, and which is none."""
        if column == "vertical":
            own, values = self._of_category(mine.acts["category"]), self._of_category(asked.codes["category"])
        else:
            own, values = mine.acts[column], asked.codes[column]
        distinct, place = np.unique(values, return_inverse=True)
        return mine.by_value(of, own, distinct), place, distinct == 0

    def _of_category(self, categories: Int64) -> Int64:
        """Return the codes of the verticals of categories, 0 without one."""
        if not len(self._categories):
            return np.zeros(len(categories), np.int64)
        place = np.minimum(np.searchsorted(self._categories, categories), len(self._categories) - 1)
        return np.where(self._categories[place] == categories, self._verticals[place], 0)

    def _of_items(
        self, mine: PersonMoment, notes: NoteMoment, asked: ImpressionNumbers
    ) -> tuple[Float32, npt.NDArray[np.float64]]:
        """Return the statistics of the items that each note links, and how many these are."""
        note, item = asked.codes["note"], asked.codes["item"]
        _, first, place = np.unique(pair_codes(note, item), return_index=True, return_inverse=True)
        where, linked = self._links.of(note[first], item[first])
        many = np.bincount(where, minlength=len(first))
        shop = np.flatnonzero((mine.acts["kind"] >= len(INTEREST_KINDS)) & (mine.acts["item"] != 0))
        items = mine.acts["item"][shop]
        begin, end = (np.searchsorted(linked, items, side=side) for side in ("left", "right"))
        times = end - begin
        within = np.arange(times.sum()) - np.repeat(np.cumsum(times) - times, times)
        counted = where[np.repeat(begin, times) + within]
        found = mine.by_place("person_items", np.repeat(shop, times), counted, len(first))
        table = self._plans["person_items"].table(found, notes.drawn_to)
        table[:, many == 0] = np.nan
        return table.T[place], many[place].astype(np.float64)

    def _shopping(
        self,
        asked: ImpressionNumbers,
        person: Int64,
        here: Int64,
        usual_price: npt.NDArray[np.float64],
        usual_gap: npt.NDArray[np.float64],
    ) -> context.Columns:
        mine, there = (
            {a: rows[self._needed[of].index(a)] for a in _MORE[of]}
            for of, rows in (("person", person), ("person_category", here))
        )
        mean = {
            "person_price": context.ratio(mine[context.PAID], mine[context.PIECES]),
            "person_category_price": context.ratio(there[context.PAID], there[context.PIECES]),
            "category_price": usual_price,
        }
        own = there[context.DAYS], there[context.LAST], there[context.FIRST]
        return context.over(asked.numbers["price"], mean) | context.gaps(*own, usual_gap)
