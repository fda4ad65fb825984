"""Effects by other packages, on given folds: run by `bench.uplift` in the environment that has them.

FOLDER holds ``X.npy``, ``treated.npy``, ``y.npy``, ``fold.npy`` and ``settings.json`` (LightGBM settings per fold).
For each package and learner a file ``peer_NAME.npy`` with the effects of people the fit has not seen is left there,
and ``peers.json`` with versions and what could not be run. Nothing of zhongcao is imported here.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Fit = Callable[[dict[str, Any], np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""Settings, X, treated and y of the people to learn from, X of the others → effects of the others."""


def models(settings: dict[str, Any]) -> tuple[Any, Any]:
    """Return the base learner as classifier and as regressor."""
    lightgbm = importlib.import_module("lightgbm")
    return lightgbm.LGBMClassifier(**settings), lightgbm.LGBMRegressor(**settings)


def causalml(name: str) -> Fit:
    """Return a learner of causalml."""
    meta = importlib.import_module("causalml.inference.meta")

    def fit(settings: dict[str, Any], X: Any, w: Any, y: Any, others: Any) -> Any:
        classifier, regressor = models(settings)
        share = float(w.mean())
        if name == "x":
            learner = meta.BaseXClassifier(outcome_learner=classifier, effect_learner=regressor, control_name=0)
            learner.fit(X, w, y, p=np.full(len(w), share))
            return learner.predict(others, p=np.full(len(others), share)).ravel()
        kind = meta.BaseSClassifier if name == "s" else meta.BaseTClassifier
        learner = kind(learner=classifier, control_name=0)
        learner.fit(X, w, y)
        return learner.predict(others).ravel()

    return fit


def sklift(name: str) -> Fit:
    """Return a model of scikit-uplift."""
    sk = importlib.import_module("sklift.models")

    def fit(settings: dict[str, Any], X: Any, w: Any, y: Any, others: Any) -> Any:
        one, other = models(settings)[0], models(settings)[0]
        made = {
            "solo": lambda: sk.SoloModel(one),
            "two_models": lambda: sk.TwoModels(one, other, method="vanilla"),
            "class_transformation": lambda: sk.ClassTransformation(one),
        }[name]()
        return made.fit(X, y, w).predict(others)

    return fit


def econml(name: str) -> Fit:
    """Return a learner of econml; it takes regressors, for outcomes of 0 and 1 too."""
    metalearners = importlib.import_module("econml.metalearners")
    chances = importlib.import_module("sklearn.dummy").DummyClassifier(strategy="prior")

    def fit(settings: dict[str, Any], X: Any, w: Any, y: Any, others: Any) -> Any:
        regressor = models(settings)[1]
        if name == "x":
            learner = metalearners.XLearner(models=regressor, cate_models=regressor, propensity_model=chances)
        elif name == "t":
            learner = metalearners.TLearner(models=regressor)
        else:
            learner = metalearners.SLearner(overall_model=regressor)
        return learner.fit(y, w, X=X).effect(others).ravel()

    return fit


LEARNERS: dict[str, tuple[Callable[[str], Fit], tuple[str, ...], str]] = {
    "causalml": (causalml, ("s", "t", "x"), "causalml"),
    "sklift": (sklift, ("solo", "two_models", "class_transformation"), "scikit-uplift"),
    "econml": (econml, ("s", "t", "x"), "econml"),
}


def main(folder: Path) -> None:
    """Fit every learner without each fold, and leave its effects."""
    warnings.simplefilter("ignore")
    X, w, y, fold = (np.load(folder / f"{name}.npy") for name in ("X", "treated", "y", "fold"))
    settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    said: dict[str, dict[str, str]] = {"versions": {}, "missing": {}}
    for package, (make, names, distribution) in LEARNERS.items():
        try:
            fits = {f"{package}_{name}": make(name) for name in names}
            said["versions"][distribution] = importlib.metadata.version(distribution)
            for name, fit in fits.items():
                effects = np.empty(len(y))
                for number, params in enumerate(settings):
                    kept, held = fold != number, fold == number
                    effects[held] = fit(params, X[kept], w[kept], y[kept], X[held])
                np.save(folder / f"peer_{name}.npy", effects)
        except Exception as error:
            said["missing"][package] = f"{type(error).__name__}: {error}"
    (folder / "peers.json").write_text(json.dumps(said), encoding="utf-8")
