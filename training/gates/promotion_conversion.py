"""Compares two bundles of conversion models on the same later impressions, each by its own columns."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, Final

import numpy as np

from features.days import DAY_SECONDS
from features.errors import LogTooShortError, TrainingError
from features.impressions.features import ImpressionFeatures
from features.settings import Settings
from training.conversion.bundle import ConversionBundle, load_conversion_bundle, tags_inside
from training.conversion.evaluation import slices_of
from training.conversion.job import ConversionChoices
from training.conversion.source import ConversionSource, Sample
from training.conversion.tag_scorer import BundleScorer
from training.gates.promotion import Policy, Sides, Verdict, judge
from training.gates.promotion_contest import Contest, Mask
from training.gates.promotion_cost import cost_of
from training.quality.metrics import Floats
from training.steps import Steps
from training.tags.bundle import load_bundle

RATE: Final = "the base rate"
MOST_IMPRESSIONS: Final = 500_000
_TOP: Final = 0.1


def compare_conversion(
    settings: Settings, champion: Path | None, challenger: Path, *, present: int, steps: Steps,
    policy: Policy | None = None, version: int | None = None,
) -> Verdict:  # fmt: skip
    """Compare two bundles on the impressions since what both know whose windows are over by the present.

    Parameters
    ----------
    settings
        Where the log lies.
    champion
        Folder of the bundle that serves; None where none does: the base rates stand in for it.
    challenger
        Folder of the bundle that may.
    present
        What arrived later is not looked at, epoch seconds.
    steps
        Shows progress.
    policy
        What a promotion needs.
    version
        Of the log's events; the latest by default.

    Raises
    ------
    TrainingError
        They predict no target in common, or count different answers.
    LogTooShortError
        No window of an impression after both is over yet.
    """
    ours = load_conversion_bundle(challenger)
    theirs = None if champion is None else load_conversion_bundle(champion)
    outcomes = _choices(ours).outcomes()
    targets = ours.model.targets if theirs is None else _common_targets(theirs, ours)
    source = ConversionSource.open(settings, outcomes, steps, version=version)
    start = max(ours.as_of, 0 if theirs is None else theirs.as_of)
    longest = max(outcomes.windows.values()) + outcomes.arrival_delay
    end = min(present, source.log.last + 1) - longest
    if end <= start:
        raise LogTooShortError(
            f"no window of {longest / DAY_SECONDS:.0f} days after what both models know is over yet",
            next_step="compare again once the answers to such impressions have come",
        )
    sample, said = _said(source, ours, challenger, (start, end, present))
    columns = [ours.model.targets.index(target) for target in targets]
    labels = np.stack([sample.examples.seen(t, present) for t in targets], axis=1).astype(np.uint8)
    if theirs is None or champion is None:
        other, name = np.tile(labels.mean(axis=0), (len(labels), 1)), RATE
    else:
        held, whole = _said(source, theirs, champion, (start, end, present))
        if not held.impressions.table["event_id"].equals(sample.impressions.table["event_id"]):
            raise TrainingError(
                "the two models were shown different impressions",
                next_step="run it again, without an import beside",
            )
        other, name = whole[:, [theirs.model.targets.index(target) for target in targets]], theirs.version
    shown = said[:, columns]
    slices: dict[str, Mask] = {": ".join(key): mask for key, mask in slices_of(sample).items()}
    contest = Contest(
        columns=tuple(targets),
        labels=labels,
        champion=other,
        challenger=shown,
        person=sample.examples.person,
        slices=slices,
        chosen=None if theirs is None else (_top(other), _top(shown)),
    )
    if theirs is None or champion is None:
        return judge(contest, Sides(name, ours.version, ours.as_of, ours.as_of, start, end), policy, first=True)
    cost = cost_of((champion, theirs.model.predict), (challenger, ours.model.predict))
    return judge(contest, Sides(name, ours.version, theirs.as_of, ours.as_of, start, end), policy, cost=cost)


def _choices(bundle: ConversionBundle) -> ConversionChoices:
    names = ("window_days", "match", "delay_days", "paid_only")
    known: dict[str, Any] = bundle.about.get("choices", {})
    return ConversionChoices(**{name: known[name] for name in names if name in known})


def _common_targets(champion: ConversionBundle, challenger: ConversionBundle) -> tuple[str, ...]:
    theirs, ours = _choices(champion), _choices(challenger)
    if (theirs.match, theirs.paid_only) != (ours.match, ours.paid_only):
        raise TrainingError(
            "the two models count different answers to an impression",
            value=(ours.match, ours.paid_only),
            valid=[(theirs.match, theirs.paid_only)],
            next_step="if the new question is meant: zhongcao promote RUN --force --because TEXT",
        )
    windows = champion.model.windows
    common = tuple(t for t in challenger.model.targets if windows.get(t) == challenger.model.windows[t])
    if not common:
        raise TrainingError(
            "the two models predict nothing in common within the same days",
            value=challenger.model.targets,
            valid=champion.model.targets,
            next_step="if the new windows are meant: zhongcao promote RUN --force --because TEXT",
        )
    return common


def _said(
    source: ConversionSource, bundle: ConversionBundle, folder: Path, span: tuple[int, int, int]
) -> tuple[Sample, Floats]:
    """Return the impressions of a span, in their order in time, and what a bundle says of them."""
    start, end, known_at = span
    inside = tags_inside(folder)
    # Scored week by week from when the bundle itself began: the same instants as when it was trained.
    began = int(bundle.about.get("start", start))
    scorer = None if inside is None else BundleScorer(load_bundle(inside), source.log, began)
    with tempfile.TemporaryDirectory() as scratch:
        sample = source.test_sample(
            start, end, known_at, most=MOST_IMPRESSIONS, seed=7,
            features=ImpressionFeatures.of_json(bundle.about["features"]), scores=scorer, folder=Path(scratch),
        )  # fmt: skip
    return sample, bundle.model.predict(sample.examples.rows)


def _top(probabilities: Floats) -> Mask:
    """Return the tenth with the highest probabilities of each column: what delivery would take first."""
    taken = max(1, int(_TOP * len(probabilities)))
    order = np.argsort(-probabilities, axis=0, kind="stable")[:taken]
    found = np.zeros(probabilities.shape, bool)
    np.put_along_axis(found, order, True, axis=0)
    return found
