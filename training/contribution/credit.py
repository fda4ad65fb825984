"""Credit rules: whose touch gets which part of a conversion's value."""

from __future__ import annotations

from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from features.days import DAY_SECONDS
from features.errors import TrainingError
from features.paths.paths import Paths
from training.contribution.journeys import Journeys, journeys_of, members_of
from training.contribution.markov import removal_effects
from training.contribution.shapley import Game
from training.contribution.share import blocks, share

Int64 = npt.NDArray[np.int64]
Rule = Literal["first", "last", "linear", "time_decay", "position", "markov", "shapley"]

RULES: Final[tuple[Rule, ...]] = ("first", "last", "linear", "time_decay", "position", "markov", "shapley")
"""Rules that divide a conversion's value over the touches on its path."""

HALF_LIFE_DAYS: Final = 7.0


def credits(
    paths: Paths,
    values: Int64,
    rule: Rule,
    *,
    level: str = "note",
    half_life_days: float = HALF_LIFE_DAYS,
) -> Int64:
    """Divide the value of each conversion over the touches on its path.

    Parameters
    ----------
    paths
        Conversion paths.
    values
        int64 [conversions], minor units: `Paths.values`, or 1 each to divide the number of conversions.
    rule
        One of `RULES`: the ``first`` touch; the ``last`` click, and the last view where nothing was clicked;
        ``linear``: all alike; ``time_decay``: half the weight for every `half_life_days` before the last touch;
        ``position``: 40 % to the first, 40 % to the last, the rest alike to those between (one touch gets all, two
        get half each); ``markov``: in proportion to the removal effect of each channel on the path, see
        `training.contribution.markov`; ``shapley``: in proportion to each channel's Shapley value, see
        `training.contribution.shapley`. A channel that occurs several times on a path gets its part once, divided
        equally over its touches.
    level
        What is a channel for ``markov`` and ``shapley``: ``note``, ``creator`` or ``campaign``.
    half_life_days
        For ``time_decay``.

    Returns
    -------
    int64 [positions]
        Over each path that has touches they add up to its conversion's value, to the last unit.

    Raises
    ------
    TrainingError
        There is no such rule, or the half-life is not above 0.
    """
    if rule in {"markov", "shapley"}:
        journeys = journeys_of(paths, level)
        weights: npt.NDArray[Any] = data_driven_weights(journeys, len(paths), rule)
    else:
        weights = rule_weights(paths.offsets, paths.clicks, paths.ago, rule, half_life_days)
    return share(values, weights, paths.offsets)


def rule_weights(
    offsets: Int64,
    clicks: npt.NDArray[np.bool_],
    ago: Int64,
    rule: str,
    half_life_days: float = HALF_LIFE_DAYS,
) -> npt.NDArray[Any]:
    """Return the weight of each position under a rule that learns nothing from other paths.

    Parameters
    ----------
    offsets
        int64 [paths + 1].
    clicks, ago
        [positions]: whether it is a click, and seconds to the conversion; oldest first on each path.
    rule, half_life_days
        As for `credits`.

    Returns
    -------
    int64 or float64 [positions]

    Examples
    --------
    >>> path = np.array([0, 3]), np.array([False, True, False]), np.array([14, 7, 0]) * 86_400
    >>> rule_weights(*path, "last").tolist(), rule_weights(*path, "time_decay").tolist()
    ([0, 1, 0], [0.25, 0.5, 1.0])
    """
    some = np.diff(offsets) > 0
    starts, lengths = offsets[:-1][some], np.diff(offsets)[some]
    lasts = starts + lengths - 1
    weights = np.zeros(len(ago), np.int64)
    if rule == "first":
        weights[starts] = 1
    elif rule == "last":
        clicked = np.maximum.reduceat(np.where(clicks, np.arange(len(ago)), -1), starts) if len(starts) else starts
        weights[np.where(clicked >= 0, clicked, lasts)] = 1
    elif rule == "linear":
        weights += 1
    elif rule == "time_decay":
        if not half_life_days > 0:
            raise TrainingError("a half-life is above 0 days", value=half_life_days)
        since = ago - np.repeat(ago[lasts], lengths)
        return np.exp2(-since / (half_life_days * DAY_SECONDS))
    elif rule == "position":
        weights += 1
        ends = np.maximum(2 * (lengths - 2), 1)
        weights[starts] = ends
        weights[lasts] = ends
    else:
        raise TrainingError("unknown credit rule", value=rule, valid=RULES)
    return weights


def data_driven_weights(journeys: Journeys, paths: int, rule: str) -> npt.NDArray[np.float64]:
    """Return the weight of each position of the first `paths` journeys under a rule that learns from all of them.

    Parameters
    ----------
    journeys
        The paths that are credited, then further journeys.
    paths
        How many journeys are credited.
    rule
        ``markov`` or ``shapley``.

    Returns
    -------
    float64 [positions of those paths]
    """
    effects = removal_effects(journeys) if rule == "markov" else None
    game = Game.from_journeys(journeys) if rule == "shapley" else None
    weights = np.empty(int(journeys.offsets[paths]))
    for low, high in blocks(np.diff(journeys.offsets[: paths + 1])):
        begin, end = journeys.offsets[low], journeys.offsets[high]
        found = members_of(journeys.offsets[low : high + 1] - begin, journeys.channel[begin:end], journeys.channels)
        worth = game.values(found) if game is not None else effects[found.channel]  # type: ignore[index]
        weights[begin:end] = found.equally(worth)
    return weights


def credit_by(paths: Paths, credit: Int64, level: str) -> dict[str | None, int]:
    """Add up the counted credit per note, creator or campaign.

    Parameters
    ----------
    paths
        Conversion paths.
    credit
        int64 [positions], as `credits` gives it.
    level
        ``note``, ``creator`` or ``campaign``; touches without one are under None.
    """
    codes, names = paths.names(level)
    sums = np.zeros(len(names), np.int64)
    np.add.at(sums, codes[paths.touch[paths.counted]], credit[paths.counted])
    return {name: int(total) for name, total in zip(names, sums, strict=True) if total}
