"""The pooled model's matrix: one row per (person, tag), gathered from the people's wide rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.days import DAY_SECONDS
from features.errors import TrainingError
from features.rows.fitted import Affinities
from features.rows.layout import RowLayout
from features.taxonomy.taxonomy import Taxonomy
from training.quality.metrics import Floats, Labels
from training.tags.outlook import OUTLOOK, Basis, Outlook
from training.tags.statics import STATIC_NAMES

Matrix = NDArray[np.float32]

SCORED_PEOPLE: Final = 512
"""People per block when all pairs are scored: bounds memory at a few hundred MB for 200 tags."""

PERSON_NAMES: Final = (
    "purchase_days_7d",
    "purchase_days_30d",
    "purchase_days_90d",
    "purchase_days_all",
    "purchase_count_30d",
    "purchase_count_90d",
    "purchase_sum_amount_30d",
    "purchase_sum_amount_90d",
    "purchase_recency_all",
    "purchase_tenure_all",
    "purchase_days_all_gap",
    "purchase_decayed30_all",
    "purchase_distinct_category_30d",
    "purchase_distinct_category_90d",
    "purchase_distinct_category_all",
    "purchase_count_discounted_90d_share",
    "purchase_count_own_label_90d_share",
)
SCOPE_NAMES: Final = (
    "purchase_count_30d",
    "purchase_count_all",
    "purchase_days_90d",
    "purchase_days_all",
    "purchase_sum_amount_all",
    "purchase_decayed30_all",
    "purchase_decayed90_all",
    "purchase_recency_all",
    "purchase_tenure_all",
    "purchase_days_all_gap",
    "purchase_recency_all_overdue",
    "purchase_distinct_item_all",
    "purchase_sum_amount_all_price",
    "purchase_count_discounted_all_share",
    "purchase_count_coupon_all_share",
    "purchase_count_own_label_all_share",
)
"""The purchase features that pairs have of the person and of the tag's scope. On Complete Journey's validation
window these ranked better than all of them (macro AUC 0.8231 against 0.8217) in two thirds of the time; features of
interest events are all kept."""

PARENT_NAMES: Final = (
    "purchase_count_90d",
    "purchase_days_all",
    "purchase_decayed30_all",
    "purchase_recency_all",
    "purchase_recency_all_overdue",
    "purchase_distinct_item_all",
)
"""Scope features that a pair also has of the scope above the tag's; more of them brought nothing."""

CROSS_NAMES: Final = ("recency_over_median_gap", "gap_over_median_gap", "days_share")
"""Ratios that trees would need many splits for: time since the last purchase in the tag's scope, and the person's
mean gap there, over the median gap of the scope's buyers; share of the person's shopping days that had one."""


@dataclass(frozen=True)
class Fitted:
    """What other people taught us as of one instant: the parameters of the fitted transforms.

    Parameters
    ----------
    affinities
        Person × scope affinities.
    statics
        Per tag, float32 [T, len(STATIC_NAMES)].
    outlook
        Linear models of the tags, fitted on the windows that were over by then.
    """

    affinities: Affinities
    statics: Matrix
    outlook: Outlook


@dataclass(frozen=True)
class Window:
    """The data of one instant.

    Parameters
    ----------
    instant
        Epoch seconds; the rows are as of it.
    persons
        Person keys in row order.
    rows
        Wide rows of everybody, float32 [n, width]; may be memory-mapped.
    labels
        Outcomes, uint8 [n, T]; None where they are not known.
    fitted
        Transforms as of the instant: fitted on these rows, and the outlook on the windows before.
    """

    instant: int
    persons: Sequence[str]
    rows: Matrix
    labels: Labels | None
    fitted: Fitted

    @property
    def outcomes(self) -> Labels:
        """The labels.

        Raises
        ------
        TrainingError
            The window was built without them.
        """
        if self.labels is None:
            raise TrainingError("a window without outcomes cannot be learned from", value=self.instant)
        return self.labels


