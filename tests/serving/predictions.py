"""Predictions of nobody."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from serving.messages.schemas import TagAnswer
from serving.predictions.record import Made

ANN, BOB = "a1" * 16, "b2" * 16
ROW = np.array([1.5, np.nan, -0.0, 7], np.float32)
SCORES = np.array([0.25, np.nan], np.float64)
DAIRY = TagAnswer("dairy.will-buy", "Dairy: will buy", "乳品:将购买", 0.25, True, None)


def made(prediction: str, person: str | None = ANN, row: np.ndarray = ROW) -> Made:
    return Made(
        id=prediction,
        kind="tags",
        person=person,
        model="tags-1",
        schema="layout-1",
        source="v3-10-ab",
        as_of=1_700_000_000,
        watermark=1_700_000_100,
        filled_at=1_699_999_000,
        seq=41,
        asked={"top": 20, "min_probability": 0.0},
        answer=[DAIRY],
        features=row,
        scores=SCORES,
    )


def of(person: str | None, row: np.ndarray = ROW) -> Callable[[str], Made]:
    return partial(made, person=person, row=row)
