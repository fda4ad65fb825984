"""Evaluation of a conversion model on later impressions, beside its baselines and by slice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

import numpy as np
import pyarrow.compute as pc

from features.days import DAY_SECONDS
from training.conversion.baselines import base_rates, click_only, logistic_regression
from training.conversion.boosting import binned
from training.conversion.chain import Fitter
from training.conversion.curves import losses
from training.conversion.examples import Known, Mask
from training.conversion.fit import FitSettings
from training.conversion.model import ConversionModel
from training.conversion.quality import People, Quality, Ratio, quality
from training.conversion.source import Sample
from training.quality.json_figures import from_json, to_json

NEW_DAYS: Final = 7
_FEWEST: Final = 500
_SEEN_LATELY: Final = "person_impression_count_30d"
_KNOWN: Final = 20
OURS: Final = "zhongcao"


@dataclass(frozen=True)
class ConversionSlice:
    """A model's quality on a part of the impressions.

    Parameters
    ----------
    dimension, name
        By what the impressions were parted, and which part this is.
    target
        What was predicted.
    quality
        Of the impressions in it.
    """

    dimension: str
    name: str
    target: str
    quality: Quality


@dataclass(frozen=True)
class ConversionEvaluation:
    """What a conversion model and its baselines reached on later impressions.

    Parameters
    ----------
    start, end
        When the impressions happened, epoch seconds.
    people
        How many people saw them.
    window_days
        Target → days within which it counts.
    quality
        Target → model or baseline → its figures.
    beaten_by
        Target → baseline → log loss of the model less that of the baseline, with an interval: below 0 is better.
    slices
        The model's quality by slice.
    """

    start: int
    end: int
    people: int
    window_days: dict[str, float]
    quality: dict[str, dict[str, Quality]]
    beaten_by: dict[str, dict[str, Ratio]]
    slices: list[ConversionSlice]

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-able form; figures that are not defined become null."""
        return dict(to_json(asdict(self)))

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Read what `as_dict` wrote."""
        return cls(
            start=document["start"],
            end=document["end"],
            people=document["people"],
            window_days=document["window_days"],
            quality={
                target: {name: Quality.from_dict(figures) for name, figures in models.items()}
                for target, models in document["quality"].items()
            },
            beaten_by={
                target: {name: Ratio(**from_json(figures)) for name, figures in models.items()}
                for target, models in document["beaten_by"].items()
            },
            slices=[
                ConversionSlice(s["dimension"], s["name"], s["target"], Quality.from_dict(s["quality"]))
                for s in document["slices"]
            ],
        )


def evaluate_conversion(
    model: ConversionModel,
    test: Sample,
    train: Sample,
    as_of: int,
    settings: FitSettings,
    *,
    threads: int,
    advance: Callable[[], object] = lambda: None,
) -> ConversionEvaluation:
    """Score later impressions with the model and with the baselines, fitted on what the model was fitted on.

    Parameters
    ----------
    model
        Trained as of `as_of`.
    test
        Impressions after it whose windows are over.
    train
        What the model was fitted on.
    as_of
        The instant.
    settings, threads
        Of the boosters.
    advance
        Called after the model and each of the three baselines.
    """
    known = Known(train.examples, as_of, settings.strategy)
    targets, rows = model.targets, test.examples.rows
    found = {OURS: model.predict(rows, threads=threads)}
    advance()
    found["base_rate"] = base_rates(known, targets, len(rows))
    advance()
    found["logistic_regression"] = logistic_regression(known, targets, rows, settings.seed)
    advance()
    if "click" in targets:
        fitter = Fitter(
            binned(train.examples.rows, settings.booster), known, settings.booster, settings.seed, threads
        )
        found["click_only"] = click_only(fitter, targets, rows)
    advance()
    people = People(test.examples.person, settings.seed)
    figures: dict[str, dict[str, Quality]] = {}
    beaten: dict[str, dict[str, Ratio]] = {}
    slices: list[ConversionSlice] = []
    parts = slices_of(test)
    for column, target in enumerate(targets):
        labels = test.examples.seen(target, test.impressions.known_at).astype(np.uint8)
        figures[target] = {name: quality(labels, p[:, column], people) for name, p in found.items()}
        ours = losses(labels, found[OURS][:, column])
        beaten[target] = {
            name: people.mean(ours - losses(labels, p[:, column])) for name, p in found.items() if name != OURS
        }
        slices += [
            ConversionSlice(*key, target, quality(labels, found[OURS][:, column], people, np.flatnonzero(mask)))
            for key, mask in parts.items()
        ]
    return ConversionEvaluation(
        start=as_of,
        end=int(test.examples.time.max()) + 1,
        people=people.number,
        window_days=model.window_days,
        quality=figures,
        beaten_by=beaten,
        slices=slices,
    )


def slices_of(test: Sample) -> dict[tuple[str, str], Mask]:
    """Return (dimension, name) → which impressions are in the slice, bool [n]; parts of a few are left out.

    A note is new that was published within the last seven days; a person is new of whom few impressions are known.
    """
    table, examples = test.impressions.table, test.examples
    age = test.impressions.times - pc.fill_null(table["published_at"], 0).to_numpy()
    fresh = age < NEW_DAYS * DAY_SECONDS
    paid = table["paid"].to_numpy().astype(bool)
    found: dict[tuple[str, str], Mask] = {
        ("note", f"published within {NEW_DAYS} days"): fresh,
        ("note", "older"): ~fresh,
        ("delivery", "paid"): paid,
        ("delivery", "organic"): ~paid,
    }
    if _SEEN_LATELY in examples.features:
        new = examples.rows[:, examples.features.index(_SEEN_LATELY)] < _KNOWN
        found |= {("person", f"fewer than {_KNOWN} impressions in 30 days"): new, ("person", "better known"): ~new}
    for dimension in ("platform", "media", "category"):
        values = table[dimension].combine_chunks().dictionary_encode()
        codes = pc.fill_null(values.indices, -1).to_numpy()
        for number, name in enumerate(values.dictionary.to_pylist()):
            found[dimension, name] = codes == number
    return {key: mask for key, mask in found.items() if mask.sum() >= _FEWEST}
