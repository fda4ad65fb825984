"""One wide row per impression: what was known of the person, the note, and the two together, as of its instant.

Nothing in a row was learned later: events count from the moment the log knows them, priors of rates end with the
day before, tallies over everybody with the last full hour. The same code makes the rows of training and of serving.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from features.asof import NEVER, Int64
from features.days import DAY_SECONDS, utc_of_local
from features.definitions import Aggregate
from features.errors import FeatureError
from features.impressions import context
from features.impressions.columns import KEPT_KINDS, REACH_DAYS, STATISTICS, Rate, Statistic, priors
from features.impressions.history import PERSON_KEYS, History, NoteHistory, Numbers, PersonHistory, pair_codes
from features.impressions.note_items import NoteItems, read_links
from features.impressions.note_tallies import EVERYTHING, LINKS, NOTE_KEYS, Tallies, read_tallies
from features.impressions.table import Impressions
from features.impressions.tag_scores import TagScores
from features.people.acts import Acts, code_of, codes_of, person_codes, read_acts
from features.people.person_links import PersonLinks

Float32 = npt.NDArray[np.float32]
_SCORE: Final = "score_"
_KEY_SEPARATOR: Final = "\x1f"
_MEANT: Final = {"vertical": "category", "items": "version"}
_BLOCK: Final = 2_048
_SLACK_DAYS: Final = 3
"""Days read beyond the longest window, so that no clock change cuts a day off."""


@dataclass(frozen=True)
class ImpressionFeatures:
    """Which columns a row has, and what their values refer to.

    Parameters
    ----------
    platforms
        The column ``platform`` holds the place in this list.
    verticals
        (category, vertical) pairs, for the statistics of verticals.
    patterns
        Patterns of tags whose scores are columns.
    only
        Columns to compute, in the order of `columns`; all where it is empty.

    Examples
    --------
    >>> features = ImpressionFeatures(platforms=("xhs",), patterns=("will-buy",))
    >>> features.columns[-1], features.choose(["hour", "price"]).columns
    ('score_will-buy', ('hour', 'price'))
    """

    platforms: tuple[str, ...] = ()
    verticals: tuple[tuple[str, str], ...] = ()
    patterns: tuple[str, ...] = ()
    only: tuple[str, ...] = ()

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        every = (
            *(statistic.name for statistic in STATISTICS),
            *context.CONTEXT,
            *(_SCORE + pattern for pattern in self.patterns),
        )
        return tuple(name for name in every if not self.only or name in self.only)

    @cached_property
    def statistics(self) -> tuple[Statistic, ...]:
        """The declared statistics among the columns."""
        names = set(self.columns)
        return tuple(statistic for statistic in STATISTICS if statistic.name in names)

    @cached_property
    def by_key(self) -> dict[str, tuple[tuple[Statistic, ...], tuple[Aggregate, ...]]]:
        """Key → the statistics of that key among the columns, and what they need."""
        found: dict[str, list[Statistic]] = {}
        for statistic in self.statistics:
            found.setdefault(statistic.of, []).append(statistic)
        return {
            of: (
                tuple(some),
                tuple(dict.fromkeys(aggregate for statistic in some for aggregate in statistic.needs)),
            )
            for of, some in found.items()
        }

    @cached_property
    def priors(self) -> dict[Rate, tuple[Aggregate, Aggregate]]:
        """Which counts over everybody each rate among the columns is drawn to."""
        return priors(self.statistics)

    def choose(self, names: Sequence[str]) -> Self:
        """Return the same features with some of the columns.

        Raises
        ------
        FeatureError
            There is no such column.
        """
        every = set(replace(self, only=()).columns)
        for name in names:
            if name not in every:
                raise FeatureError("unknown column of impression rows", value=name, valid=sorted(every))
        return replace(self, only=tuple(names))

    def to_json(self) -> str:
        """Write the declaration, for a bundle."""
        return json.dumps(asdict(self), ensure_ascii=False, sort_keys=True)

    @classmethod
    def of_json(cls, text: str) -> Self:
        """Read what `to_json` wrote."""
        said: dict[str, Any] = json.loads(text)
        pairs = tuple((str(category), str(vertical)) for category, vertical in said.pop("verticals"))
        return cls(verticals=pairs, **{name: tuple(values) for name, values in said.items()})

    def people(self, acts: Acts, timezone: str) -> PersonHistory:
        """Return the history of the persons of some acts, of one or of many."""
        verticals = {code_of(category): code_of(vertical) for category, vertical in self.verticals}
        return PersonHistory(acts, timezone, verticals)

    def notes(self, events: Any, timezone: str, *, after: int = 0, note_items: Any | None = None) -> NoteHistory:
        """Return the tallies over everybody that the columns need.

        Parameters
        ----------
        events
            Canonical events.
        timezone
            The log's time zone.
        after
            Leaves out earlier events.
        note_items
            Canonical note_items, where notes link several items.
        """
        tallies = read_tallies(events, self._tallied(), timezone, after=after)
        tables = {**tallies.tables, LINKS: read_links(note_items)}
        return NoteHistory(replace(tallies, tables=tables))

    def counted(self, events: Any, timezone: str) -> Tallies:
        """Return the tallies that can be added to those of other events: all of `notes` but gaps and links."""
        return read_tallies(events, self._tallied(), timezone, gaps=False)

    def _tallied(self) -> dict[str, list[Aggregate]]:
        wanted: dict[str, dict[Aggregate, None]] = {EVERYTHING: {}}
        for statistic in STATISTICS:
            if statistic.of in NOTE_KEYS:
                wanted.setdefault(statistic.of, {}).update(dict.fromkeys(statistic.needs))
        for pair in priors(STATISTICS).values():
            wanted[EVERYTHING].update(dict.fromkeys(pair))
        wanted["category"].update(dict.fromkeys((context.LATELY_PAID, context.LATELY_PIECES)))
        return {of: list(aggregates) for of, aggregates in wanted.items()}


def impression_rows(
    features: ImpressionFeatures, history: History, impressions: Impressions, scores: TagScores | None = None
) -> Float32:
    """Compute the rows of impressions.

    Parameters
    ----------
    features
        F columns.
    history
        What was known: the acts of the impressions' persons and the tallies over everybody.
    impressions
        n impressions that happened or might.
    scores
        Tag scores; the columns are NaN without.

    Returns
    -------
    numpy.ndarray
        float32, n × F. A statistic of a key that the impression lacks (no brand, say) is NaN, recency is in days,
        and NaN without an event.
    """
    place = {name: number for number, name in enumerate(features.columns)}
    made = np.empty((len(place), len(impressions)), np.float32)
    codes, times = _codes(impressions, history), impressions.times

    def write(columns: dict[str, npt.NDArray[Any]]) -> None:
        for name, values in columns.items():
            if name in place:
                made[place[name]] = values

    drawn_to = _priors(features, history, impressions)
    linked = NoteItems(codes["version"], codes["item"])
    if history.notes.linked is not None:
        linked |= history.notes.linked.under(codes["note"], codes["version"])
    for of, (statistics, needed) in features.by_key.items():
        if of in PERSON_KEYS:
            column = PERSON_KEYS[of]
            values = None if column is None else codes[_MEANT.get(column, column)]
            found = history.people.ask(of, codes["person"], values, times, needed, linked=linked)
            if column == "vertical" and values is not None:
                values = history.people.verticals_of(values)
            elif column == "items" and values is not None:
                values = np.where(linked.link(values), values, 0)
        else:
            values = codes[of]
            found = history.notes.ask(of, values, times, needed)
        lacking = np.zeros(len(times), bool) if values is None else values == 0
        for statistic in statistics:
            column_of = made[place[statistic.name]]
            column_of[:] = _number(statistic, found, drawn_to)
            column_of[lacking] = np.nan
    for names, compute in (
        (context.PRICES, context.prices), (context.SESSION, context.session), (context.STOCK, context.stock)
    ):  # fmt: skip
        if any(name in place for name in names):
            write(compute(impressions, history, codes))
    write(context.moment(impressions, features.platforms))
    write({name: linked.count(codes["version"]) for name in context.LINKED})
    write({_SCORE + pattern: np.full(len(times), np.nan) for pattern in features.patterns})
    if scores is not None and features.patterns:
        persons = codes_of(impressions.table["person"])
        found_scores = scores.columns(features.patterns, persons, codes["category"], times)
        write({_SCORE + pattern: values for pattern, values in found_scores.items()})
    return _by_row(made)


def _by_row(columns: Float32) -> Float32:
    """Turn columns into rows, a block that fits into the cache at a time."""
    rows = np.empty(columns.shape[::-1], np.float32)
    for start in range(0, len(rows), _BLOCK):
        rows[start : start + _BLOCK] = columns[:, start : start + _BLOCK].T
    return rows


def rows_by_person(
    features: ImpressionFeatures,
    events: Any,
    identities: Any | None,
    impressions: Impressions,
    *,
    scores: TagScores | None = None,
    notes: NoteHistory | None = None,
    note_items: Any | None = None,
    size: int = 200_000,
) -> Iterator[tuple[Int64, Float32]]:
    """Compute the rows of a log's impressions in bounded memory.

    Parameters
    ----------
    features, impressions, scores
        As for `impression_rows`.
    events, identities
        As for `features.impressions.table.read_impressions`.
    notes
        Tallies over everybody; read from the events by default.
    note_items
        Canonical note_items for these tallies, where notes link several items.
    size
        About how many rows at a time.

    Yields
    ------
    rows, numpy.ndarray
        Numbers of the impressions and their rows, in parts of whole persons.
    """
    if not len(impressions):
        return
    zone, times = impressions.timezone, impressions.times
    links = PersonLinks(identities, impressions.known_at)
    everybody = notes or features.notes(events, zone, after=known_after(int(times.min())), note_items=note_items)
    for rows in impressions.by_person(size):
        part = impressions.take(rows)
        acts = read_acts(
            events,
            links,
            part.table["person"].combine_chunks(),
            after=known_after(int(part.times.min())),
            before=int(part.times.max()),
            kept=KEPT_KINDS,
        )
        history = History(features.people(acts, zone), everybody, links)
        yield rows, impression_rows(features, history, part, scores)


def known_after(first: int) -> int:
    """Return from when on events can count for rows from an instant on, but for those of ``KEPT_KINDS``."""
    return max(first - (REACH_DAYS + _SLACK_DAYS) * DAY_SECONDS, 0)


def _codes(impressions: Impressions, history: History) -> dict[str, Int64]:
    table = impressions.table
    persons = table["person"].combine_chunks()
    versions = None if history.links is None else history.links.versions(persons, impressions.times)
    codes = {"person": person_codes(persons, versions)}
    for name in ("note", "creator", "topic", "campaign", "brand", "category", "item"):
        codes[name] = codes_of(table[name])
    both = pc.binary_join_element_wise(table["note"], table["platform"], _KEY_SEPARATOR)
    # A note whose own item changed links other items since.
    version = np.where(codes["note"] == 0, 0, pair_codes(codes["note"], codes["item"]))
    return codes | {"note_platform": codes_of(both), "version": version}


def _priors(
    features: ImpressionFeatures, history: History, impressions: Impressions
) -> dict[Rate, npt.NDArray[np.float64]]:
    """Return everybody's rate up to the start of each impression's day."""
    wanted = features.priors
    days = np.asarray(impressions.table["day"], np.int64)
    distinct, back = np.unique(days, return_inverse=True)
    starts = utc_of_local(distinct * DAY_SECONDS, impressions.timezone)
    everybody = np.full(len(starts), code_of(""), np.int64)
    aggregates = list(dict.fromkeys(aggregate for pair in wanted.values() for aggregate in pair))
    found = history.notes.ask(EVERYTHING, everybody, starts, aggregates)
    return {rate: context.ratio(found[top], found[base])[back] for rate, (top, base) in wanted.items()}


def _number(
    statistic: Statistic, found: Numbers, drawn_to: dict[Rate, npt.NDArray[np.float64]]
) -> npt.NDArray[Any]:
    if isinstance(statistic, Rate):
        top, base = found[statistic.top], found[statistic.base]
        drawn: npt.NDArray[np.float64] = (top + statistic.weight * drawn_to[statistic]) / (base + statistic.weight)
        return drawn
    number = found[statistic.aggregate]
    if statistic.aggregate.measure in {"recency", "tenure"}:
        return np.where(number == NEVER, np.nan, number / DAY_SECONDS)
    return number
