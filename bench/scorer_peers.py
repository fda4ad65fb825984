"""Other ways to score many boosters: one merged LightGBM model, and MLflow's pyfunc."""

from __future__ import annotations

import logging
import os
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")

import lightgbm as lgb
import mlflow
import numpy as np
from numpy.typing import NDArray

from bench.scorer_timing import Score


def loop(boosters: Sequence[lgb.Booster]) -> Score:
    """Return what everybody does first: one `Booster.predict` after the other, each on one thread."""

    def score(rows: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.stack([b.predict(rows, raw_score=True, num_threads=1) for b in boosters], axis=1)

    return score


def merged(boosters: Sequence[lgb.Booster]) -> Score:
    """Return one booster of as many classes: tree i of booster k becomes tree i K + k."""
    texts = [str(booster.model_to_string()) for booster in boosters]
    header = texts[0].partition("\nTree=")[0].split("\n")
    trees = [text.partition("\nend of trees")[0].split("\nTree=")[1:] for text in texts]
    assert len({len(one) for one in trees}) == 1, "all boosters have as many trees"
    classes = len(boosters)
    changed = {
        "num_class": f"num_class={classes}",
        "num_tree_per_iteration": f"num_tree_per_iteration={classes}",
        "objective": f"objective=multiclassova num_class:{classes} sigmoid:1",
    }
    lines = [changed.get(line.partition("=")[0], line) for line in header if not line.startswith("tree_sizes")]
    bodies = (tree.partition("\n")[2] for same in zip(*trees, strict=True) for tree in same)
    numbered = "".join(f"Tree={number}\n{body.rstrip()}\n\n\n" for number, body in enumerate(bodies))
    one = lgb.Booster(model_str="\n".join(lines) + "\n\n" + numbered + "end of trees\n")

    def score(rows: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.asarray(one.predict(rows, raw_score=True, num_threads=1))

    return score


@contextmanager
def pyfunc(boosters: Sequence[lgb.Booster]) -> Iterator[Score]:
    """Save the boosters with MLflow, load them as pyfuncs, and score them one after the other."""
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        models = []
        for number, booster in enumerate(boosters):
            folder = Path(scratch) / str(number)
            mlflow.lightgbm.save_model(booster, str(folder), pip_requirements=[])
            models.append(mlflow.pyfunc.load_model(str(folder)))

        def score(rows: NDArray[np.float32]) -> NDArray[np.float64]:
            return np.stack([model.predict(rows) for model in models], axis=1)

        yield score
