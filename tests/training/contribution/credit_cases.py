"""Small conversion paths and rules read literally, one path at a time."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from features.days import DAY_SECONDS
from features.paths.paths import Paths
from training.contribution.journeys import Journeys

Touch = tuple[str, bool, int]  # note, click, seconds before the conversion


def paths_of_touches(paths: list[list[Touch]], values: list[int], others: list[list[str]] | None = None) -> Paths:
    """Build paths; every touch is a row of its own."""
    on_path = [(note, click, ago) for path in paths for note, click, ago in path]
    off_path = [note for path in others or [] for note in path]
    at = 10 * DAY_SECONDS
    notes = [note for note, _, _ in on_path] + off_path
    touches = pa.table(
        {
            "note": notes,
            "creator": [note[0] for note in notes],
            "campaign": pa.array([None if note.endswith("0") else "c" for note in notes], pa.string()),
            "click": [click for _, click, _ in on_path] + [True] * len(off_path),
            "time": [at - ago for _, _, ago in on_path] + [at] * len(off_path),
        }
    )
    lengths, other_lengths = [len(path) for path in paths], [len(path) for path in others or []]
    return Paths(
        touches=touches,
        conversions=pa.table(
            {"time": [at] * len(paths), "value": values, "paid": [value or 5 for value in values]}
        ),
        offsets=np.cumsum([0, *lengths]),
        touch=np.arange(len(on_path)),
        counted=np.ones(len(on_path), bool),
        halo=np.zeros(len(on_path), bool),
        reported=np.ones(len(paths), bool),
        unconverted_offsets=np.cumsum([0, *other_lengths]),
        unconverted_touch=len(on_path) + np.arange(len(off_path)),
    )


def journeys(converted: list[list[int]], others: list[list[int]], channels: int) -> Journeys:
    every = [*converted, *others]
    return Journeys(
        np.cumsum([0, *map(len, every)]),
        np.array([channel for path in every for channel in path], np.int64),
        np.array([True] * len(converted) + [False] * len(others), bool),
        channels,
    )


def sequences(channels: int, longest: int = 5, **most: int) -> st.SearchStrategy[list[list[int]]]:
    return st.lists(st.lists(st.integers(0, channels - 1), min_size=1, max_size=longest), **most)


def divided(value: int, weights: list[Any]) -> list[int]:
    """Divide by largest remainder, the earlier first among equals, in exact fractions."""
    total = sum(map(Fraction, weights))
    exact = [value * Fraction(weight) / total for weight in weights]
    parts = [share.__floor__() for share in exact]
    by_rest = sorted(range(len(parts)), key=lambda n: (parts[n] - exact[n], n))
    for place in by_rest[: value - sum(parts)]:
        parts[place] += 1
    return parts


def weights_literally(rule: str, path: list[Touch], half_life_days: float = 7.0) -> list[Any]:
    many = len(path)
    if rule == "first":
        return [int(place == 0) for place in range(many)]
    if rule == "last":
        clicked = [place for place, (_, click, _) in enumerate(path) if click]
        return [int(place == (clicked[-1] if clicked else many - 1)) for place in range(many)]
    if rule == "linear":
        return [1] * many
    if rule == "time_decay":
        return [2.0 ** (-(ago - path[-1][2]) / (half_life_days * DAY_SECONDS)) for _, _, ago in path]
    if many <= 2:
        return [1] * many
    return [Fraction(2, 5), *[Fraction(1, 5 * (many - 2))] * (many - 2), Fraction(2, 5)]
