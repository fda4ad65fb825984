"""Markov removal: how many conversions would be lost if a channel led nowhere."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from training.contribution.journeys import Journeys
from training.contribution.share import blocks

Float64 = npt.NDArray[np.float64]


def transitions(journeys: Journeys) -> npt.NDArray[np.int64]:
    """Count the steps of journeys between the states of a first-order chain.

    Returns
    -------
    int64 [channels + 1, channels + 2]
        From each channel, and last from the start, to each channel, to the conversion and to the end without one.
        Journeys without positions are not counted.
    """
    width = journeys.channels + 2
    counts = np.zeros((journeys.channels + 1) * width, np.int64)
    lengths = np.diff(journeys.offsets)
    for low, high in blocks(lengths):
        begin, end = journeys.offsets[low], journeys.offsets[high]
        some = lengths[low:high] > 0
        starts = journeys.offsets[low:high][some] - begin
        lasts = starts + lengths[low:high][some] - 1
        channel = journeys.channel[begin:end]
        after = np.append(channel[1:], 0)
        after[lasts] = np.where(journeys.converted[low:high][some], journeys.channels, journeys.channels + 1)
        counts += np.bincount(channel * width + after, minlength=len(counts))
        counts += np.bincount(journeys.channels * width + channel[starts], minlength=len(counts))
    return counts.reshape(-1, width)


def removal_effects(journeys: Journeys) -> Float64:
    r"""Return the share of conversions that the chain loses when a channel leads nowhere.

    With ``N = (I - Q)^-1`` over the channels, ``h = N r`` is the chance of a conversion from each (``r``: converts
    in the next step) and ``s N`` how often each is visited from the start ``s``. A channel is visited at all with
    probability ``(s N)_c / N_cc``; of the conversions ``s h`` those that pass it are lost, so that

    ``effect_c = (s N)_c / N_cc * h_c / (s h)``.

    Returns
    -------
    float64 [channels]
        From 0 to 1; they add up to more than 1 where conversions pass several channels.

    Notes
    -----
    Anderl, Becker, von Wangenheim and Schumann, "Mapping the customer journey", International Journal of Research
    in Marketing 33 (2016); Kemeny and Snell, "Finite Markov Chains" (1960), for ``N``.

    Examples
    --------
    >>> both = Journeys(np.array([0, 2, 3, 4]), np.array([0, 1, 0, 1]), np.array([True, False, True]), 2)
    >>> removal_effects(both).round(3).tolist()
    [0.5, 1.0]
    """
    counts = transitions(journeys).astype(np.float64)
    steps = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0)
    between, converts, start = steps[:-1, :-2], steps[:-1, -2], steps[-1, :-2]
    visits_from = np.linalg.inv(np.eye(journeys.channels) - between)
    chance = visits_from @ converts
    total = float(start @ chance)
    if total == 0:
        return np.zeros(journeys.channels)
    effects: Float64 = (start @ visits_from) / np.diag(visits_from) * chance / total
    return effects
