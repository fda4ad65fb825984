"""Boosters kept as texts, and LightGBM without what it imports for others."""

import subprocess
import sys

import lightgbm as lgb
import numpy as np

from training.saved_booster import SavedBooster

_LEAN = """
import sys
from training.lean_start import import_lightgbm
import_lightgbm()
import training.tags.bundle, training.new_tags.choice
print([name for name in ("sklearn", "pandas", "numba") if name in sys.modules])
import sklearn
"""


def test_a_saved_booster_is_the_booster() -> None:
    """Text, columns and predictions, contributions included."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3)).astype(np.float32)
    params = {"num_leaves": 4, "verbosity": -1, "num_threads": 1, "objective": "binary"}
    booster = lgb.train(params, lgb.Dataset(x, (x[:, 0] > 0).astype(int)), num_boost_round=3)
    saved = SavedBooster(booster.model_to_string())
    assert saved.model_to_string() == lgb.Booster(model_str=saved.model_to_string()).model_to_string()
    assert saved.num_feature() == booster.num_feature()
    assert np.array_equal(saved.predict(x, raw_score=True), booster.predict(x, raw_score=True))
    assert np.array_equal(saved.predict(x, pred_contrib=True), booster.predict(x, pred_contrib=True))


def test_a_bundle_is_read_without_scikit_learn_and_the_compiler() -> None:
    """They may be imported afterwards."""
    done = subprocess.run([sys.executable, "-c", _LEAN], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
