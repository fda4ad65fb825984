"""The outlook: what a linear model of each tag, fitted on the outcomes known by then, expects of a person.

Trees split a few thousand times over all pairs and know a tag only by its statics. A linear model per tag says in
one number how that tag's outcomes followed from its own history before; as a feature of the pairs it spares the
trees many splits. It is a fitted transform: fitted per instant on the windows that were over by then, and frozen in
the bundle.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.days import DAY_SECONDS
from features.definitions import Aggregate, past
from features.rows.catalog import CLICK, DEEP, SEEN, SHOP
from features.rows.fitted import DECAY_UNIT, Affinities

Floats = NDArray[np.float64]
Transform = Callable[[Floats], Floats]

OUTLOOK: Final = "outlook"

_PRIOR_SHARED: Final = 50.0
_PRIOR_OWN: Final = 100.0
"""Rows' worth of belief in no effect, and in the effects that the tags share. Drawn to these by 100 rows, the
outlook alone ranked best on Complete Journey's validation window: macro AUC 0.8189, 0.8185 drawn to none."""
_FADE_DAYS: Final = 30.0


def _plain(x: Floats) -> Floats:
    return np.where(np.isfinite(x), x, 0.0)


def _log(x: Floats) -> Floats:
    return np.log1p(np.maximum(_plain(x), 0.0))


def _decayed(x: Floats) -> Floats:
    return _log(x / DECAY_UNIT)


def _fading(x: Floats) -> Floats:
    return np.where(np.isfinite(x), np.exp(-_plain(x) / (DAY_SECONDS * _FADE_DAYS)), 0.0)


def _any(x: Floats) -> Floats:
    return (_plain(x) > 0).astype(np.float64)


_INTEREST: Final = tuple(f"{Aggregate(kinds, window=past(30)).name}@tag" for kinds in (SEEN, CLICK, DEEP, SHOP))

BASIS: Final[tuple[tuple[str, Transform], ...]] = (
    ("purchase_decayed30_all@tag", _decayed),
    ("purchase_decayed90_all@tag", _decayed),
    ("purchase_days_all@tag", _log),
    ("purchase_days_all@tag", _any),
    ("purchase_recency_all@tag", _fading),
    ("outcome_mean", _plain),
    ("outcome_lag1", _plain),
    *((f"{name}@tag", _plain) for name in Affinities.NAMES[:3]),
    *((name, _log) for name in _INTEREST),
    ("purchase_days_30d", _log),
    ("purchase_days_90d", _log),
    ("purchase_days_all", _log),
    ("purchase_distinct_category_90d", _log),
    ("purchase_decayed30_all", _decayed),
    ("purchase_recency_all", _log),
)
"""What the linear models read: a pair feature and how it is brought to a scale on which effects add up."""

_TOGETHER: Final = ("purchase_decayed90_all@tag", "purchase_days_30d")
"""Buying in the scope counts for more with people who go shopping often: the product of the two, as terms."""


