"""One world lived under one policy, and what came of it week by week."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bench.loop_learner import Learner, WorldLog
from bench.loop_oracles import Observed, true_values
from bench.loop_policies import LearnedPolicy, RulePolicy, ValuedPolicy
from features.days import DAY_SECONDS
from features.world.catalogue import CATEGORIES
from features.world.policy import BroadPolicy, Policy
from features.world.settings import WorldSettings
from features.world.world import World
from training.conversion.job import ConversionChoices

BEFORE_DAYS = 28
"""Broad delivery that everybody begins with: what is learned from first."""
WEEKS = 12
ORACLES = ("observable oracle", "oracle")
POLICIES = ("broad", "rule", "frozen", "retrained", *ORACLES)
_DAYS_PER_CAMPAIGN = 4
_ENGAGED = ("like", "save", "comment", "share", "follow")
_VERTICALS = {category.name: category.vertical for category in CATEGORIES}
_SAMPLED_EVERY = 4
_SAMPLED_CELLS = 6_000


class Lived:
    """A world after the days of broad delivery, and its log: where every policy begins.

    Parameters
    ----------
    seed, people
        Of the world.
    weeks
        How long each policy delivers.
    threads
        Of training and scoring.
    """

    def __init__(self, seed: int, people: int, weeks: int = WEEKS, threads: int = 1) -> None:
        days = BEFORE_DAYS + 7 * weeks
        self._world = World(
            WorldSettings(people=people, days=days, campaigns=days // _DAYS_PER_CAMPAIGN, seed=seed)
        )
        self._before = [self._world.step(day, BroadPolicy()).events for day in range(BEFORE_DAYS)]
        self._threads = threads

    def under(self, policy: str) -> dict[str, list[float]]:
        """Let the weeks pass under one of `POLICIES`; return sums of each week."""
        world, log = deepcopy(self._world), WorldLog(self._world)
        for events in self._before:
            log.add(events)
        learner = Learner(log, self._threads)
        made: Mapping[str, Callable[[], Policy]] = {
            "broad": BroadPolicy,
            "rule": partial(RulePolicy, log),
            "frozen": partial(LearnedPolicy, learner, "frozen"),
            "retrained": partial(LearnedPolicy, learner, "retrained", 7),
            "observable oracle": lambda: ValuedPolicy("observable", self._observed(learner)),
            "oracle": lambda: ValuedPolicy("oracle", partial(true_values, world)),
        }
        chosen = made[policy]()
        days = []
        for day in range(world.day, world.settings.days):
            events = world.step(day, chosen).events
            log.add(events)
            days.append(_counted(events, world))
        log.close()
        return _by_week(days, world)

    def _observed(self, learner: Learner) -> Observed:
        """Fit the oracle of what can be observed on the same world under broad delivery, all weeks of it."""
        world, log = deepcopy(self._world), WorldLog(self._world)
        for events in self._before:
            log.add(events)
        rng = np.random.default_rng(world.settings.seed)
        sampler = Learner(log, self._threads)
        source = sampler.source(log.begin + BEFORE_DAYS * DAY_SECONDS, ConversionChoices())
        learner.features = sampler.features = source.features(log.begin + BEFORE_DAYS * DAY_SECONDS)
        rows, values = [], []

        def watch(slots: Any) -> tuple[Any, Any]:
            if (slots.day - BEFORE_DAYS) % _SAMPLED_EVERY == 0:
                found, _ = sampler.rows(slots)
                true, _ = true_values(world, slots)
                some = rng.choice(true.size, min(_SAMPLED_CELLS, true.size), replace=False)
                rows.append(found.reshape(-1, found.shape[-1])[some])
                values.append(true.reshape(-1)[some])
            return BroadPolicy().choose(slots), None

        policy = _Watched(watch)
        for day in range(world.day, world.settings.days):
            log.add(world.step(day, policy).events)
        log.close()
        return Observed(learner, np.concatenate(rows), np.concatenate(values))


class _Watched:
    name = "broad"

    def __init__(self, choose: Callable[[Any], tuple[Any, Any]]) -> None:
        self._choose = choose

    def choose(self, slots: Any) -> Any:
        """Choose as broad delivery does."""
        return self._choose(slots)[0]


def _counted(events: pa.Table, world: World) -> dict[str, float]:
    notes = world.notes
    paid = pa.array([notes.names[note] for note in np.flatnonzero(notes.campaign >= 0)])
    ours = events.filter(pc.is_in(events["note"], value_set=paid)).select(["kind", "category"])
    found: dict[str, float] = {}
    for row in ours.group_by(["kind", "category"]).aggregate([([], "count_all")]).to_pylist():
        kind, many = row["kind"], row["count_all"]
        found[kind] = found.get(kind, 0) + many
        if kind in {"impression", "store_visit"}:
            key = f"{kind} {_VERTICALS[row['category']]}"
            found[key] = found.get(key, 0) + many
    found["engaged"] = sum(found.get(kind, 0) for kind in _ENGAGED)
    return found


def _by_week(days: list[dict[str, float]], world: World) -> dict[str, list[float]]:
    names = sorted({name for day in days for name in day})
    table = {name: np.array([day.get(name, 0) for day in days], float) for name in names}
    table["spent"] = world.spent[:, BEFORE_DAYS:].sum(axis=0) / 1e6
    table["caused"] = world.caused["campaign"][0].purchases[:, BEFORE_DAYS:].sum(axis=0).astype(float)
    return {name: values.reshape(-1, 7).sum(axis=1).tolist() for name, values in table.items()}
