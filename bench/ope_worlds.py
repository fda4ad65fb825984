"""Small worlds of choices whose truth is known: who comes, what is shown, what comes of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.policy.off_policy import Floats, Logged

CONTEXTS = 4
ROWS_PER_PERSON = 3
_POPULATION = 400_000


@dataclass(frozen=True)
class World:
    """A world of choices.

    Parameters
    ----------
    rows
        Of a log.
    actions
        Notes to choose from.
    base
        Log odds of a reward where nothing speaks for or against it.
    logging, target
        How sharply the two policies follow what they believe of the notes: 0 is uniform.
    turned
        The target believes the opposite.
    amounts
        A reward is an amount of money, lognormal, instead of 1.
    never
        The log never shows the last note.
    seed
        Of tastes and beliefs.
    """

    rows: int = 3_000
    actions: int = 5
    base: float = -3.0
    logging: float = 0.5
    target: float = 1.0
    turned: bool = False
    amounts: bool = False
    never: bool = False
    seed: int = 1

    def _tastes(self) -> tuple[Floats, Floats]:
        rng = np.random.default_rng(self.seed)
        return rng.normal(0, 0.7, (CONTEXTS, self.actions)), rng.normal(0, 1.0, (CONTEXTS, self.actions))

    def chances(self, context: Floats) -> tuple[Floats, Floats]:
        """Return the probabilities of the logging and of the target policy [n, actions]."""
        believed = np.tanh(context @ self._tastes()[1])
        logging = _softmax(self.logging * believed)
        if self.never:
            logging[:, -1] = 0
            logging /= logging.sum(axis=1, keepdims=True)
        return logging, _softmax((-1 if self.turned else 1) * self.target * believed)

    def means(self, context: Floats, liking: Floats) -> Floats:
        """Return the expected rewards, given how easily each person likes anything [n, actions]."""
        odds = self.base + np.tanh(context @ self._tastes()[0]) + 0.3 * context[:, :1] ** 2 + liking[:, None]
        return np.asarray(1 / (1 + np.exp(-odds)))

    def drawn(self, rng: np.random.Generator) -> tuple[Logged, Floats, NDArray[np.float32]]:
        """Draw a log; return it, the target's probabilities and the contexts."""
        person = np.arange(self.rows) // ROWS_PER_PERSON
        context, liking = _people(rng, person)
        logging, target = self.chances(context)
        action = np.minimum((logging.cumsum(axis=1) < rng.random((self.rows, 1))).sum(axis=1), self.actions - 1)
        at = np.arange(self.rows), action
        reward = (rng.random(self.rows) < self.means(context, liking)[at]).astype(float)
        if self.amounts:
            reward *= rng.lognormal(3, 0.8, self.rows)
        return Logged(action, logging[at], reward, person), target, context.astype(np.float32)

    def truth(self) -> float:
        """Return what the target policy brings per choice, as the mean over many people."""
        context, liking = _people(np.random.default_rng(99), np.arange(_POPULATION))
        _, target = self.chances(context)
        mean = float((target * self.means(context, liking)).sum(axis=1).mean())
        return mean * float(np.exp(3 + 0.8**2 / 2)) if self.amounts else mean


def _people(rng: np.random.Generator, person: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Draw contexts, half of which stay the same for a person, and how easily each person likes anything."""
    people = int(person.max()) + 1
    context = rng.normal(size=(len(person), CONTEXTS))
    context[:, : CONTEXTS // 2] = rng.normal(size=(people, CONTEXTS // 2))[person]
    return context, rng.normal(0, 0.5, people)[person]


def _softmax(logits: Floats) -> Floats:
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


WORLDS = {
    "near": World(),
    "far": World(logging=1.0, target=2.0, turned=True),
    "many notes": World(actions=20, target=1.5),
    "rare": World(base=-6.2, rows=6_000),
    "amounts": World(amounts=True),
}
HARD = {
    "opposite": World(rows=600, logging=3.0, target=4.0, turned=True),
    "never shown": World(never=True),
}
