"""Which impression an event answers: the latest one before it, by how far the person had gone with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.asof import Int64, packed
from features.impressions.response_query import Material
from features.people.person_links import numbers_of

_NONE = -1
_NO_ANSWER = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Answers:
    """The first answer to each impression, and when one was first known; the greatest integer without any."""

    happened: Int64
    known: Int64

    def both(self, other: Answers) -> Answers:
        """Return when both had happened, and were known."""
        return Answers(np.maximum(self.happened, other.happened), np.maximum(self.known, other.known))

    def write(self, rows: Int64, happened: Int64, known: Int64) -> None:
        """Write the answers of the impressions that have a row; 0 stands for none."""
        there = np.flatnonzero((rows >= 0) & (self.happened < _NO_ANSWER))
        happened[rows[there]], known[rows[there]] = self.happened[there], self.known[there]


class Matcher:
    """Finds the impression of every event.

    Parameters
    ----------
    material
        Impressions and events. Call `clicks` and `links` before what builds on them.
    """

    def __init__(self, material: Material) -> None:
        touches, answers = material.touches, material.answers
        self.times = numbers_of(touches["time"])
        self.rows = numbers_of(pc.fill_null(touches["row"], _NONE))
        self._held = numbers_of(touches["held"])
        self._account = touches["account"], answers["account"]
        self._keys = {name: _keys(touches, answers, name) for name in ("note", "brand")}
        self._event = numbers_of(answers["event"])
        self._kind = answers["kind"].combine_chunks()
        self._time = numbers_of(answers["time"])
        self._arrived = numbers_of(answers["arrived_at"])
        self._answer_held = numbers_of(answers["held"])
        self._predicted = _predictions(touches["prediction_id"], answers["prediction_id"])
        accounts = pa.chunked_array([*touches["account"].chunks, *answers["account"].chunks]).combine_chunks()
        codes = numbers_of(accounts.dictionary_encode().indices)
        self._accounts = codes[: len(self.times)], codes[len(self.times) :]
        none = np.full(len(self.times), _NO_ANSWER)
        self._clicked = self._linked = Answers(none, none)

    def clicks(self, window: int) -> Answers:
        """Return the first click on each impression."""
        self._clicked = self._answers(("click",), window, "note", [self.times])
        return self._clicked

    def links(self, window: int) -> Answers:
        """Return the first jump to the shop."""
        self._linked = self._answers(("link_click",), window, "note", [self._clicked.happened, self.times])
        return self._linked

    def after_click(self, kinds: Sequence[str], window: int) -> Answers:
        """Return the first act of these kinds after a click; searches may name the brand alone."""
        clicked = [self._clicked.happened]
        named = self._answers(kinds, window, "note", clicked)
        searched = self._answers(("search",), window, "brand", clicked)
        return Answers(np.minimum(named.happened, searched.happened), np.minimum(named.known, searched.known))

    def in_shop(self, kind: str, window: int, by: str) -> Answers:
        """Return the first act in the shop that shares the note or the brand."""
        return self._answers((kind,), window, by, [self._linked.happened, self._clicked.happened, self.times])

    def _answers(self, kinds: Sequence[str], window: int, by: str, anchors: Sequence[Int64]) -> Answers:
        """Give each event to one impression: the first anchor that has one decides, then the window does."""
        touch_keys, answer_keys = self._keys[by]
        chosen = np.flatnonzero(numbers_of(pc.is_in(self._kind, pa.array(kinds))).astype(bool) & (answer_keys >= 0))
        time = self._time[chosen]
        touch = np.full(len(chosen), _NONE)
        anchored = np.zeros(len(chosen), np.int64)  # when the person had gone that far
        rank = np.zeros(len(chosen), np.int64)
        named = self._named(touch_keys, answer_keys[chosen], self._predicted[1][chosen])
        levels = [named, *(self._latest(touch_keys, a, answer_keys[chosen], time) for a in anchors)]
        for level, (found, anchor) in enumerate(zip(levels, [self.times, *anchors], strict=True)):
            fits = (touch == _NONE) & (found != _NONE) & (time >= self.times[found])
            touch[fits], rank[fits], anchored[fits] = found[fits], -level, anchor[found[fits]]
        there = np.flatnonzero(touch != _NONE)
        # An event that stands for several notes goes to the one the person had gone furthest with, last.
        order = there[np.lexsort((touch[there], anchored[there], rank[there], self._event[chosen[there]]))]
        event = self._event[chosen[order]]
        one = order[np.append(event[1:] != event[:-1], np.ones(min(len(event), 1), bool))]
        one = one[time[one] - self.times[touch[one]] < window]
        return self._first(touch[one], chosen[one])

    def _latest(self, touch_keys: Int64, anchor: Int64, keys: Int64, time: Int64) -> npt.NDArray[np.intp]:
        """Return for each event the impression of its key whose anchor was the latest at or before it."""
        usable = np.flatnonzero((touch_keys >= 0) & (anchor < _NO_ANSWER))
        at = packed(touch_keys[usable], anchor[usable])
        order = np.argsort(at, kind="stable")  # at one moment the later impression comes last
        place = np.searchsorted(at[order], packed(keys, time), side="right") - 1
        found = np.full(len(keys), _NONE)
        some = np.flatnonzero(place >= 0)
        candidate = usable[order[place[some]]]
        same = touch_keys[candidate] == keys[some]
        found[some[same]] = candidate[same]
        return found

    def _named(self, touch_keys: Int64, keys: Int64, predictions: Int64) -> npt.NDArray[np.intp]:
        """Return for each event the last impression of its key and of the prediction that it names."""
        found = self._latest(touch_keys, self._predicted[0], keys, predictions)
        return np.where((found != _NONE) & (self._predicted[0][found] == predictions), found, _NONE)

    def _first(self, touch: Int64, answer: Int64) -> Answers:
        happened, known = np.full(len(self.times), _NO_ANSWER), np.full(len(self.times), _NO_ANSWER)
        np.minimum.at(happened, touch, self._time[answer])
        # Two accounts are known to be one person's once both are linked.
        linked = np.maximum(self._held[touch], self._answer_held[answer])
        same = self._accounts[0][touch] == self._accounts[1][answer]
        np.minimum.at(known, touch, np.maximum(self._arrived[answer], np.where(same, 0, linked)))
        return Answers(happened, known)


def _keys(touches: pa.Table, answers: pa.Table, name: str) -> tuple[Int64, Int64]:
    """Return the number of each row's (person, note or brand) among those of the impressions; -1 without one."""
    persons, values = (pc.unique(touches[column]).drop_null() for column in ("person", name))
    pairs = []
    for table in (touches, answers):
        person, value = (
            numbers_of(pc.fill_null(pc.index_in(table[column], of), _NONE))
            for column, of in (("person", persons), (name, values))
        )
        pairs.append(np.where((person < 0) | (value < 0), _NONE, person * max(len(values), 1) + value))
    distinct = np.unique(pairs[0][pairs[0] >= 0])
    numbered = []
    for pair in pairs:
        place = np.searchsorted(distinct, pair)
        place[place == len(distinct)] = 0
        known = distinct[place] == pair if len(distinct) else np.zeros(len(pair), bool)
        numbered.append(np.where(known, place, _NONE))
    return numbered[0], numbered[1]


def _predictions(touches: pa.ChunkedArray, answers: pa.ChunkedArray) -> tuple[Int64, Int64]:
    """Return the number of each row's prediction, from 1; without one impressions have `_NO_ANSWER`, events 0."""
    names = pc.unique(touches).drop_null()
    shown, named = (
        numbers_of(pc.fill_null(pc.index_in(column, names, skip_nulls=True), _NONE)) + 1
        for column in (touches, answers)
    )
    return np.where(shown == 0, _NO_ANSWER, shown), named
