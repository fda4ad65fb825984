"""A small conversion model along a chain of targets."""

from __future__ import annotations

from functools import cache

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from training.conversion.model import Booster, ConversionModel, Curve, Stage
from training.quality.calibration import Platt

FEATURES = ("person_click_count_7d", "note_click_count_30d", "person_brand_cart_count_7d", "price")


@cache
def chained_model() -> ConversionModel:
    """Three targets, each after the one before, of which some rows are capped."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=(600, 4)).astype(np.float32)
    params = {"objective": "binary", "num_leaves": 6, "num_threads": 1, "verbosity": -1}
    boosters = tuple(
        lgb.train(params, lgb.Dataset(x, (x @ weights + rng.normal(size=600) > 0.5).astype(np.float32)), 8)
        for weights in np.array([[1, 1, 0, 0], [0, 1, 1, 0], [-1, 0, 0, 2.0]])
    )
    bent = Curve(Platt(0.9, 0.1), (-3.0, -1.0, 0.5), (-3.5, -0.8, 0.4))
    stages = (
        Stage("click", (), None, Booster(0, -0.3), Curve(Platt(0.8, -0.4))),
        Stage("link_click", ("click",), "click", Booster(1, 0.2), bent),
        # Its line lifts it above what it is a part of, for many rows.
        Stage("purchase", ("link_click", "click"), "link_click", Booster(2, 0.2), Curve(Platt(1.0, 0.6))),
    )
    return ConversionModel(FEATURES, stages, boosters, dict.fromkeys(("click", "link_click", "purchase"), 86_400))


def rows(n: int = 40) -> NDArray[np.float32]:
    """Rows, some values of which are missing."""
    made = np.random.default_rng(6).normal(size=(n, 4)).astype(np.float32)
    made[made > 1.4] = np.nan
    return made
