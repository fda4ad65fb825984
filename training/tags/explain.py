"""Why a person has a probability: exact contributions of every model of the blend, folded into one account."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from features.rows.fitted import Affinities
from training.quality.calibration import LOGIT_BOUNDS
from training.quality.metrics import Floats
from training.tags.outlook import OUTLOOK
from training.tags.pairs import Matrix
from training.tags.statics import STATIC_NAMES

if TYPE_CHECKING:
    from training.tags.model import TagModel


@dataclass(frozen=True)
class Factor:
    """One reason for a score: a feature, its value, and its effect on the calibrated log odds."""

    feature: str
    value: float
    effect: float


@dataclass(frozen=True)
class Member:
    """One model's account of one tag of one person.

    Parameters
    ----------
    names
        Columns, named after what they were measured in; models that read the same column name it alike.
    values
        What the columns hold.
    effects
        What each adds to the model's logit.
    bias
        What is left: `bias` and the sum of `effects` make the model's logit.
    """

    names: Sequence[str]
    values: NDArray[np.float32]
    effects: Floats
    bias: float


@dataclass(frozen=True)
class Explanation:
    """All that makes a person's probability of a tag, on the scale of log odds.

    Parameters
    ----------
    bias
        What is the same for everybody.
    factors
        What the person's own features add, each feature once, in no order.
    """

    bias: float
    factors: tuple[Factor, ...]

    @property
    def logit(self) -> float:
        """The calibrated log odds: the bias and all effects.

        Examples
        --------
        >>> Explanation(-2.0, (Factor("purchase_days_7d@tea", 3, 1.5), Factor("purchase_days_7d", 9, -0.25))).logit
        -0.75
        """
        return self.bias + sum(factor.effect for factor in self.factors)

    def strongest(self, most: int) -> list[Factor]:
        """Return the factors with the largest effects, either way, largest first."""
        return sorted(self.factors, key=lambda factor: -abs(factor.effect))[:most]


def explain(model: TagModel, row: Matrix, tags: Sequence[int]) -> list[Explanation]:
    """Say exactly what each of a person's features adds to the probabilities of some tags.

    Parameters
    ----------
    model
        Its blend shares and its calibration weigh the members' contributions.
    row
        One person's wide row, float32 [width].
    tags
        Numbers of the tags.

    Returns
    -------
    list of Explanation
        One per tag, in the order asked.

    Notes
    -----
    Contributions are exact TreeSHAP values (Lundberg et al., From local explanations to global understanding with
    explainable AI for trees, 2020) as LightGBM computes them. Blend and calibration are linear in the logits, so
    the values of the members add up under the same weights.
    """
    numbers = [int(tag) for tag in tags]
    if not numbers:
        return []
    columns = row[None, model.layout.head_columns]
    names = [model.layout.columns[column] for column in model.layout.head_columns]
    out = []
    for tag, pooled in zip(numbers, _pooled_members(model, row, numbers), strict=True):
        weighed = [(1.0, pooled)]
        if tag in model.heads:
            share = float(model.head_share[tag])
            head = _head_member(model, tag, names, columns)
            weighed = [(1 - share, pooled), (share, head)]
        slope, level = model.platt.slope, model.platt.intercept + float(model.levels[tag])
        out.append(fold([(slope * weight, member) for weight, member in weighed], level))
    return out


def fold(weighed: Sequence[tuple[float, Member]], intercept: float) -> Explanation:
    """Add up the members' accounts; a column that several of them read becomes one factor.

    Parameters
    ----------
    weighed
        Members, each with its weight in the calibrated logit.
    intercept
        What the calibration adds.

    Examples
    --------
    >>> one = Member(["a", "b"], np.array([3, 0], np.float32), np.array([1.0, 0.5]), -1.0)
    >>> two = Member(["b"], np.array([0], np.float32), np.array([-1.0]), 0.0)
    >>> fold([(0.5, one), (0.5, two)], 0.25)
    Explanation(bias=-0.25, factors=(Factor(feature='a', value=3.0, effect=0.5), \
Factor(feature='b', value=0.0, effect=-0.25)))
    """
    values: dict[str, float] = {}
    effects: dict[str, float] = {}
    for weight, member in weighed:
        for place in np.nonzero(member.effects)[0].tolist():
            name = member.names[place]
            values.setdefault(name, float(member.values[place]))
            effects[name] = effects.get(name, 0.0) + weight * float(member.effects[place])
    bias = intercept + sum(weight * member.bias for weight, member in weighed)
    return Explanation(bias, tuple(Factor(name, values[name], effects[name]) for name in effects if effects[name]))


def _pooled_members(model: TagModel, row: Matrix, tags: list[int]) -> list[Member]:
    view = model.view
    numbers = np.asarray(tags, dtype=np.int64)
    pairs = view.gather(row[None, :], model.fitted, np.zeros(len(tags), np.int64), numbers)
    shap = np.asarray(model.pooled.predict(pairs, pred_contrib=True, num_threads=1))
    correction = float(np.log(model.negative_share))
    static = np.array([name in STATIC_NAMES for name in view.names])
    fitted = np.array([name.removesuffix("@tag") in (*Affinities.NAMES, OUTLOOK) for name in view.names])
    members = []
    for i, tag in enumerate(tags):
        # A tag's statics, and an affinity that its scope does not have, are no reason for one person.
        own = ~static & ~(fitted & np.isnan(pairs[i]))
        logit = float(np.clip(shap[i].sum() + correction, *LOGIT_BOUNDS))
        effects = np.where(own, shap[i, :-1], 0.0)
        names = [view.concrete_name(feature, tag) for feature in range(len(view.names))]
        members.append(Member(names, pairs[i], effects, logit - float(effects.sum())))
    return members


def _head_member(model: TagModel, tag: int, names: Sequence[str], columns: Matrix) -> Member:
    shap = np.asarray(model.heads[tag].predict(columns, pred_contrib=True, num_threads=1))[0]
    logit = float(np.clip(shap.sum(), *LOGIT_BOUNDS))
    return Member(names, columns[0], shap[:-1], logit - float(shap[:-1].sum()))
