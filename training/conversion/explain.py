"""Why an impression has a probability: exact contributions of every booster on the way, in one account."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from features.errors import FeatureError
from training.conversion.examples import Floats, Matrix
from training.conversion.model import ConversionModel, Stage, log_odds
from training.quality.calibration import sigmoid
from training.tags.explain import Explanation, Factor

_SMALL = 1e-7


@dataclass(frozen=True)
class _Account:
    """Log odds of some rows: what is the same for everybody, [n], and what each column adds, [n, F]."""

    base: Floats
    effects: Floats

    @property
    def total(self) -> Floats:
        return np.asarray(self.base + self.effects.sum(axis=1))


def explain(model: ConversionModel, rows: Matrix, target: str) -> list[Explanation]:
    """Say exactly what each column of some impressions' rows adds to the log odds of a target.

    Parameters
    ----------
    model
        The conversion model.
    rows
        Impression rows, float32 [n, F].
    target
        One of the model's targets.

    Returns
    -------
    list of Explanation
        One per row; its `logit` is that of the row's calibrated probability.

    Raises
    ------
    FeatureError
        The model has no such target, or the rows have another number of columns.

    Notes
    -----
    What a booster adds up are exact TreeSHAP values (Lundberg et al., From local explanations to global
    understanding with explainable AI for trees, 2020) as LightGBM computes them. Where a target follows another,
    its log odds are a function of two others'; what those two add are Shapley values of two players, between what
    is the same for everybody and the row's own, and each hands its share on to its columns in proportion (Chen,
    Lundberg and Lee, Explaining a series of models by propagating Shapley values, 2022). A calibration hands on the
    same way. A probability that another target's caps is explained as that one's.
    """
    model.check(rows)
    if target not in model.targets:
        raise FeatureError("the model has no such target", value=target, valid=model.targets)
    if not len(rows):
        return []
    accounts: dict[str, _Account] = {}
    for stage in model.stages:
        accounts[stage.target] = _stage(model, stage, rows, accounts)
        if stage.target == target:
            break
    found = accounts[target]
    return [
        Explanation(
            float(base),
            tuple(
                Factor(model.features[column], float(row[column]), float(effects[column]))
                for column in np.flatnonzero(effects).tolist()
            ),
        )
        for base, effects, row in zip(found.base, found.effects, rows, strict=True)
    ]


def _stage(model: ConversionModel, stage: Stage, rows: Matrix, known: Mapping[str, _Account]) -> _Account:
    shap = np.asarray(model.boosters[stage.booster.number].predict(rows, pred_contrib=True, num_threads=1))
    own = _Account(shap[:, -1] + stage.booster.start, shap[:, :-1])
    if stage.after is not None:
        own = _chained(known[stage.after], own)
    calibrated = log_odds(stage.curve.apply(own.total))
    base = log_odds(stage.curve.apply(own.base))
    account = _handed_on(own, base, calibrated)
    for target in stage.within:
        capped = known[target].total < account.total
        account = _Account(
            np.where(capped, known[target].base, account.base),
            np.where(capped[:, None], known[target].effects, account.effects),
        )
    return account


def _chained(first: _Account, then: _Account) -> _Account:
    """Account for both coming true, the second given the first."""
    a, b, a0, b0 = first.total, then.total, first.base, then.base
    with_a, with_b, with_both, with_none = _both(a, b0), _both(a0, b), _both(a, b), _both(a0, b0)
    of_a = (with_a - with_none + with_both - with_b) / 2
    of_b = (with_b - with_none + with_both - with_a) / 2
    effects = _share(of_a, a - a0)[:, None] * first.effects + _share(of_b, b - b0)[:, None] * then.effects
    return _Account(with_both - effects.sum(axis=1), effects)


def _both(first: Floats, then: Floats) -> Floats:
    return log_odds(sigmoid(first) * sigmoid(then))


def _handed_on(account: _Account, base: Floats, total: Floats) -> _Account:
    effects = _share(total - base, account.total - account.base)[:, None] * account.effects
    return _Account(total - effects.sum(axis=1), effects)


def _share(change: Floats, cause: Floats) -> Floats:
    """Return change / cause, 0 where there is next to no cause."""
    some = np.abs(cause) > _SMALL
    return np.where(some, change / np.where(some, cause, 1.0), 0.0)
