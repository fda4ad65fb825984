"""The label history of one person: the rules of all tags over past windows, a pattern's verticals at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from features.days import DAY_SECONDS
from features.definitions import Aggregate
from features.errors import FeatureError
from features.incremental.columns import Block
from features.incremental.reading import Int64
from features.incremental.tally import Floats
from features.rows.derived import share
from features.rows.layout import RowLayout
from features.rows.outcomes import Demand, by_horizon
from features.rows.thresholds import threshold_key
from features.taxonomy.rule_nodes import Measurement, Quantile, Truth
from features.taxonomy.rules import Rule
from features.taxonomy.taxonomy import Taxonomy


@dataclass(frozen=True)
class _Group:
    """Tags with the same rule, each in its own scope.

    Parameters
    ----------
    tags
        Their numbers.
    rule
        What is asked.
    cells
        Where the numbers of each measurement stand, [lags, tags].
    levels
        Quantiles, [tags].
    """

    tags: Int64
    rule: Truth
    cells: dict[Measurement, Int64]
    levels: dict[Quantile, Floats]


@dataclass(frozen=True)
class _Values:
    """Numbers of persons for the rules of a group, [persons, lags, tags]."""

    group: _Group
    measured: Floats

    def measurement(self, leaf: Measurement) -> Floats:
        return self.measured[:, self.group.cells[leaf]]

    def quantile(self, leaf: Quantile) -> Floats:
        return self.group.levels[leaf]


class LabelHistory:
    """What each label of a person was in the windows before an instant: `features.rows.outcomes.label_history`.

    Parameters
    ----------
    layout
        Names the tags, and how many windows back.
    taxonomy
        The same tags.
    levels
        Population quantiles by key.

    Raises
    ------
    FeatureError
        The taxonomy has other tags than the layout, or a quantile is missing.
    """

    def __init__(self, layout: RowLayout, taxonomy: Taxonomy, levels: Mapping[str, float]) -> None:
        if tuple(tag.id for tag in taxonomy.tags) != layout.tags:
            raise FeatureError("the taxonomy has other tags than the layout", value=taxonomy.name)
        self._lags = len(layout.tag_names) - 1
        self._shape = (len(layout.tags), len(layout.tag_names))
        self._taxonomy, self._levels = taxonomy, levels
        self._demands: list[tuple[int, Demand, list[int]]] = []
        self.blocks: list[Block] = []
        """What must be measured."""
        for horizon, numbers in by_horizon(taxonomy):
            ruled = [(taxonomy.tags[n].scope, taxonomy.tags[n].rule) for n in numbers]
            leaves = [(scope, leaf) for scope, rule in ruled if rule for leaf in rule.measurements]
            demand = Demand.of(taxonomy, horizon, leaves)
            self._demands.append((horizon, demand, numbers))
            for lag in range(1, self._lags + 1):
                for block in demand.blocks:
                    scopes = tuple(categories for _, categories in block.scopes.members)
                    self.blocks.append(Block(scopes, block.aggregates, lag * horizon))
        horizons = np.array([tag.horizon_days for tag in taxonomy.tags], np.int64)
        self._ages = horizons[:, None] * np.arange(1, self._lags + 1) * DAY_SECONDS
        self._groups: list[_Group] = []

    def place(self, cells: Sequence[Int64]) -> None:
        """Say where the numbers of each of `blocks` stand among all that is measured."""
        start = 0
        for horizon, demand, numbers in self._demands:
            places: dict[tuple[str, Aggregate], Int64] = {}
            for number, block in enumerate(demand.blocks):
                lags = np.stack([cells[start + lag * len(demand.blocks) + number] for lag in range(self._lags)])
                for s, scope in enumerate(block.scopes.names):
                    places |= {(scope, a): lags[:, s, column] for column, a in enumerate(block.aggregates)}
            start += self._lags * len(demand.blocks)
            same: dict[Truth, tuple[Rule, list[int]]] = {}
            for number in numbers:
                rule = self._taxonomy.tags[number].rule
                if rule:
                    same.setdefault(rule.root, (rule, []))[1].append(number)
            self._groups += [self._group(rule, tags, horizon, places) for rule, tags in same.values()]

    def _group(
        self, rule: Rule, numbers: list[int], horizon: int, places: dict[tuple[str, Aggregate], Int64]
    ) -> _Group:
        tags = [self._taxonomy.tags[number] for number in numbers]
        cells = {
            leaf: np.stack([places[leaf.within or tag.scope, leaf.aggregate(horizon)] for tag in tags], axis=1)
            for leaf in rule.measurements
        }
        levels = {q: np.array([self._level(threshold_key(tag.scope, q)) for tag in tags]) for q in rule.quantiles}
        return _Group(np.array(numbers), rule.root, cells, levels)

    def _level(self, key: str) -> float:
        if key not in self._levels:
            raise FeatureError(
                "a population quantile is missing",
                value=key,
                valid=tuple(self._levels),
                next_step="hand in the quantiles that were fitted with the model",
            )
        return float(self._levels[key])

    def of(self, measured: Floats, since_first: Floats) -> npt.NDArray[np.float32]:
        """Return float32 [persons, tags, lags + 1]: lag 1, lag 2, …, then the mean of the known ones.

        Parameters
        ----------
        measured
            All that was measured of the persons, [persons, cells].
        since_first
            Seconds since each person's first event, NaN without one.
        """
        history = np.full((len(measured), *self._shape), np.nan, np.float32)
        past = history[:, :, : self._lags]
        for group in self._groups:
            past[:, group.tags] = group.rule.truths(_Values(group, measured)).swapaxes(1, 2)
        past[~(since_first[:, None, None] >= self._ages)] = np.nan
        known = ~np.isnan(past)
        history[:, :, self._lags] = share(
            np.where(known, past, 0.0).sum(axis=2, dtype=np.float64), known.sum(axis=2).astype(np.float64)
        )
        return history
