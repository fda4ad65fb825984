"""Which target is a part of which, and the boosters of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import lightgbm as lgb
import numpy as np

from training.conversion.boosting import Answers, BoosterSettings, fit_booster
from training.conversion.examples import Floats, Known, Mask

PRESUPPOSED: Final[Mapping[str, tuple[str, ...]]] = {
    "click": (),
    "true_interest": ("click",),
    "link_click": ("click",),
    "store_visit": ("link_click", "click"),
    "cart": ("store_visit", "link_click", "click"),
    "purchase": ("cart", "store_visit", "link_click", "click"),
    "ctcvr": ("cart", "store_visit", "link_click", "click", "purchase"),
}
"""Target → what may have to come before it, nearest first."""
_NESTED: Final = 0.98
_FEWEST: Final = 1_000
"""As if at least so many had come true, so that rare targets are told from enough of the rest."""


def parts_of(seen: Mapping[str, Mask]) -> dict[str, tuple[str, ...]]:
    """Find which targets each target is a part of in a log.

    In one log a shop reports every step, in another purchases come without a visit: the data tell.

    Parameters
    ----------
    seen
        Target → which impressions led to it, bool [n].

    Returns
    -------
    dict
        Target → the targets that (almost) all of its impressions led to as well, nearest first.

    Examples
    --------
    >>> click, cart, purchase = (np.array(x, bool) for x in ([1, 1, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0]))
    >>> parts_of({"click": click, "cart": cart, "purchase": purchase})
    {'click': (), 'cart': ('click',), 'purchase': ('click',)}
    """
    return {
        target: tuple(
            before
            for before in PRESUPPOSED[target]
            if before in seen and (hits & seen[before]).sum() >= _NESTED * hits.sum()
        )
        for target, hits in seen.items()
    }


@dataclass(frozen=True)
class Fitter:
    """Fits boosters on what was known of the examples.

    Parameters
    ----------
    data
        The examples' rows, binned.
    known
        What was known at the instant as of which is fitted.
    settings, seed, threads
        Of the boosters.
    """

    data: lgb.Dataset
    known: Known
    settings: BoosterSettings
    seed: int
    threads: int

    def fit(self, target: str, after: str | None, trees: int | None = None) -> tuple[lgb.Booster, float]:
        """Fit over the impressions that led to the target before it, over all where there is none before."""
        return self.direct(target, trees) if after is None else self.chain(target, after, trees)

    def direct(self, target: str, trees: int | None = None) -> tuple[lgb.Booster, float]:
        """Fit over all impressions: the entire space, no click needed.

        Parameters
        ----------
        target
            What to learn.
        trees
            How many trees; as many as the settings say by default.
        """
        return self._fit(self.known.usable(target), target, self.known.exposure(target), trees)

    def chain(self, target: str, parent: str, trees: int | None = None) -> tuple[lgb.Booster, float]:
        """Fit over the impressions that led to the parent; for the other parameters see `direct`."""
        usable, seen, before = self.known.usable(target), self.known.seen(target), self.known.seen(parent)
        booster, start = self._fit(usable & before, target, self.known.exposure(target, parent), trees)
        # The few that came true without the parent are made up for, so that the chain adds up to all of them.
        return booster, start + float(np.log((usable & seen).sum() / max((usable & seen & before).sum(), 1)))

    def _fit(self, rows: Mask, target: str, exposure: Floats, trees: int | None) -> tuple[lgb.Booster, float]:
        seen, weight = self.known.seen(target), self.known.examples.weight
        hits, others = rows & seen, rows & ~seen & (exposure > 0)
        # Of many a share is kept, each standing for more of its kind.
        most, number = self.settings.most_rows / 2, max(int(hits.sum()), 1)
        few = min(most, self.settings.negatives * max(number, _FEWEST))
        share = np.where(seen, min(1.0, most / number), min(1.0, few / max(int(others.sum()), 1)))
        kept = np.random.default_rng(self.seed).random(len(seen)) < share
        chosen = np.flatnonzero((hits | others) & kept)
        answers = Answers(seen[chosen], exposure[chosen], weight[chosen] / share[chosen])
        settings = self.settings if trees is None else replace(self.settings, trees=trees)
        return fit_booster(self.data, chosen, answers, settings, seed=self.seed, threads=self.threads)
