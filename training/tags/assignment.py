"""Who is assigned a tag: a stated rule turns probabilities into thresholds, one per tag."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.errors import TrainingError
from training.quality.metrics import CLIP, Floats, Labels

RULES: Final = ("share", "precision", "value")
NOBODY: Final = 1.0
"""A threshold that no probability reaches."""

_PRIOR_PEOPLE: Final = 20.0
_WRITTEN: Final = ("share", "precision=0.5", "value=3:1")


@dataclass(frozen=True)
class AssignmentRule:
    """What decides from which probability on a person is assigned a tag.

    Parameters
    ----------
    name
        ``share``: as many people as came true on the validation window. ``precision``: the lowest threshold at
        which that part of the assigned comes true. ``value``: everybody whose expected value is positive, where a
        person who comes true brings `gain` and one who does not costs `cost`.
    precision
        Target of the rule of that name, in (0, 1).
    gain, cost
        Of the rule ``value``, both positive, in any unit.

    Raises
    ------
    TrainingError
        There is no such rule, or a number is out of range.

    Examples
    --------
    >>> AssignmentRule.parse("value=3:1")
    AssignmentRule(name='value', precision=0.5, gain=3.0, cost=1.0)
    >>> str(AssignmentRule("precision", precision=0.4))
    'precision=0.4'
    """

    name: str = "share"
    precision: float = 0.5
    gain: float = 1.0
    cost: float = 1.0

    def __post_init__(self) -> None:
        if self.name not in RULES:
            raise TrainingError("no such rule of assignment", value=self.name, valid=RULES)
        if not 0 < self.precision < 1:
            raise TrainingError(
                "the target of a precision rule lies between 0 and 1", value=self.precision, valid=["precision=0.5"]
            )
        if not (0 < self.gain < np.inf and 0 < self.cost < np.inf):
            raise TrainingError(
                "gain and cost of a value rule are positive", value=f"{self.gain}:{self.cost}", valid=["value=3:1"]
            )

    @classmethod
    def parse(cls, text: str) -> AssignmentRule:
        """Read ``share``, ``precision=0.5`` or ``value=GAIN:COST``.

        Raises
        ------
        TrainingError
            The text is none of these.
        """
        name, _, numbers = text.partition("=")
        try:
            match name:
                case "share" if not numbers:
                    return cls()
                case "precision":
                    return cls(name, precision=float(numbers))
                case "value":
                    gain, cost = (float(number) for number in numbers.split(":"))
                    return cls(name, gain=gain, cost=cost)
        except ValueError as error:
            raise TrainingError("a rule of assignment cannot be read", value=text, valid=_WRITTEN) from error
        raise TrainingError("no such rule of assignment", value=text, valid=_WRITTEN)

    def __str__(self) -> str:
        """Return the text that `parse` reads."""
        numbers = {"share": "", "precision": f"={self.precision:g}", "value": f"={self.gain:g}:{self.cost:g}"}
        return self.name + numbers[self.name]


def assignment_thresholds(
    probabilities: Floats, labels: Labels, rule: AssignmentRule | None = None
) -> NDArray[np.float64]:
    """Return the probability from which people are assigned, per tag.

    A tag whose probabilities were no better than its base rate on the validation window, or that came true for
    nobody or for everybody there, is assigned to nobody, whatever the rule: see `beats_base_rate`.

    Parameters
    ----------
    probabilities
        Calibrated, of the validation window, people × tags.
    labels
        What came true there.
    rule
        The rule ``share`` by default.

    Examples
    --------
    >>> p, y = np.array([[0.1], [0.2], [0.3], [0.8]]), np.array([[0], [0], [0], [1]], np.uint8)
    >>> assignment_thresholds(p, y).tolist()
    [0.8]
    >>> assignment_thresholds(p, y, AssignmentRule("value", gain=3, cost=1)).tolist()
    [0.25]
    """
    rule = rule or AssignmentRule()
    match rule.name:
        case "share":
            thresholds = _share(probabilities, labels)
        case "precision":
            thresholds = _precision(probabilities, labels, rule.precision)
        case _:
            # Expected value p × gain − (1 − p) × cost is positive from here on (Elkan, The Foundations of
            # Cost-Sensitive Learning, 2001, equation 2).
            thresholds = np.full(probabilities.shape[1], rule.cost / (rule.gain + rule.cost))
    return np.where(beats_base_rate(probabilities, labels), thresholds, NOBODY)


def beats_base_rate(probabilities: Floats, labels: Labels) -> NDArray[np.bool_]:
    """Tell of which tags the probabilities say more than the window's own base rate: normalised entropy below 1.

    Parameters
    ----------
    probabilities, labels
        Of a window that the model has not seen, people × tags.

    Returns
    -------
    NDArray
        bool [T]; False where a tag has one class only, since nothing is known of it then.

    Examples
    --------
    >>> y = np.array([[0, 0], [0, 0], [1, 1]], np.uint8)
    >>> beats_base_rate(np.array([[0.1, 0.9], [0.2, 0.8], [0.9, 0.1]]), y).tolist()
    [True, False]
    """
    p = np.clip(probabilities, CLIP, 1 - CLIP)
    losses = -np.where(labels == 1, np.log(p), np.log1p(-p)).mean(axis=0)
    rate = labels.mean(axis=0)
    both = (rate > 0) & (rate < 1)
    known = np.where(both, rate, 0.5)
    base = -(known * np.log(known) + (1 - known) * np.log1p(-known))
    return np.asarray(both & (losses < base))


def _share(probabilities: Floats, labels: Labels) -> NDArray[np.float64]:
    ranked = np.sort(probabilities, axis=0)[::-1]
    positives = labels.sum(axis=0, dtype=np.int64)
    return np.where(positives > 0, ranked[positives - 1, np.arange(probabilities.shape[1])], NOBODY)


def _precision(probabilities: Floats, labels: Labels, target: float) -> NDArray[np.float64]:
    """Find the lowest threshold whose precision reaches the target.

    What came true among the few people at the top is chance; so the observed precision is drawn towards the mean
    of their calibrated probabilities, as if twenty more people had behaved just as predicted.
    """
    order = np.argsort(-probabilities, axis=0, kind="stable")
    ranked = np.take_along_axis(probabilities, order, axis=0)
    hits = np.cumsum(np.take_along_axis(labels, order, axis=0), axis=0, dtype=np.int64)
    taken = np.arange(1, len(ranked) + 1)[:, None]
    expected = np.cumsum(ranked, axis=0) / taken
    precision = (hits + _PRIOR_PEOPLE * expected) / (taken + _PRIOR_PEOPLE)
    # Whoever has the same probability as the last one taken is taken too.
    last_of_ties = np.vstack([ranked[1:] < ranked[:-1], np.ones((1, ranked.shape[1]), bool)])
    reached = (precision >= target) & last_of_ties
    lowest = len(ranked) - 1 - np.argmax(reached[::-1], axis=0)
    return np.where(reached.any(axis=0), ranked[lowest, np.arange(ranked.shape[1])], NOBODY)
