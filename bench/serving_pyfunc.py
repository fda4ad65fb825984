"""The model that MLflow serves in `bench.serving`: the bundle's compact scorer behind pyfunc."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import mlflow
import numpy as np

from training.tags.bundle import load_bundle


class Tags(mlflow.pyfunc.PythonModel):  # type: ignore[misc, name-defined]
    """Rows in, probabilities of all tags out."""

    def load_context(self, context: Any) -> None:  # noqa: ARG002
        """Load what the bench names."""
        self._model = load_bundle(Path(os.environ["BENCH_BUNDLE"])).model
        self._model.warm()

    def predict(self, context, model_input):  # type: ignore[no-untyped-def] # noqa: ARG002
        """Score rows."""
        return self._model.predict(np.asarray(model_input, np.float32))


mlflow.models.set_model(Tags())
