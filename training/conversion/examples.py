"""Impressions to learn from: their rows, what followed and when that was known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from features.days import DAY_SECONDS
from features.errors import TrainingError
from training.delay import DelayModel

Matrix = NDArray[np.float32]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

Strategy = Literal["corrected", "mature", "negative"]
STRATEGIES: Final[tuple[Strategy, ...]] = get_args(Strategy)
"""What to do with impressions whose window is not over: see `Known`."""
LATEST: Final = 2 * DAY_SECONDS
"""What is known later than so long after the window (and the usual arrival) counts as never: a purchase in a shop
account that is linked to the person weeks later comes too late for all that the probability is asked for."""


@dataclass(frozen=True)
class Examples:
    """A sample of impressions.

    Parameters
    ----------
    features
        Names of the columns of `rows`, [F].
    targets
        Names of the columns of `known_at`, [K].
    rows
        float32 [n, F].
    time
        When the person saw the note, epoch seconds, int64 [n].
    known_at
        When the log knew that the target had come true, epoch seconds, int64 [n, K]; 0 where it never did within
        the window.
    windows
        Length of each target's window, seconds, int64 [K].
    weight
        How many impressions of the log each stands for, float64 [n].
    group
        By what delays differ, such as the note's category, [n].
    person
        Number of the person, int64 [n].
    arrival_delay
        Seconds that events take to arrive.
    """

    features: tuple[str, ...]
    targets: tuple[str, ...]
    rows: Matrix
    time: Ints
    known_at: Ints
    windows: Ints
    weight: Floats
    group: NDArray[np.str_]
    person: Ints
    arrival_delay: int = 0

    def __len__(self) -> int:
        """Return the number of impressions."""
        return len(self.time)

    def seen(self, target: str, as_of: int) -> Mask:
        """Tell which impressions were known to have led to the target by an instant, and not too late, bool [n]."""
        column = self.targets.index(target)
        known_at, latest = self.known_at[:, column], self.windows[column] + self.arrival_delay + LATEST
        return np.asarray((known_at > 0) & (known_at <= np.minimum(as_of, self.time + latest)))

    def mature(self, target: str, as_of: int) -> Mask:
        """Tell whose window of the target was over by an instant, and had had time to arrive, bool [n]."""
        length = self.windows[self.targets.index(target)] + self.arrival_delay
        return np.asarray(self.time + length <= as_of)


class Known:
    """What was known of the examples at an instant, under a strategy.

    An impression whose window is not over may still lead to the target. ``mature`` leaves such impressions out,
    ``negative`` takes what was not seen for something that never comes, and ``corrected`` counts an impression by
    the share of the conversions that could be seen by then, from a delay model of those that were.

    Parameters
    ----------
    examples
        The impressions.
    as_of
        The instant, epoch seconds; nothing that was known later is used.
    strategy
        One of ``STRATEGIES``.
    """

    def __init__(self, examples: Examples, as_of: int, strategy: Strategy) -> None:
        if strategy not in STRATEGIES:
            raise TrainingError("unknown strategy for immature impressions", value=strategy, valid=STRATEGIES)
        self.examples = examples
        self.as_of = as_of
        self.strategy = strategy
        self.delays: dict[str, DelayModel] = {}
        if strategy == "corrected":
            happened = [target for target in examples.targets if examples.seen(target, as_of).any()]
            self.delays = {target: _delays(examples, target, as_of) for target in happened}

    def usable(self, target: str) -> Mask:
        """Tell which impressions the target can be learned from, bool [n]."""
        if self.strategy == "mature":
            return self.examples.mature(target, self.as_of)
        return np.asarray(self.examples.time < self.as_of)

    def seen(self, target: str) -> Mask:
        """Tell which impressions were known to have led to the target, bool [n]."""
        return self.examples.seen(target, self.as_of)

    def exposure(self, target: str, parent: str | None = None) -> Floats:
        """Return the share of the target's conversions that could be seen, float64 [n].

        Parameters
        ----------
        target
            What is asked.
        parent
            The target that was seen already, of impressions that are asked for the next one.
        """
        if self.strategy != "corrected":
            return np.ones(len(self.examples))
        own = self._share(target)
        if parent is None:
            return own
        # Seen = came true and its delay is over, for child and parent alike; the child comes later.
        return np.asarray(np.minimum(own / np.maximum(self._share(parent), 1e-9), 1.0))

    def _share(self, target: str) -> Floats:
        return self.delays[target].cdf(np.maximum(self.as_of - self.examples.time, 0), self.examples.group)


def _delays(examples: Examples, target: str, as_of: int) -> DelayModel:
    seen = examples.seen(target, as_of)
    time = examples.time[seen]
    known_at = examples.known_at[seen, examples.targets.index(target)]
    return DelayModel.fit(known_at - time, as_of - time, examples.group[seen])
