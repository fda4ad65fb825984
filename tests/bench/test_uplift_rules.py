from __future__ import annotations

import numpy as np
import pytest

from bench.uplift_rules import MECHANISMS, MadeTrials, summary, true_qini


def test_the_best_order_has_the_largest_area_and_one_score_for_all_has_none() -> None:
    effects = np.array([3.0, 1.0, 0.0, 0.0])
    # Gained after each person: 3, 4, 4, 4 of 4 people; the trapezoids are 1.5, 3.5, 4, 4.
    assert true_qini(effects, effects) == pytest.approx((1.5 + 3.5 + 4 + 4) / 16 - 0.5)
    assert true_qini(-effects, effects) < 0
    assert true_qini(np.zeros(4), effects) == pytest.approx(0)


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_outcomes_come_as_often_as_said_and_effects_are_what_the_arms_differ_by(mechanism: str) -> None:
    X, arm, outcome, effects = MadeTrials(1, 0.08, mechanism).draw(200_000)
    assert X.shape == (200_000, 8)
    apart = outcome[arm == 1].mean() - outcome[arm == 0].mean()
    assert apart == pytest.approx(effects.mean(), abs=0.006)
    assert outcome[arm == 0].mean() == pytest.approx(0.08, abs=0.02)


def test_rules_are_set_beside_the_lowest_loss() -> None:
    shares = {"s": 0.1, "t": 0.2, "x": 0.4, "lowest_loss": 0.2, "mean_s_x": 0.3}
    rows = [
        {"seed": 1, "rate": rate, "mechanism": m, **shares}
        for rate in (0.005, 0.01, 0.02, 0.08)
        for m in MECHANISMS
    ]
    assert summary(rows)["x"]["above_lowest_loss"]["rare"] == pytest.approx([0.2, 0.0])
