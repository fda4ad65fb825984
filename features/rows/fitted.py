"""Fitted transforms: what other people's behaviour says about a person, frozen as of one instant.

They are fitted once on everybody's rows of an instant, travel in the bundle as plain arrays, and are applied to the
rows of one person or of millions alike. Only the smallest scopes teach and get affinities: one that is the parent
of others would count their purchases twice. A scope that is added later is folded in: it gets affinities of its own
and leaves the others as they were.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt

from features.errors import FeatureError
from features.rows.layout import RowLayout, Rows

Floats = npt.NDArray[np.float64]

BASIS: Final = "purchase_decayed90_all"
PRICE: Final = "purchase_sum_amount_all_price"
DECAY_UNIT: Final = 2**16
BROAD: Final = 8
"""Factors of the broad affinity: the strongest ones, that is the plainest differences between people."""


@dataclass(frozen=True)
class Affinities:
    """How strongly a person leans to each scope, judged by people who buy alike and scopes bought together.

    Parameters
    ----------
    factors
        V of the truncated singular value decomposition of log(1 + purchases) by person and scope, [S, k].
    cosines
        Cosine between the scopes' columns, 0 on the diagonal, [F, S]: the first F scopes, all but the added ones,
        say something of all.
    median_prices
        Median of the mean price paid in each scope over its buyers, NaN where nobody bought, [S].
    """

    factors: Floats
    cosines: Floats
    median_prices: Floats

    NAMES: ClassVar[tuple[str, ...]] = (
        "svd_affinity",
        "svd_affinity_broad",
        "item_affinity",
        "scope_price_level",
    )

    def apply(self, layout: RowLayout, rows: Rows) -> npt.NDArray[np.float32]:
        """Return the transforms of every row and scope.

        Returns
        -------
        np.ndarray
            float32 [n, S, 4], in the order of `NAMES`: the purchases that V Vᵀ makes of the person's, the same of
            the strongest factors alone, and the cosine-weighted purchases in other scopes (all NaN in scopes that
            are parents), then the person's mean price over the median of the scope's buyers (NaN without a
            purchase).
        """
        first = len(self.cosines)
        basis = np.ascontiguousarray(purchases(layout, rows)[:, :first])
        result = np.full((len(rows), len(self.factors), len(self.NAMES)), np.nan, np.float32)
        smallest = _smallest(layout)
        own = np.ascontiguousarray(self.factors[:first])
        taste, broad = basis @ own, basis @ np.ascontiguousarray(own[:, :BROAD])
        # Apart from the first scopes, so that the added ones do not change a bit of theirs.
        for part in (slice(first), slice(first, None)):
            out, cosines = (np.ascontiguousarray(a) for a in (self.factors[part], self.cosines[:, part]))
            leanings = (taste @ out.T, broad @ out[:, :BROAD].T, basis @ cosines)
            for column, leaning in enumerate(leanings):
                result[:, part, column] = np.where(smallest[part], leaning, np.nan)
        if PRICE in layout.scope_names:
            paid = layout.scope(rows)[..., layout.scope_names.index(PRICE)].astype(np.float64)
            known = np.broadcast_to(np.nan_to_num(self.median_prices) > 0, paid.shape)
            result[..., 3] = np.divide(paid, self.median_prices, out=np.full(paid.shape, np.nan), where=known)
        return result

    def fold_in(self, layout: RowLayout, rows: Rows) -> Affinities:
        """Return the transforms for more scopes, as people's rows of their instant tell.

        A scope's factors are the least-squares fit of its purchases by people's tastes, which for the scopes that
        the factors were fitted on gives those very factors. Scopes that share a category tell nothing of each
        other.

        Parameters
        ----------
        layout
            Has the scopes of these transforms first and the new ones after them.
        rows
            Wide rows of that layout, float32 [n, width].
        """
        known, first = len(self.factors), len(self.cosines)
        basis = purchases(layout, rows)
        own, new = basis[:, :first], basis[:, known:]
        taste = own @ self.factors[:first]
        power = (taste**2).sum(axis=0)
        loadings = np.divide(new.T @ taste, power, out=np.zeros((new.shape[1], len(power))), where=power > 0)
        product = np.outer(np.linalg.norm(own, axis=0), np.linalg.norm(new, axis=0))
        members = [set(categories) for _, categories in layout.scopes.members]
        apart = np.array([[not members[s] & members[n] for n in range(known, len(members))] for s in range(first)])
        told = (product > 0) & _smallest(layout)[:first, None] & apart.reshape(product.shape)
        cosines = np.divide(own.T @ new, product, out=np.zeros_like(product), where=told)
        prices = _median_prices(layout, rows)[known:]
        return Affinities(
            np.concatenate([self.factors, loadings]),
            np.concatenate([self.cosines, cosines], axis=1),
            np.concatenate([self.median_prices, prices]),
        )

    def without(self, scopes: Sequence[int]) -> Affinities:
        """Return the transforms without some of the scopes that were folded in."""
        kept = [scope for scope in range(len(self.factors)) if scope not in scopes]
        return Affinities(self.factors[kept], self.cosines[:, kept], self.median_prices[kept])

    def to_arrays(self) -> dict[str, Floats]:
        """Return the parameters by name."""
        return {"factors": self.factors, "cosines": self.cosines, "median_prices": self.median_prices}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Floats]) -> Affinities:
        """Read back what `to_arrays` gave.

        Raises
        ------
        FeatureError
            An array is missing.
        """
        names = ("factors", "cosines", "median_prices")
        missing = [name for name in names if name not in arrays]
        if missing:
            raise FeatureError("the affinities lack an array", value=missing[0], valid=names)
        return cls(*(arrays[name] for name in names))


def purchases(layout: RowLayout, rows: Rows) -> Floats:
    """Return log(1 + decayed purchases) by person and scope, [n, S].

    Raises
    ------
    FeatureError
        The layout lacks the feature.
    """
    if BASIS not in layout.scope_names:
        raise FeatureError("affinities need a scope feature of the layout", value=BASIS, valid=layout.scope_names)
    column = layout.scope(rows)[..., layout.scope_names.index(BASIS)]
    return np.log1p(column.astype(np.float64) / DECAY_UNIT)


def fit_affinities(layout: RowLayout, rows: Rows, k: int = 32) -> Affinities:
    """Fit the transforms on everybody's rows of one instant.

    Parameters
    ----------
    layout
        The rows' columns.
    rows
        Wide rows of the whole population, float32 [n, width].
    k
        Most singular vectors that are kept.
    """
    basis = purchases(layout, rows)
    smallest = _smallest(layout)
    gram = basis.T @ basis * smallest * smallest[:, None]
    values, vectors = np.linalg.eigh(gram)
    kept = np.argsort(-values, kind="stable")[: min(k, len(values))]
    kept = kept[values[kept] > 1e-9 * max(values.max(initial=0.0), 1e-30)]
    factors = vectors[:, kept]
    # A singular vector is unique up to its sign: let the largest entry be positive.
    if factors.size:
        factors = factors * np.sign(factors[np.abs(factors).argmax(axis=0), np.arange(factors.shape[1])])
    norms = np.sqrt(np.diag(gram))
    product = np.outer(norms, norms)
    cosines = np.divide(gram, product, out=np.zeros_like(gram), where=product > 0)
    np.fill_diagonal(cosines, 0.0)
    return Affinities(factors, cosines, _median_prices(layout, rows))


def _smallest(layout: RowLayout) -> npt.NDArray[np.bool_]:
    parents = np.asarray(layout.parents)
    smallest = np.ones(len(parents), np.bool_)
    smallest[parents[parents >= 0]] = False
    return smallest


def _median_prices(layout: RowLayout, rows: Rows) -> Floats:
    medians = np.full(len(layout.scopes.names), np.nan)
    if PRICE in layout.scope_names:
        paid = layout.scope(rows)[..., layout.scope_names.index(PRICE)]
        for scope in range(len(medians)):
            known = paid[:, scope][np.isfinite(paid[:, scope])].astype(np.float64)
            if len(known):
                medians[scope] = np.quantile(known, 0.5, method="inverted_cdf")
    return medians
