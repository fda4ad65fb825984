from __future__ import annotations

import numpy as np
import pytest

from bench.ope import measured
from bench.ope_worlds import HARD, WORLDS, World
from training.policy.off_policy import weights_of


@pytest.mark.parametrize("world", WORLDS.values(), ids=WORLDS)
def test_logs_of_worlds_tell_how_they_chose(world: World) -> None:
    logged, target, context = world.drawn(np.random.default_rng(1))
    logging, wanted = world.chances(context.astype(float))
    assert wanted == pytest.approx(target, abs=1e-5)
    assert logging.sum(axis=1) == pytest.approx(1)
    at = np.arange(len(logged)), logged.action
    assert logged.propensity == pytest.approx(logging[at], abs=1e-5)
    weights = weights_of(logged, target)
    assert abs(weights.mean() - 1) < 5 * weights.std() / np.sqrt(len(logged))


def test_truth_is_what_showing_the_target_brings() -> None:
    world = World(rows=60_000, logging=1.0, target=1.0, amounts=True)
    logged, _, _ = world.drawn(np.random.default_rng(2))
    error = logged.reward.std() / np.sqrt(len(logged) / 3)
    assert abs(logged.reward.mean() - world.truth()) < 4 * error


def test_too_little_overlap_is_counted_as_refused() -> None:
    assert measured(HARD["opposite"], 3)["refused_share"] == 1
    found = measured(World(rows=900), 1)
    assert found["refused_share"] == 0
    assert set(found) >= {"truth", "ips", "snips", "dr"}
