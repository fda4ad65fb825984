"""Refits of the pooled model with something changed, each compared with the fit on everything."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from features.durable import write_durably
from training.bundles.manifest import canonical_json
from training.quality.bootstrap import Difference, paired_bootstrap
from training.quality.calibration import sigmoid
from training.quality.json_figures import from_json, to_json
from training.quality.metrics import Floats, MacroMetrics, macro_metrics
from training.tags.job import TagJob
from training.tags.pairs import Fitted, PairView, Window
from training.tags.pooled import fit_pooled, pooled_logits


@dataclass(frozen=True)
class Refit:
    """One fit and what it reached on the validation window.

    Parameters
    ----------
    name
        What was changed.
    people, instants, features
        What it was fitted on: rows of people over all instants, instants, and features of a pair.
    metrics
        Over the tags that are learned from everything.
    differences
        Figure → how much larger it is than for the fit on everything, with a 95 % interval over people; empty for
        that fit itself.
    """

    name: str
    people: int
    instants: int
    features: int
    metrics: MacroMetrics
    differences: dict[str, Difference]

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> Refit:
        """Read the JSON form."""
        differences = {
            name: Difference(**from_json(dict(zip(Difference._fields, figures, strict=True))))
            for name, figures in document["differences"].items()
        }
        metrics = MacroMetrics(**from_json(document["metrics"]))
        return cls(**{**document, "metrics": metrics, "differences": differences})


class Refits:
    """Fits the pooled model on the windows before validation and measures it there.

    Probabilities are taken as they come, without a calibration, which would be fitted on the window that measures.
    Every fit that is done is kept under `folder` and read back by a rerun.

    Parameters
    ----------
    job
        Its windows, parameters and seed are used.
    resamples
        Draws of people for the intervals.
    """

    def __init__(self, job: TagJob, resamples: int = 200) -> None:
        self.folder: Path = job.folder / "refits"
        self.builder = job.builder
        self.view = PairView(job.builder.layout, job.taxonomy)
        self.choose: Sequence[Window] = job.choose_windows()
        (self.validation,) = job.windows([job.plan.validation], job.as_of, "features and labels of validation")
        self.seed = job.choices.tags.seed
        self._settings = job.choices.tags.pooled
        self._threads = job.settings.threads
        self._resamples = resamples
        positives = np.sum([window.outcomes.sum(axis=0, dtype=np.int64) for window in self.choose], axis=0)
        self.active = np.asarray(positives >= job.choices.tags.min_positives)

    def whole(self) -> Refit:
        """Return the fit on everything."""
        return self.refit("everything")

    def refit(
        self,
        name: str,
        *,
        view: PairView | None = None,
        windows: Sequence[Window] | None = None,
        fitted: Fitted | None = None,
    ) -> Refit:
        """Fit with something changed, or read back what an earlier run found.

        Parameters
        ----------
        name
            What is changed; also names the checkpoint.
        view
            Other features of pairs.
        windows
            Other training windows.
        fitted
            Other fitted transforms of the validation window.
        """
        done = self.folder / f"{re.sub('[^0-9a-z]+', '-', name.lower())}.json"
        if done.exists():
            return Refit.from_dict(json.loads(done.read_text(encoding="utf-8")))
        view, windows = view or self.view, windows or self.choose
        labels = self.validation.outcomes[:, self.active]
        changed = view is not self.view or windows is not self.choose
        probabilities = self._fit(view, windows, fitted) if changed else self._everything()
        differences = {}
        if changed:
            differences = paired_bootstrap(
                labels, probabilities, self._everything(), resamples=self._resamples, seed=self.seed
            )
        found = Refit(
            name=name,
            people=sum(len(window.persons) for window in windows),
            instants=len(windows),
            features=len(view.names),
            metrics=macro_metrics(labels, probabilities),
            differences=differences,
        )
        self.folder.mkdir(parents=True, exist_ok=True)
        write_durably(done, canonical_json(to_json(asdict(found))))
        return found

    def _everything(self) -> Floats:
        kept = self.folder / "everything.npy"
        if not kept.exists():
            probabilities = self._fit(self.view, self.choose, None)
            self.folder.mkdir(parents=True, exist_ok=True)
            fresh = kept.with_suffix(".part.npy")
            np.save(fresh, probabilities, allow_pickle=False)
            fresh.replace(kept)
        return np.asarray(np.load(kept, allow_pickle=False))

    def _fit(self, view: PairView, windows: Sequence[Window], fitted: Fitted | None) -> Floats:
        booster, share = fit_pooled(
            view, windows, self.active, self._settings, seed=self.seed, threads=self._threads
        )
        rows, by = self.validation.rows, fitted or self.validation.fitted
        logits = pooled_logits(booster, view, rows, by, share, threads=self._threads)
        return sigmoid(logits[:, self.active])
