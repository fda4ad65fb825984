"""What another policy would have brought, from what one policy showed and with which probabilities it chose.

Each row is one choice: what was shown, how likely just that was, and what came of it. A target policy is valued by
weighing every row with how much likelier the target makes what was shown.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from features.errors import OverlapError, TrainingError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Method = Literal["ips", "snips", "dr"]
METHODS: Final[tuple[Method, ...]] = get_args(Method)
LEAST_EFFECTIVE: Final = 50.0
"""Fewer rows' worth of evidence are too few for an interval that holds what it promises."""
LARGEST_SHARE: Final = 0.1
"""Of all weight that one person may bear."""
LEAST_TELLING: Final = 1.5
"""One person whose reward decides says nothing of how far off a value may be; of a few, the interval is wide."""
_MISSING: Final = 4.0
"""Standard errors by which the mean weight may fall short of 1 before support is taken to be missing."""


@dataclass(frozen=True)
class Logged:
    """Choices of the policy that delivered.

    Parameters
    ----------
    action
        Number of what was shown, from 0 [n].
    propensity
        Probability with which just that was chosen, above 0 and up to 1 [n].
    reward
        What came of it, in any unit, once it is mature [n].
    person
        Whose choice it was: rows of one person hang together [n].

    Raises
    ------
    TrainingError
        The columns are not of one length, hold nothing, or a propensity or a reward is none.
    """

    action: Ints
    propensity: Floats
    reward: Floats
    person: Ints

    def __post_init__(self) -> None:
        lengths = {len(self.action), len(self.propensity), len(self.reward), len(self.person)}
        if len(lengths) != 1 or lengths == {0}:
            raise TrainingError("logged choices need columns of one length, with rows in them", value=lengths)
        if not ((self.propensity > 0) & (self.propensity <= 1 + 1e-9)).all():
            raise TrainingError(
                "a propensity is none",
                value=float(self.propensity.min()),
                valid=["above 0, up to 1"],
                next_step="log the probability of every choice, or leave out rows without it",
            )
        if not np.isfinite(self.reward).all():
            raise TrainingError("a reward is not finite", next_step="leave out what is not mature")

    def __len__(self) -> int:
        return len(self.action)


@dataclass(frozen=True)
class Overlap:
    """How far the log can speak for the target.

    Parameters
    ----------
    rows, persons
        In the log.
    effective
        Rows of the target's own that the weighted ones are worth: (sum of weights)² / sum of their squares (Kish,
        Survey Sampling, 1965).
    mean_weight, mean_weight_error
        1 but for chance where the log could have shown whatever the target shows; and its standard error.
    largest_share
        Largest share of all weight that one person bears.
    """

    rows: int
    persons: int
    effective: float
    mean_weight: float
    mean_weight_error: float
    largest_share: float

    def require(self) -> None:
        """Refuse to speak where too little was shown of what the target would show.

        Raises
        ------
        OverlapError
            Says which figure is out of its bounds.
        """
        short = 1 - self.mean_weight
        found = []
        if self.effective < LEAST_EFFECTIVE:
            found.append(f"it is worth {self.effective:.0f} rows, {LEAST_EFFECTIVE:.0f} are needed")
        if self.largest_share > LARGEST_SHARE:
            found.append(f"one person bears {self.largest_share:.0%} of all weight, {LARGEST_SHARE:.0%} at most")
        if short > _MISSING * self.mean_weight_error:
            found.append(f"about {short:.0%} of what the target shows was never shown")
        if found:
            raise OverlapError(
                f"the log says too little of this policy: {'; '.join(found)}",
                next_step="value a policy nearer to the one that delivered, log more, or explore more",
            )


@dataclass(frozen=True)
class Estimate:
    """Value of a policy per choice, with an interval over persons.

    Parameters
    ----------
    value, low, high
        Per choice.
    gain, gain_low, gain_high
        How much more than the policy that delivered brought, rows being compared with themselves.
    clipped
        Share of all weight that was cut off, 0 without a clip.
    """

    method: Method
    value: float
    low: float
    high: float
    gain: float
    gain_low: float
    gain_high: float
    clipped: float
    overlap: Overlap


def weights_of(logged: Logged, target: Floats) -> Floats:
    """Return how much likelier the target makes each logged choice.

    Parameters
    ----------
    logged
        n choices.
    target
        Probabilities of the target policy [n, actions]; rows add up to 1.
    """
    chances = np.asarray(target, np.float64)
    right = chances.ndim == 2 and len(chances) == len(logged) and chances.shape[1] > logged.action.max()
    if not right or not np.isfinite(chances).all() or (chances < 0).any():
        raise TrainingError(
            "a target policy needs the probability of every action for every row", value=chances.shape
        )
    off = float(np.abs(chances.sum(axis=1) - 1).max())
    if off > 1e-6:
        raise TrainingError("probabilities of a target policy add up to 1", value=1 + off)
    return np.asarray(chances[np.arange(len(logged)), logged.action] / logged.propensity)


def overlap_of(logged: Logged, weights: Floats) -> Overlap:
    """Return how far a log can speak for a target of these weights."""
    per_person = _by_person(logged, weights)
    total, squares = float(weights.sum()), float((weights**2).sum())
    return Overlap(
        rows=len(logged),
        persons=len(per_person),
        effective=total**2 / squares if squares else 0.0,
        mean_weight=float(weights.mean()),
        mean_weight_error=_error(logged, weights - weights.mean()),
        largest_share=float(per_person.max() / total) if total else 1.0,
    )