class Basis:
    """Turns pair features into the terms of the linear models.

    Parameters
    ----------
    names
        Names of the pair features; terms of features that are not among them are left out.
    left_out
        Names whose terms are left out though pairs have them.
    """

    def __init__(self, names: Sequence[str], left_out: Collection[str] = ()) -> None:
        place = {name: n for n, name in enumerate(names) if name not in left_out}
        self._used = [n for n, (name, _) in enumerate(BASIS) if name in place]
        # The terms of one transform are made together.
        terms = [BASIS[n] for n in self._used]
        self._terms: list[tuple[Transform, NDArray[np.intp], NDArray[np.intp]]] = []
        for transform in dict.fromkeys(made for _, made in terms):
            same = [n for n, (_, made) in enumerate(terms) if made is transform]
            places = [place[terms[n][0]] for n in same]
            self._terms.append((transform, np.array(same, np.intp), np.array(places, np.intp)))
        held = [BASIS[n][0] for n in self._used]
        self._product = tuple(held.index(name) for name in _TOGETHER if name in held)
        if len(self._product) == len(_TOGETHER):
            self._used.append(len(BASIS))
        self._used.append(len(BASIS) + 1)
        self.size = len(self._used)

    def within(self, larger: Basis) -> NDArray[np.int64]:
        """Return the places that these terms have among those of a basis that has them all."""
        return np.array([larger._used.index(term) for term in self._used], np.int64)

    def terms(self, pairs: NDArray[np.float32]) -> Floats:
        """Return the terms of pairs, float64 [m, size]; the last one is 1.

        Parameters
        ----------
        pairs
            float32 [m, features], in the order of the names; NaN where unknown, which adds nothing.
        """
        out = np.ones((len(pairs), self.size))
        for transform, terms, places in self._terms:
            out[:, terms] = transform(pairs[:, places].astype(np.float64))
        if len(self._product) == len(_TOGETHER):
            out[:, -2] = out[:, self._product[0]] * out[:, self._product[1]]
        return out


@dataclass(frozen=True)
class Moments:
    """What a window's pairs tell a linear model: sums that add up over windows.

    Parameters
    ----------
    squares
        Per tag the sum over people of the products of two terms, float64 [T, size, size].
    outcomes
        Per tag the sum of the terms of those for whom it came true, float64 [T, size].
    """

    squares: Floats
    outcomes: Floats

    def of_terms(self, places: NDArray[np.int64]) -> Moments:
        """Return what a basis with some of the terms would have been told."""
        return Moments(self.squares[:, places[:, None], places], self.outcomes[:, places])


@dataclass(frozen=True)
class Outlook:
    """Effects of the terms on a tag's outcome.

    Parameters
    ----------
    shared
        Effects over all tags, float64 [size].
    own
        Effects per tag, float64 [T, size].
    """

    shared: Floats
    own: Floats

    @classmethod
    def unknown(cls, tags: int, size: int) -> Outlook:
        """Return the outlook of an instant by which no window was over: NaN for everybody."""
        return cls(np.full(size, np.nan), np.full((tags, size), np.nan))

    @classmethod
    def fit(cls, windows: Sequence[Moments]) -> Outlook:
        """Fit by least squares, each tag drawn to the effects that the tags share.

        Parameters
        ----------
        windows
            At least one.

        Notes
        -----
        Ridge regression with a prior mean (Hoerl and Kennard, Ridge regression, 1970): the shared effects solve
        (ΣA + 50 I) w = Σb over all tags, those of a tag (A + 100 I) w = b + 100 w_shared.
        """
        squares = np.sum([window.squares for window in windows], axis=0)
        outcomes = np.sum([window.outcomes for window in windows], axis=0)
        eye = np.eye(squares.shape[1])
        shared = np.linalg.solve(squares.sum(axis=0) + _PRIOR_SHARED * eye, outcomes.sum(axis=0))
        drawn = outcomes + _PRIOR_OWN * shared
        own = np.linalg.solve(squares + _PRIOR_OWN * eye, drawn[..., None])[..., 0]
        return cls(shared, own)

    def expect(self, terms: Floats, tags: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return what is expected of each pair, float32 [m]; near 0 to 1, but not a probability.

        Parameters
        ----------
        terms
            float64 [m, size].
        tags
            The pairs' tags.
        """
        return np.asarray((terms * self.own[tags]).sum(axis=1), np.float32)

    def of_tags(self, tags: Sequence[int]) -> Outlook:
        """Return the outlook for some of the tags, in the given order."""
        return Outlook(self.shared, self.own[list(tags)])

    def with_tags(self, number: int) -> Outlook:
        """Return the outlook with so many more tags at the end, of which no more is known than what tags share."""
        return Outlook(self.shared, np.concatenate([self.own, np.tile(self.shared, (number, 1))]))