class PairView:
    """How a pair's features lie in a wide row.

    Parameters
    ----------
    layout
        The wide row's columns.
    taxonomy
        Says which scope, and which parent of it, belongs to each tag.
    """

    def __init__(self, layout: RowLayout, taxonomy: Taxonomy) -> None:
        self.layout = layout
        self.taxonomy = taxonomy
        self.scope_of_tag = np.array(taxonomy.scope_of_tag)
        parents = np.array(taxonomy.parents)[self.scope_of_tag]
        self.parent_of_tag = np.where(parents >= 0, parents, self.scope_of_tag)
        self._person = _places(layout.person_names, PERSON_NAMES)
        self._scope = _places(layout.scope_names, SCOPE_NAMES)
        self._parent = [layout.scope_names.index(name) for name in PARENT_NAMES if name in layout.scope_names]
        measured = (
            *(layout.person_names[place] for place in self._person),
            *(f"{layout.scope_names[place]}@tag" for place in self._scope),
            *(f"{layout.scope_names[place]}@parent" for place in self._parent),
            *(f"{name}@tag" for name in Affinities.NAMES),
            *layout.tag_names,
            *STATIC_NAMES,
            *CROSS_NAMES,
        )
        self.basis = Basis(measured)
        self._width = len(measured) + 1
        self.names: tuple[str, ...] = (*measured, OUTLOOK)

    def concrete_name(self, feature: int, tag: int) -> str:
        """Name a pair feature after the scope or tag that it was measured in."""
        name = self.names[feature]
        scopes = self.taxonomy.scopes.names
        if name.endswith("@tag"):
            return f"{name[:-4]}@{scopes[self.scope_of_tag[tag]]}"
        if name.endswith("@parent"):
            return f"{name[:-7]}@{scopes[self.parent_of_tag[tag]]}"
        if name in (*self.layout.tag_names, OUTLOOK):
            return f"{name}#{self.taxonomy.tags[tag].id}"
        return name

    def gather(self, rows: Matrix, fitted: Fitted, people: NDArray[np.int64], tags: NDArray[np.int64]) -> Matrix:
        """Return the features of the given pairs.

        Parameters
        ----------
        rows
            Wide rows of all the people, float32 [n, width].
        fitted
            Transforms as of the rows' instant.
        people, tags
            Numbers of the pairs' people and tags, same length m.

        Returns
        -------
        Matrix
            float32 [m, len(names)].
        """
        used, local = np.unique(people, return_inverse=True)
        part = rows[used]
        scopes = self.layout.scope(part)
        affinity = fitted.affinities.apply(self.layout, part)
        person = self.layout.person(part)[local]
        scope = scopes[local, self.scope_of_tag[tags]]
        statics = fitted.statics[tags]
        pairs = np.empty((len(tags), self._width), np.float32)
        np.concatenate(
            [
                person[:, self._person],
                scope[:, self._scope],
                scopes[local, self.parent_of_tag[tags]][:, self._parent],
                affinity[local, self.scope_of_tag[tags]],
                self.layout.tag(part)[local, tags],
                statics,
                self._crosses(person[:, self._all_days], scope[:, self._crossed], statics),
            ],
            axis=1,
            out=pairs[:, :-1],
        )
        pairs[:, -1] = fitted.outlook.expect(self.basis.terms(pairs), tags)
        return pairs

    def of_one(self, row: Matrix, fitted: Fitted) -> Matrix:
        """Return the features of all pairs of one person, as `gather` does, in a fraction of its time.

        Parameters
        ----------
        row
            Their wide row, float32 [1, width].
        fitted
            Transforms as of the row's instant.
        """
        statics, layout = fitted.statics, self.layout
        crosses = self._crosses(
            layout.person(row)[:, self._all_days],
            layout.scope(row)[0][:, self._crossed][self.scope_of_tag],
            statics,
        )
        affinity = fitted.affinities.apply(layout, row)[0]
        outlook = np.zeros(1, np.float32)
        values = np.concatenate([row[0], affinity.ravel(), statics.ravel(), crosses.ravel(), outlook])
        pairs: Matrix = values.take(self._sources)
        pairs[:, -1] = fitted.outlook.expect(self.basis.terms(pairs), np.arange(len(pairs)))
        return pairs

    @cached_property
    def _sources(self) -> NDArray[np.int64]:
        """Where each feature of a person's pairs lies among the row and what is made of it, [T, features].

        These are the row, affinities by scope, statics by tag, crosses by tag, and the outlook's place.
        """
        width, tags = self.layout.width, len(self.scope_of_tag)
        columns = np.arange(width, dtype=np.float32)[None]
        scopes, person = self.layout.scope(columns)[0], self.layout.person(columns)[0, self._person]
        counts = (len(scopes) * len(Affinities.NAMES), tags * len(STATIC_NAMES), tags * len(CROSS_NAMES), 1)
        made = np.split(np.arange(width, width + sum(counts)), np.cumsum(counts)[:-1])
        parts = [
            np.broadcast_to(person, (tags, len(person))),
            scopes[self.scope_of_tag][:, self._scope],
            scopes[self.parent_of_tag][:, self._parent],
            made[0].reshape(len(scopes), -1)[self.scope_of_tag],
            self.layout.tag(columns)[0],
            made[1].reshape(tags, -1),
            made[2].reshape(tags, -1),
            np.broadcast_to(made[3], (tags, 1)),
        ]
        return np.ascontiguousarray(np.concatenate(parts, axis=1), np.int64)

    @cached_property
    def _all_days(self) -> int:
        return self.layout.person_names.index("purchase_days_all")

    @cached_property
    def _crossed(self) -> list[int]:
        names = ("purchase_recency_all", "purchase_days_all_gap", "purchase_days_all")
        return [self.layout.scope_names.index(name) for name in names]

    @staticmethod
    def _crosses(all_days: Matrix, of_scope: Matrix, statics: Matrix) -> Matrix:
        recency, gap, days = of_scope.T
        usual = statics[:, STATIC_NAMES.index("median_gap")]
        with np.errstate(divide="ignore", invalid="ignore"):
            crosses = [recency / (DAY_SECONDS * usual), gap / usual, days / all_days]
        return np.where(np.isfinite(crosses), crosses, np.nan).T.astype(np.float32)

    def score_all(self, rows: Matrix, fitted: Fitted, score: Callable[[Matrix], Floats]) -> Floats:
        """Score every tag of every person, some people at a time.

        Parameters
        ----------
        rows, fitted
            As for `gather`.
        score
            Takes pairs, float32 [m, len(names)], and returns one number for each.

        Returns
        -------
        Floats
            float64 [n, T].
        """
        tags = len(self.taxonomy.tags)
        out = np.empty((len(rows), tags))
        for start in range(0, len(rows), SCORED_PEOPLE):
            block = np.asarray(rows[start : start + SCORED_PEOPLE])
            n = len(block)
            if n == 1:
                pairs = self.of_one(block, fitted)
            else:
                pairs = self.gather(block, fitted, np.repeat(np.arange(n), tags), np.tile(np.arange(tags), n))
            out[start : start + n] = np.asarray(score(pairs)).reshape(n, tags)
        return out


def _places(names: Sequence[str], chosen: Sequence[str]) -> list[int]:
    return [n for n, name in enumerate(names) if name in chosen or not name.startswith("purchase_")]
