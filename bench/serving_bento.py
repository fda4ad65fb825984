"""The service of stock BentoML in `bench.serving`, as its guide writes one: a data frame in, an array out."""

import os
from pathlib import Path

import bentoml
import numpy as np
import pandas as pd

from training.tags.bundle import load_bundle


@bentoml.service
class Tags:
    """Probabilities of all tags for rows of features."""

    def __init__(self) -> None:
        self._model = load_bundle(Path(os.environ["BENCH_BUNDLE"])).model
        self._model.warm()

    @bentoml.api
    def predict(self, rows: pd.DataFrame) -> np.ndarray:
        """Score rows."""
        return self._model.predict(rows.to_numpy(np.float32))
