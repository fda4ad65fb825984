"""What each family of features is worth: the pooled model fitted anew without it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.rows.fitted import Affinities
from features.rows.layout import RowLayout
from features.taxonomy.taxonomy import Taxonomy
from training.steps import Advance
from training.study.refits import Refit, Refits
from training.tags.outlook import OUTLOOK, Basis
from training.tags.pairs import CROSS_NAMES, Fitted, Matrix, PairView
from training.tags.statics import STATIC_NAMES

_CADENCE: Final = ("_recency_", "_tenure_", "_gap", "_overdue")
_PRICE: Final = ("_sum_", "_price", "discounted", "coupon", "own_label")


def families(view: PairView) -> dict[str, tuple[str, ...]]:
    """Part the pair features into families, by their names.

    Returns
    -------
    dict
        Family → the names of its features, every feature in one family; in the order of the features.
    """
    found: dict[str, list[str]] = {}
    for name in view.names:
        found.setdefault(_family(name, view.layout), []).append(name)
    return {family: tuple(names) for family, names in found.items()}


class NarrowView(PairView):
    """Pairs without some of their features, which the outlook does not read either.

    Parameters
    ----------
    layout, taxonomy
        As for `PairView`.
    left_out
        Names of the features to leave out.
    """

    def __init__(self, layout: RowLayout, taxonomy: Taxonomy, left_out: Iterable[str]) -> None:
        super().__init__(layout, taxonomy)
        out = frozenset(left_out)
        self.basis = Basis(self.names, out)
        self._kept = np.array([n for n, name in enumerate(self.names) if name not in out], np.int64)
        self.names = tuple(name for name in self.names if name not in out)

    def gather(self, rows: Matrix, fitted: Fitted, people: NDArray[np.int64], tags: NDArray[np.int64]) -> Matrix:
        """Return the features of the given pairs that are kept; outlooks in `fitted` are of `basis`."""
        return super().gather(rows, fitted, people, tags)[:, self._kept]

    def of_one(self, row: Matrix, fitted: Fitted) -> Matrix:
        """Return the features of all pairs of one person that are kept."""
        return super().of_one(row, fitted)[:, self._kept]


def ablation(refits: Refits, advance: Advance) -> list[Refit]:
    """Fit once without each family; outlooks do without it, too.

    Parameters
    ----------
    refits
        Knows the windows, and fits.
    advance
        Called after each fit.

    Returns
    -------
    list of Refit
        The fit with everything first; a difference is that of leaving the family out.
    """
    found = [refits.whole()]
    advance()
    measured = [*refits.choose, refits.validation]
    for family, names in families(refits.view).items():
        view = NarrowView(refits.view.layout, refits.view.taxonomy, names)
        kept = view.basis.within(refits.view.basis)
        taught = {window.instant: refits.builder.moments(window.instant).of_terms(kept) for window in refits.choose}
        *windows, validation = refits.builder.with_outlooks(measured, taught, view)
        found.append(refits.refit(f"without {family}", view=view, windows=windows, fitted=validation.fitted))
        advance()
    return found


def _family(name: str, layout: RowLayout) -> str:
    own, _, where = name.partition("@")
    if name in STATIC_NAMES:
        family = "how common the tag is"
    elif name == OUTLOOK:
        family = "outlook"
    elif name in CROSS_NAMES:
        family = "cadence beside other buyers"
    elif name in layout.tag_names:
        family = "label history"
    elif where == "parent":
        family = "the scope above"
    elif any(part in own for part in _PRICE) or own == "scope_price_level":
        family = "money, price and discounts"
    elif own in Affinities.NAMES:
        family = "affinities"
    elif not own.startswith("purchase_"):
        family = "interest and other events"
    elif not where:
        family = "the person over all"
    elif any(part in own for part in _CADENCE):
        family = "cadence in the tag's scope"
    else:
        family = "purchases in the tag's scope"
    return family