def value_of(
    logged: Logged,
    target: Floats,
    method: Method = "dr",
    *,
    expected: Floats | None = None,
    clip: float | None = None,
    level: float = 0.95,
    refuse: bool = True,
) -> Estimate:
    """Return what a target policy would have brought per choice.

    Parameters
    ----------
    logged, target
        As for `weights_of`.
    method
        ``ips``: the mean of weight x reward (Horvitz and Thompson, 1952): unbiased. ``snips``: the same over the
        mean weight (Swaminathan and Joachims, The Self-Normalized Estimator for Counterfactual Learning, 2015):
        steadier. ``dr``: the model's expectation under the target, plus the self-normalised, weighted errors of the
        model (Dudík, Langford and Li, Doubly Robust Policy Evaluation and Learning, 2011): right if either the
        propensities or the model are, and the steadiest.
    expected
        For ``dr``: the expected reward of every action [n, actions], by a model that did not learn from that
        person, such as `training.policy.reward_model.expected_rewards`.
    clip
        Largest weight; larger ones are cut to it (Ionides, Truncated Importance Sampling, 2008): a steadier value,
        that is biased towards what the log shows often. None cuts nothing.
    level
        Of the interval: Student's t on sums over persons, whose rows hang together. Its degrees of freedom are the
        number of persons on whom the variance hangs, so that a few buyers among thousands give a wide interval.
    refuse
        Whether to refuse where the log says too little; a study of refusals looks at what would have been said.

    Raises
    ------
    OverlapError
        Too little was shown of what the target would show, or too few rewards came of it.
    TrainingError
        Unknown method, or ``dr`` without expectations.

    Examples
    --------
    A log that showed two notes at random, and a policy that always shows the second:

    >>> rng = np.random.default_rng(1)
    >>> action = rng.integers(0, 2, 4000)
    >>> reward = (rng.random(4000) < np.where(action == 1, 0.3, 0.1)).astype(float)
    >>> logged = Logged(action, np.full(4000, 0.5), reward, np.arange(4000))
    >>> found = value_of(logged, np.tile([0.0, 1.0], (4000, 1)), "snips")
    >>> found.low < 0.3 < found.high, round(found.overlap.effective) - int((action == 1).sum())
    (True, 0)
    """
    if method not in METHODS:
        raise TrainingError("unknown way to value a policy", value=method, valid=METHODS)
    weights = weights_of(logged, target)
    overlap, whole = overlap_of(logged, weights), float(weights.sum())
    if clip is not None:
        if not clip > 0:
            raise TrainingError("weights are clipped at a number above 0", value=clip)
        weights = np.minimum(weights, clip)
        cut = overlap_of(logged, weights)
        overlap = replace(overlap, effective=cut.effective, largest_share=cut.largest_share)
    if refuse:
        overlap.require()
    mean_weight, brought = float(weights.mean()), float(logged.reward.mean())
    steady = float((weights * logged.reward).mean() / mean_weight)
    influence = weights * (logged.reward - steady) / mean_weight
    telling = _freedom(_by_person(logged, influence))
    if refuse and telling < LEAST_TELLING:
        raise OverlapError(
            f"the log says too little of this policy: the rewards of about {telling:.0f} persons decide, "
            "2 are needed",
            next_step="log more, or value a reward that comes more often",
        )
    if method == "snips":
        value = steady
    elif method == "ips":
        terms = weights * logged.reward
        value = float(terms.mean())
        influence = terms - value
    else:
        if expected is None or expected.shape != target.shape:
            raise TrainingError(
                "the doubly robust way needs the expected reward of every action for every row",
                value=None if expected is None else expected.shape,
                valid=[target.shape],
            )
        direct = (target * expected).sum(axis=1)
        errors = logged.reward - expected[np.arange(len(logged)), logged.action]
        correction = float((weights * errors).mean() / mean_weight)
        value = float(direct.mean() + correction)
        influence = direct - direct.mean() + weights * (errors - correction) / mean_weight
    half, gain = _half(logged, influence, level, telling), value - brought
    apart = _half(logged, influence - (logged.reward - brought), level, telling)
    return Estimate(
        method=method,
        value=value,
        low=value - half,
        high=value + half,
        gain=gain,
        gain_low=gain - apart,
        gain_high=gain + apart,
        clipped=1 - float(weights.sum()) / whole,
        overlap=overlap,
    )


def _by_person(logged: Logged, values: Floats) -> Floats:
    _, person = np.unique(logged.person, return_inverse=True)
    return np.asarray(np.bincount(person, weights=values))


def _half(logged: Logged, influence: Floats, level: float, telling: float) -> float:
    freedom = min(_freedom(_by_person(logged, influence)), telling)
    return float(stats.t.ppf((1 + level) / 2, max(freedom, 1.0))) * _error(logged, influence)


def _freedom(sums: Floats) -> float:
    """Return how many persons' sums the variance of all hangs on: (sum of squares)² / sum of fourth powers."""
    fourth = float((sums**4).sum())
    return float((sums**2).sum()) ** 2 / fourth if fourth else 0.0


def _error(logged: Logged, influence: Floats) -> float:
    """Return the standard error of a mean whose influence on it each row has, rows of a person taken together."""
    sums = _by_person(logged, influence)
    many = len(sums)
    return float(np.sqrt(many / max(many - 1, 1) * (sums**2).sum()) / len(logged))
