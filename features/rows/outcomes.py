"""Whether rules come true: labels of the outcome window, their past values, and the quantiles they compare with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from features.days import DAY_SECONDS
from features.definitions import Aggregate
from features.events import KINDS
from features.rows.batch import aggregate_dense
from features.rows.derived import share
from features.rows.thresholds import Thresholds, threshold_key
from features.scopes import Scopes
from features.spine import Spine
from features.taxonomy.rule_nodes import CATEGORY_SCOPE, Measurement, Numbers, Quantile
from features.taxonomy.rule_parser import EVERYWHERE
from features.taxonomy.rules import quantile_measurements
from features.taxonomy.taxonomy import Tag, Taxonomy

Events: TypeAlias = Any
"""Anything that narwhals takes: a DuckDB relation, an Arrow table, a data frame."""

_CELLS = 24_000_000
_FIRST_EVENT = Aggregate(KINDS, "tenure")


@dataclass(frozen=True)
class _Block:
    """Aggregates that one pass measures inside the same scopes."""

    scopes: Scopes
    aggregates: tuple[Aggregate, ...]

    @property
    def cells(self) -> int:
        return len(self.scopes.members) * len(self.aggregates)


@dataclass(frozen=True)
class Demand:
    """What several rules must have measured."""

    blocks: tuple[_Block, ...]
    horizon: int

    @classmethod
    def of(cls, taxonomy: Taxonomy, horizon: int, leaves: Iterable[tuple[str, Measurement]]) -> Demand:
        """Derive it from measurements, each with the scope of its tag."""
        wanted: dict[Aggregate, dict[str, None]] = {}
        for own, leaf in leaves:
            wanted.setdefault(leaf.aggregate(horizon), {})[leaf.within or own] = None
        known = dict(taxonomy.scopes.members)
        blocks = []
        # few rules ask about all events at once: those must not be measured in every vertical, nor the reverse
        for of_everything in (True, False):
            asked = {a: [s for s in scopes if (s == EVERYWHERE) == of_everything] for a, scopes in wanted.items()}
            names = dict.fromkeys(scope for scopes in asked.values() for scope in scopes)
            if names:
                members = {name: known.get(name, (name.removeprefix(CATEGORY_SCOPE),)) for name in names}
                blocks.append(_Block(Scopes.of(members), tuple(a for a, scopes in asked.items() if scopes)))
        return cls(tuple(blocks), horizon)

    def parts(self, spine: Spine) -> Iterator[tuple[NDArray[np.int64], Spine]]:
        """Cut the spine so that the numbers of one part fit into memory."""
        return spine.chunks(max(1_000, _CELLS // max(1, sum(block.cells for block in self.blocks))))

    def measure(self, events: Events, spine: Spine) -> _Measured:
        """Compute the numbers of a part of the spine."""
        columns: dict[tuple[str, Aggregate], Numbers] = {}
        for block in self.blocks:
            dense = aggregate_dense(events, spine, block.aggregates, block.scopes)
            for number, scope in enumerate(block.scopes.names):
                columns |= {(scope, a): dense[:, number, column] for column, a in enumerate(block.aggregates)}
        return _Measured(columns, self.horizon)


@dataclass(frozen=True)
class _Measured:
    """Numbers by scope and aggregate, read by the rule of one tag after the other."""

    columns: dict[tuple[str, Aggregate], Numbers]
    horizon: int
    own: str = ""
    levels: dict[str, Numbers] = field(default_factory=dict)

    def measurement(self, leaf: Measurement) -> Numbers:
        return self.columns[leaf.within or self.own, leaf.aggregate(self.horizon)]

    def quantile(self, leaf: Quantile) -> Numbers:
        return self.levels[threshold_key(self.own, leaf)]


def fit_thresholds(taxonomy: Taxonomy, events: Events, spine: Spine) -> Thresholds:
    """Fit the population quantiles of all rules, per instant.

    A quantile is the smallest value that at least the asked share of the people with a positive value do not
    exceed. Nothing from the instant on is looked at.

    Parameters
    ----------
    taxonomy
        Whose rules.
    events
        The event log.
    spine
        The whole population at each instant, not a sample of it.
    """
    wanted = {threshold_key(t.scope, q): (t.scope, q) for t in taxonomy.tags if t.rule for q in t.rule.quantiles}
    of_row = spine.instants
    instants = np.unique(of_row)
    values = np.full((len(instants), len(wanted)), np.nan)
    if wanted:
        leaves = [(scope, leaf) for scope, q in wanted.values() for leaf in quantile_measurements(q)]
        demand = Demand.of(taxonomy, 1, leaves)
        people = np.empty((len(spine), len(wanted)))
        for rows, part in demand.parts(spine):
            measured = demand.measure(events, part)
            for number, (scope, quantile) in enumerate(wanted.values()):
                column = quantile.of.numbers(replace(measured, own=scope))
                people[rows, number] = column
        for row, instant in enumerate(instants):
            now = people[of_row == instant]
            for number, (_, quantile) in enumerate(wanted.values()):
                positive = now[:, number][now[:, number] > 0]
                if len(positive):
                    values[row, number] = np.quantile(positive, quantile.share, method="inverted_cdf")
    return Thresholds(tuple(wanted), tuple(int(instant) for instant in instants), values)


def outcomes(taxonomy: Taxonomy, events: Events, spine: Spine, thresholds: Thresholds) -> NDArray[np.uint8]:
    """Return for each row and tag whether the rule comes true in [instant, instant + horizon).

    Parameters
    ----------
    taxonomy
        T tags.
    events
        The event log.
    spine
        n rows; only events that arrived by a row's ``known_at`` count, so for labels it lies after the window.
    thresholds
        Quantiles fitted at the rows' instants.

    Returns
    -------
    numpy.ndarray
        uint8, n × T.
    """
    result = np.zeros((len(spine), len(taxonomy.tags)), dtype=np.uint8)
    levels = thresholds.at(spine.instants)
    for _, numbers in by_horizon(taxonomy):
        tags = [taxonomy.tags[number] for number in numbers]
        result[:, numbers] = _truths(taxonomy, tags, events, spine, levels)
    return result


def label_history(
    taxonomy: Taxonomy, events: Events, spine: Spine, thresholds: Thresholds, lags: int = 3
) -> NDArray[np.float32]:
    """Return what each label was in the windows before the instant.

    Lag k is the window that ends k - 1 horizons before the instant, judged by the thresholds of the row's own
    instant. It is unknown (NaN) where the person's first event lies after the window's start.

    Parameters
    ----------
    taxonomy, events, spine, thresholds
        As for `outcomes`.
    lags
        How many windows back.

    Returns
    -------
    numpy.ndarray
        float32, n × T × (lags + 1): lag 1, lag 2, …, then the mean of the known ones.
    """
    result = np.full((len(spine), len(taxonomy.tags), lags + 1), np.nan, dtype=np.float32)
    levels = thresholds.at(spine.instants)
    since_first = aggregate_dense(events, spine, (_FIRST_EVENT,))[:, 0]
    for horizon, numbers in by_horizon(taxonomy):
        tags = [taxonomy.tags[number] for number in numbers]
        for lag in range(1, lags + 1):
            days = lag * horizon
            earlier = spine.shift(days)
            truths = _truths(taxonomy, tags, events, earlier, levels)
            known = since_first >= days * DAY_SECONDS
            result[:, numbers, lag - 1] = np.where(known[:, None], truths, np.nan)
    past = result[:, :, :lags]
    known_lags = np.count_nonzero(~np.isnan(past), axis=2).astype(np.float64)
    result[:, :, lags] = share(np.nansum(past, axis=2, dtype=np.float64), known_lags)
    return result


def base_rates(taxonomy: Taxonomy, events: Events, spine: Spine) -> dict[str, float]:
    """Return for each tag the share of the spine's rows for which its rule comes true.

    Parameters
    ----------
    taxonomy
        Whose tags.
    events
        The event log.
    spine
        The whole population at instants whose outcome windows are over; ``known_at`` lies after them.
    """
    truths = outcomes(taxonomy, events, spine, fit_thresholds(taxonomy, events, spine))
    means = truths.mean(axis=0) if len(spine) else np.zeros(len(taxonomy.tags))
    return {tag.id: float(rate) for tag, rate in zip(taxonomy.tags, means, strict=True)}


def by_horizon(taxonomy: Taxonomy) -> list[tuple[int, list[int]]]:
    """Group the numbers of the tags that have a rule."""

    def horizon(number: int) -> int:
        return taxonomy.tags[number].horizon_days

    numbers = sorted((n for n, tag in enumerate(taxonomy.tags) if tag.rule), key=horizon)
    return [(days, list(group)) for days, group in groupby(numbers, key=horizon)]


def _truths(
    taxonomy: Taxonomy, tags: list[Tag], events: Events, spine: Spine, levels: dict[str, Numbers]
) -> NDArray[np.uint8]:
    """Evaluate rules of one horizon; `levels` holds the threshold of each row by key."""
    horizon = tags[0].horizon_days
    ruled = [(tag.scope, tag.rule) for tag in tags if tag.rule]
    demand = Demand.of(taxonomy, horizon, [(scope, leaf) for scope, rule in ruled for leaf in rule.measurements])
    result = np.empty((len(spine), len(tags)), dtype=np.uint8)
    for rows, part in demand.parts(spine):
        here = {key: level[rows] for key, level in levels.items()}
        measured = replace(demand.measure(events, part), levels=here)
        for number, (scope, rule) in enumerate(ruled):
            result[rows, number] = rule.truths(replace(measured, own=scope))
    return result
