"""Oracles of the loop: one that knows how everybody responds, and one that knows it of what can be observed."""

from __future__ import annotations

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from bench.loop_learner import Learner
from features.world.draws import sigmoid
from features.world.levels import UNIT
from features.world.policy import Slots
from features.world.response import VISITS_GIVEN_JUMP, topic_trends
from features.world.sales import gained
from features.world.world import World

Values = NDArray[np.float64]
Ints = NDArray[np.int64]
_DESIRE_DAYS = 12.0 / np.log(2)
_FAVOURITE = 0.55
_TREES = {
    "objective": "regression", "num_leaves": 63, "learning_rate": 0.05, "min_data_in_leaf": 100, "verbose": -1,
    "feature_fraction": 0.5, "deterministic": True, "seed": 1,
}  # fmt: skip
_ROUNDS = 400


def true_values(world: World, slots: Slots) -> tuple[Values, Ints]:
    """Return the purchases that showing each candidate would cause, to first order, from the world's own state.

    A purchase comes by the note's link, by a later search for the brand, or out of need on a later visit that the
    raised desire makes likelier; what it takes from later purchases is left out.

    Returns
    -------
    values, person
        Expected purchases [persons, candidates]; the row of each slot's person [slots].
    """
    people, notes, found = world.people, world.notes, slots.candidates
    who, person = np.unique(slots.person, return_inverse=True)
    note, category, brand = found.note, found.category, found.brand
    interest = people.interest[who][:, category] / 32
    dear = people.dearness[who][:, None]
    click = sigmoid(_click_logits(world, slots, who, interest))
    deep = sigmoid(0.1 + 0.4 * interest + notes.depth[note])
    jump = sigmoid(-1.45 + 0.3 * interest + 0.25 * notes.depth[note] - 0.3 * dear) * notes.linked[note]
    shop = np.stack([people.shop_of(who, np.full(len(who), one)) for one in brand], axis=1) >= 0
    market = world._market
    desire = market.desire[who][:, brand]
    price = -0.25 * dear - 0.5 * (1 + dear) * world.catalogue.item_dearness[notes.item[note]]
    held = gained(desire, market.stock[who][:, category]) + price
    pull = notes.pull[note]
    with np.errstate(divide="ignore"):
        moved = np.where(pull > 0, 0.5 * np.log(pull), -60.0)
    direct = jump * VISITS_GIVEN_JUMP * sigmoid(-2.3 + 0.3 * interest + moved + held)
    searched = deep * (1 - jump) * np.minimum(0.22 * pull, 0.6) * 0.7 * sigmoid(-1.9 + 0.3 * interest + held)
    warm = np.minimum(np.exp(0.25 * interest), 3.0) * deep
    active = 1 - (1 - 0.11 * warm) * (1 - 0.025 * warm) * (1 - 0.03 * warm)
    raised = pull * (click * (0.35 + 0.65 * deep + 0.6 * active) + (1 - click) * 0.06 * 0.2)
    level = desire / UNIT
    buys = sigmoid(-2.75 + 0.25 * interest + held)
    later = raised * 2.2 * 1.5 / (level + 1.5) ** 2 * buys * (1 - buys) * _needs(world, slots, who) * _DESIRE_DAYS
    return np.asarray(shop * (click * (direct + searched) + later)), person


def _click_logits(world: World, slots: Slots, who: Ints, interest: Values) -> Values:
    notes, note = world.notes, slots.candidates.note
    seen = (world._ads.seen[who][:, :, None] == note).sum(axis=1)
    tired = (world.people.intolerance * world._ads.pressure)[who][:, None]
    trend = topic_trends(world.settings, slots.day)[notes.topic[note]]
    return np.asarray(-2.75 + 0.55 * interest + notes.quality[note] + trend - 0.02 * tired - 0.5 * seen)


def _needs(world: World, slots: Slots, who: Ints) -> Values:
    """Return visits a day of each person to each candidate's brand that have nothing to do with notes."""
    people, found, each = world.people, slots.candidates, world.catalogue.brands_per_category
    share = np.stack([(people.buys[who] == category).mean(axis=1) for category in found.category], axis=1)
    favourite = (people.number[who][:, None] * 31 + found.category * 17) % each == found.brand % each
    return np.asarray(people.shopping[who][:, None] * share * ((1 - _FAVOURITE) / each + _FAVOURITE * favourite))


class Observed:
    """The best guess at the true values from the features alone: trees fitted on true values without noise.

    Parameters
    ----------
    learner
        Computes the features.
    rows, values
        Features and true values of a sample of people and candidates of the same world, all days.
    """

    def __init__(self, learner: Learner, rows: NDArray[np.float32], values: Values) -> None:
        self._learner = learner
        # Purchases are of the order of one in a thousand; trees split better on what is near 1.
        self._scale = float(values.mean())
        data = lgb.Dataset(rows, values / self._scale)
        self._trees = lgb.train(_TREES | {"num_threads": learner.threads}, data, _ROUNDS)

    def __call__(self, slots: Slots) -> tuple[Values, Ints]:
        """Return the guesses and the row of each slot's person."""
        rows, person = self._learner.rows(slots)
        found = self._trees.predict(rows.reshape(-1, rows.shape[-1]), num_threads=self._learner.threads)
        return np.maximum(np.asarray(found).reshape(rows.shape[:2]), 0) * self._scale, person
