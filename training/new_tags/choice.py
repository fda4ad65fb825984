"""How far a new tag's own head is to be trusted beside the pooled model, and how good the two are together."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from features.errors import BundleError
from training.quality.calibration import Platt
from training.quality.metrics import CLIP, Floats, Labels, tag_metrics
from training.tags.assignment import AssignmentRule, assignment_thresholds
from training.tags.bundle import Bundle
from training.tags.head_fit import HeadSettings

_STEPS: Final = 20
_ROUNDING: Final = 1e-12


@dataclass(frozen=True)
class NewTagQuality:
    """What a new tag reached on people and outcomes that nothing in it was fitted on.

    Parameters
    ----------
    tag
        Id.
    people, positives
        On whom it was measured, and for how many of them it came true.
    base_rate
        Share of people for whom it came true, or who are in the list.
    auc, ap, normalised_entropy, ece
        Of the blended, calibrated probabilities.
    pooled_auc, head_auc
        Of each model alone; None where there is no such model.
    head_share
        Share of the head in the blended logit.
    assign_at, assigned
        The threshold, and the share of people from it on.
    learned_from
        Positives that the head was fitted on; 0 without a head.
    """

    tag: str
    people: int
    positives: int
    base_rate: float
    auc: float
    ap: float
    normalised_entropy: float
    ece: float
    pooled_auc: float | None
    head_auc: float | None
    head_share: float
    assign_at: float
    assigned: float
    learned_from: int

    def as_dict(self) -> dict[str, Any]:
        """Return the figures by name."""
        return asdict(self)


@dataclass(frozen=True)
class ModelChoices:
    """What was chosen when a champion was trained, which its new tags follow.

    Parameters
    ----------
    heads
        Parameters of the heads.
    min_positives
        A rule that came true less often in the training windows is refused.
    assign
        Who is assigned a tag.
    seed
        Of the heads.
    """

    heads: HeadSettings
    min_positives: int
    assign: AssignmentRule
    seed: int


def choices_of(bundle: Bundle) -> ModelChoices:
    """Read what was chosen for a champion.

    Raises
    ------
    BundleError
        It does not say.
    """
    try:
        tags = bundle.about["choices"]["tags"]
        return ModelChoices(
            HeadSettings(**tags["heads"]),
            int(tags["min_positives"]),
            AssignmentRule(**tags["assign"]),
            int(tags["seed"]),
        )
    except (KeyError, TypeError) as error:
        raise BundleError(
            f"bundle {bundle.version} does not say how it was trained",
            next_step="run `zhongcao retrain`, then add the tag",
        ) from error


def measured(
    tag: str,
    labels: Labels,
    probabilities: Floats,
    rule: AssignmentRule,
    *,
    alone: tuple[Floats | None, Floats | None] = (None, None),
    head_share: float,
    learned_from: int,
) -> NewTagQuality:
    """Measure a new tag.

    Parameters
    ----------
    tag
        Id.
    labels
        Of people that it was not fitted on, uint8 [n], of both classes.
    probabilities
        Calibrated, float64 [n].
    rule
        Who is assigned the tag.
    alone
        Scores of the pooled model and of the head.
    head_share, learned_from
        See `NewTagQuality`.
    """
    metrics = tag_metrics(labels, probabilities)
    threshold = float(assignment_thresholds(probabilities[:, None], labels[:, None], rule)[0])
    pooled, head = (None if scores is None else tag_metrics(labels, scores).auc for scores in alone)
    return NewTagQuality(
        tag=tag,
        people=metrics.people,
        positives=metrics.positives,
        base_rate=float(labels.mean()),
        auc=metrics.auc,
        ap=metrics.ap,
        normalised_entropy=metrics.normalised_entropy,
        ece=metrics.ece,
        pooled_auc=pooled,
        head_auc=head,
        head_share=head_share,
        assign_at=threshold,
        assigned=float((probabilities >= threshold).mean()),
        learned_from=learned_from,
    )


def choose_share(pooled: Floats, head: Floats, labels: Labels, platt: Platt, usual: float) -> float:
    """Choose the share of the head in a new tag's blended logit.

    Of the shares whose log loss is not above the best one's by more than a standard error over people, the one
    nearest to the usual share: the few positives of one tag tell shares apart poorly.

    Parameters
    ----------
    pooled, head
        Logits of the two models, float64 [n].
    labels
        uint8 [n].
    platt
        Calibration of blended logits.
    usual
        The share that the other tags have.

    Examples
    --------
    >>> good = np.linspace(-4, 4, 400)
    >>> labels = (np.arange(400) % 9 < 400 * np.linspace(0, 1, 400) / 45).astype(np.uint8)
    >>> choose_share(-good, good, labels, Platt(), 0.5) > choose_share(good, -good, labels, Platt(), 0.5)
    True
    """
    shares = np.linspace(0.0, 1.0, _STEPS + 1)
    losses = np.array([_losses((1 - s) * pooled + s * head, labels, platt) for s in shares])
    gaps = losses - losses[losses.mean(axis=1).argmin()]
    near = gaps.mean(axis=1) <= gaps.std(axis=1) / np.sqrt(len(labels)) + _ROUNDING
    return float(min(shares[near], key=lambda share: (abs(share - usual), share)))


def blended(pooled: Floats, head: Floats, labels: Labels, platt: Platt, usual: float) -> tuple[float, Floats]:
    """Choose the share on everybody, and return it with logits that are blended as other people's share says.

    Each half of the people is blended by the share that the other half chose, so that what is measured on the
    logits was not chosen on the same people.

    Parameters
    ----------
    pooled, head, labels, platt, usual
        As for `choose_share`.
    """
    out = np.empty(len(labels))
    for half, other in ((slice(0, None, 2), slice(1, None, 2)), (slice(1, None, 2), slice(0, None, 2))):
        share = choose_share(pooled[other], head[other], labels[other], platt, usual)
        out[half] = (1 - share) * pooled[half] + share * head[half]
    return choose_share(pooled, head, labels, platt, usual), out


def spread(people: int, most: int) -> NDArray[np.int64]:
    """Return the numbers of so many people at most, evenly spread; keys are hashes, so that is a random choice.

    Examples
    --------
    >>> spread(10, 4).tolist(), spread(3, 4).tolist()
    ([0, 3, 6, 9], [0, 1, 2])
    """
    return np.unique(np.linspace(0, people - 1, min(people, most)).astype(np.int64))


def _losses(logits: Floats, labels: Labels, platt: Platt) -> Floats:
    p = np.clip(platt.apply(logits), CLIP, 1 - CLIP)
    return np.asarray(-np.where(labels == 1, np.log(p), np.log1p(-p)))
